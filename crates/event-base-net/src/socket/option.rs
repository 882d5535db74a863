//! Socket options, and the kinds of their values.

use std::time::Duration;

/// The kind of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// On or off.
    Switch,
    /// A number.
    Count,
    /// A duration, or none.
    Time,
}

/// The value of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// On or off.
    Switch(bool),
    /// Bytes, probes, hops, ...: see the option.
    Count(u32),
    /// A duration; `None` turns the option off.
    Time(Option<Duration>),
}

macro_rules! options {
    ($($(#[$doc:meta])* $variant:ident = $name:literal: $kind:ident,)*) => {
        /// An option of a socket.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum SocketOption { $($(#[$doc])* $variant,)* }

        impl SocketOption {
            /// Every option.
            pub const ALL: &'static [SocketOption] = &[$(SocketOption::$variant,)*];

            /// The name of the option in the TypeScript layer.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(SocketOption::$variant => $name,)* }
            }

            /// The kind of its value.
            #[must_use]
            pub const fn kind(self) -> OptionKind {
                match self { $(SocketOption::$variant => OptionKind::$kind,)* }
            }
        }
    };
}

options! {
    /// Small writes are sent immediately (`TCP_NODELAY`).
    NoDelay = "noDelay": Switch,
    /// The kernel probes an idle connection (`SO_KEEPALIVE`).
    KeepAlive = "keepAlive": Switch,
    /// The idle time before the first probe (`TCP_KEEPIDLE`); rounded up to whole seconds.
    KeepAliveIdle = "keepAliveIdle": Time,
    /// The time between probes (`TCP_KEEPINTVL`); rounded up to whole seconds.
    KeepAliveInterval = "keepAliveInterval": Time,
    /// The number of unanswered probes after which the connection fails (`TCP_KEEPCNT`).
    KeepAliveCount = "keepAliveCount": Count,
    /// The time for which sent data may stay unacknowledged (`TCP_USER_TIMEOUT`; Linux).
    UserTimeout = "userTimeout": Time,
    /// A port that was in use until recently can be bound again (`SO_REUSEADDR`).
    ReuseAddress = "reuseAddress": Switch,
    /// Several sockets can be bound to one address (`SO_REUSEPORT`).
    ReusePort = "reusePort": Switch,
    /// The size of the kernel's receive buffer in bytes (`SO_RCVBUF`). Linux doubles and limits the value
    /// (socket(7)).
    ReceiveBuffer = "receiveBuffer": Count,
    /// The size of the kernel's send buffer in bytes (`SO_SNDBUF`). Linux doubles and limits the value
    /// (socket(7)).
    SendBuffer = "sendBuffer": Count,
    /// The time for which the kernel continues to send after a close; zero makes a close a reset (`SO_LINGER`). Rounded
    /// up to whole seconds.
    Linger = "linger": Time,
    /// Urgent data stays in the stream (`SO_OOBINLINE`).
    OutOfBandInline = "outOfBandInline": Switch,
    /// An IPv6 socket accepts no IPv4 connections (`IPV6_V6ONLY`). Set it before binding.
    Ipv6Only = "ipv6Only": Switch,
    /// The number of hops of a packet (`IP_TTL`, `IPV6_UNICAST_HOPS`).
    TimeToLive = "timeToLive": Count,
    /// Acknowledgements are sent immediately, until the kernel clears the option (`TCP_QUICKACK`; Linux, tcp(7)).
    QuickAck = "quickAck": Switch,
    /// While it is on, a partial segment is delayed by up to 200 ms (`TCP_CORK`; Linux, tcp(7)).
    Cork = "cork": Switch,
    /// The socket is writable only while fewer bytes than this are unsent (`TCP_NOTSENT_LOWAT`; Linux).
    UnsentLimit = "unsentLimit": Count,
    /// An address that this host does not have (yet) can be bound (`IP_FREEBIND`; Linux).
    FreeBind = "freeBind": Switch,
    /// Connections to addresses of other hosts can be accepted (`IP_TRANSPARENT`; Linux, privileged).
    Transparent = "transparent": Switch,
    /// The number of connections with data in their first packet that may wait; for a listening socket (`TCP_FASTOPEN`;
    /// Linux).
    FastOpen = "fastOpen": Count,
    /// A connection is not reported until it has data, or until this time has passed; for a listening socket
    /// (`TCP_DEFER_ACCEPT`; Linux, which rounds it to a number of retransmissions). Rounded up to whole seconds.
    DeferAccept = "deferAccept": Time,
    /// The port of a socket that is bound to an address without a port is chosen when it connects, so that connections
    /// to different destinations can share one (`IP_BIND_ADDRESS_NO_PORT`; Linux).
    BindAddressNoPort = "bindAddressNoPort": Switch,
    /// The routing mark of the socket's packets (`SO_MARK`; Linux, privileged).
    Mark = "mark": Count,
}

impl SocketOption {
    /// The option with this name, which is case-sensitive.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|option| option.name() == name)
    }
}
