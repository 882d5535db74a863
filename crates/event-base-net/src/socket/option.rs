//! The names of socket options, and the kinds of their values.

use std::time::Duration;

/// What kind of value an option takes.
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
    /// Bytes, probes, hops, ... as the option says.
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
            /// Every option there is.
            pub const ALL: &'static [SocketOption] = &[$(SocketOption::$variant,)*];

            /// The option's name, in the spelling of the TypeScript layer.
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
    /// Small writes are sent at once (`TCP_NODELAY`).
    NoDelay = "noDelay": Switch,
    /// The kernel probes a silent connection (`SO_KEEPALIVE`).
    KeepAlive = "keepAlive": Switch,
    /// Silence before the first probe (`TCP_KEEPIDLE`); whole seconds, rounded up.
    KeepAliveIdle = "keepAliveIdle": Time,
    /// Time between probes (`TCP_KEEPINTVL`); whole seconds, rounded up.
    KeepAliveInterval = "keepAliveInterval": Time,
    /// Unanswered probes before the connection is given up (`TCP_KEEPCNT`).
    KeepAliveCount = "keepAliveCount": Count,
    /// How long sent data may stay unacknowledged (`TCP_USER_TIMEOUT`; Linux).
    UserTimeout = "userTimeout": Time,
    /// A port left a moment ago can be bound again (`SO_REUSEADDR`).
    ReuseAddress = "reuseAddress": Switch,
    /// Several sockets can be bound to one address (`SO_REUSEPORT`).
    ReusePort = "reusePort": Switch,
    /// Bytes of the kernel's receive buffer (`SO_RCVBUF`). Linux doubles and limits what is set.
    ReceiveBuffer = "receiveBuffer": Count,
    /// Bytes of the kernel's send buffer (`SO_SNDBUF`). Linux doubles and limits what is set.
    SendBuffer = "sendBuffer": Count,
    /// How long closing goes on sending in the background; zero resets the connection instead
    /// (`SO_LINGER`); whole seconds, rounded up.
    Linger = "linger": Time,
    /// Urgent data stays in the stream (`SO_OOBINLINE`).
    OutOfBandInline = "outOfBandInline": Switch,
    /// An IPv6 socket takes no IPv4 connections (`IPV6_V6ONLY`); before it is bound.
    Ipv6Only = "ipv6Only": Switch,
    /// Hops a packet may travel (`IP_TTL`, `IPV6_UNICAST_HOPS`).
    TimeToLive = "timeToLive": Count,
    /// Acknowledgements are not delayed for the moment (`TCP_QUICKACK`; Linux).
    QuickAck = "quickAck": Switch,
    /// Only full segments are sent while it is on (`TCP_CORK`; Linux).
    Cork = "cork": Switch,
    /// Writable only while fewer bytes than this wait unsent (`TCP_NOTSENT_LOWAT`; Linux).
    UnsentLimit = "unsentLimit": Count,
    /// An address this host does not have (yet) can be bound (`IP_FREEBIND`; Linux).
    FreeBind = "freeBind": Switch,
    /// Connections to foreign addresses can be taken (`IP_TRANSPARENT`; Linux, privileged).
    Transparent = "transparent": Switch,
    /// How many connections may wait that brought data in their first packet; for a listening socket
    /// (`TCP_FASTOPEN`; Linux).
    FastOpen = "fastOpen": Count,
    /// A connection is not reported before it brought data, or for this long; for a listening socket
    /// (`TCP_DEFER_ACCEPT`; Linux, which rounds it to a number of its own repetitions); whole seconds,
    /// rounded up.
    DeferAccept = "deferAccept": Time,
    /// The port of a socket that is bound to an address alone is chosen when it connects, so that
    /// connections to different places can share one (`IP_BIND_ADDRESS_NO_PORT`; Linux).
    BindAddressNoPort = "bindAddressNoPort": Switch,
    /// The routing mark of the socket's packets (`SO_MARK`; Linux, privileged).
    Mark = "mark": Count,
}

impl SocketOption {
    /// The option of this name, case counts.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|option| option.name() == name)
    }
}
