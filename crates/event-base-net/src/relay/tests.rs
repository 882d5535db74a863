//! Relays whose system calls fail.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use event_base::{Base, Error, EventSpec, LoopFlags, Ready, SystemError, What};
use nix::errno::Errno;

use super::{EndReason, RateLimit, RelayEnd, RelayOptions, Transfer};
use crate::accept::ListenOptions;
use crate::address::Address;
use crate::completion::Completion;
use crate::faults::{self, Call};
use crate::net::Net;
use crate::socket;
use crate::source::{Role, SourceKey};

struct Bed {
    base: Base,
    net: Net,
}

impl Bed {
    fn new() -> Self {
        let base = Base::new().expect("a base can be made");
        Bed { net: Net::new(base.clone()), base }
    }

    /// A relay between two pairs of unix sockets, and its two peers.
    fn relay(&mut self, options: RelayOptions) -> (SourceKey, OwnedFd, OwnedFd) {
        let (a, client) = socket::pair().expect("a pair");
        let (b, server) = socket::pair().expect("a pair");
        (self.net.relay(a, b, options).expect("both can be watched"), client, server)
    }

    /// Handles what is ready now.
    fn pass(&mut self) -> Vec<Completion> {
        let (base, mut completions) = (self.base.clone(), Vec::new());
        base.run(LoopFlags::NONBLOCK, |_, ready| {
            self.net.ready(&ready);
            while let Some(completion) = self.net.completion() {
                completions.push(completion);
            }
        })
        .expect("the loop runs");
        completions
    }

    /// Dispatches an event of a source, whether or not it is due.
    fn dispatch(&mut self, key: SourceKey, role: Role, what: What) -> Option<Completion> {
        let id = self.base.create(EventSpec::user()).expect("the base is open");
        self.net.ready(&Ready { id, fd: -1, what, data: role.tag(key), released: false, orphaned: false });
        self.base.free(id).expect("the base is open");
        self.net.completion()
    }

    /// Runs passes until the relay ends.
    fn run_to_end(&mut self, key: SourceKey) -> RelayEnd {
        for _ in 0..10_000 {
            match self.pass().pop() {
                Some(Completion::RelayEnded { key: of, end }) if of == key => return end,
                Some(other) => panic!("unexpected: {other:?}"),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        panic!("the relay does not end");
    }

    /// Drops the registration of a relay's first end, as the engine does if the kernel refuses it during a poll.
    fn forget_registration(&mut self, key: SourceKey) {
        let Some(super::Relay { ends, .. }) = self.net.relay_of(key) else { panic!("it is running") };
        ends[0].forget_registration(&self.base);
    }

    /// A listener, and a connection that waits for it.
    fn listener_with_client(&mut self, options: ListenOptions) -> (SourceKey, OwnedFd) {
        let (listener, address) = listening();
        let key = self.net.listen(listener, options).expect("it can be watched");
        (key, socket::connect(&address).expect("it listens"))
    }

    /// Runs passes until the listener accepts, which it does after all injected failures. They are reported once.
    #[track_caller]
    fn assert_accepts_after_a_shortage(&mut self, listener: SourceKey) {
        let mut seen = Vec::new();
        for _ in 0..10_000 {
            seen.extend(self.pass());
            if matches!(seen.last(), Some(Completion::Accepted { .. })) {
                break;
            }
            let is_dead = matches!(seen.last(), Some(Completion::AcceptFailed { retry_after: None, .. }));
            assert!(!is_dead, "{seen:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(faults::left(), 0);
        match seen.as_slice() {
            [Completion::AcceptFailed { key, retry_after: Some(_), .. }, Completion::Accepted { .. }] => {
                assert_eq!(*key, listener);
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn is_running(&self, key: SourceKey) -> bool {
        self.net.stats(key).is_ok()
    }
}

fn with(transfer: Transfer) -> RelayOptions {
    RelayOptions { transfer, ..RelayOptions::default() }
}

fn send(to: &OwnedFd, bytes: &[u8]) {
    assert_eq!(socket::write(to, bytes), Ok(Some(bytes.len())));
}

/// Everything that has arrived.
fn received(from: &OwnedFd) -> Vec<u8> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(Some(count)) = socket::read(from, &mut part)
        && count > 0
    {
        bytes.extend_from_slice(&part[..count]);
    }
    bytes
}

#[track_caller]
fn assert_failed(end: &RelayEnd, errno: Errno, syscall: &str) {
    assert_eq!(end.reason, EndReason::Error);
    match end.error {
        Some(Error::System(SystemError { errno: number, syscall: of, .. })) => {
            assert_eq!((Errno::from_raw(number), of), (errno, syscall));
        }
        other => panic!("not a system error: {other:?}"),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_whose_content_is_uncertain_serves_no_other_relay() {
    for drain in [Errno::EINVAL, Errno::ENOMEM, Errno::EIO] {
        let mut bed = Bed::new();
        let (first, client, server) = bed.relay(with(Transfer::Splice));
        // Another relay keeps the pool.
        let (second, other_client, other_server) = bed.relay(with(Transfer::Splice));
        faults::inject(Call::DrainPipe, drain);
        faults::inject(Call::ReadPipe, Errno::EIO);
        send(&client, b"of the first connection");
        let end = bed.run_to_end(first);
        assert_failed(&end, Errno::EIO, if drain == Errno::EIO { "write" } else { "read" });
        assert_eq!(received(&server), b"");
        drop(client);

        send(&other_client, b"of the second");
        bed.pass();
        assert_eq!(received(&other_server), b"of the second");
        assert!(bed.is_running(second));
        while faults::next(Call::ReadPipe).is_some() {}
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_splice_from_the_source_that_fails_leaves_no_pipe_in_use() {
    let mut bed = Bed::new();
    for errno in [Errno::EIO, Errno::ECONNRESET] {
        let (key, client, _server) = bed.relay(with(Transfer::Splice));
        faults::inject(Call::FillPipe, errno);
        send(&client, b"lost");
        assert_failed(&bed.run_to_end(key), errno, "read");
    }
    // The kernel has no memory for the pages of a pipe: the piece is copied.
    let (key, client, server) = bed.relay(with(Transfer::Splice));
    faults::inject(Call::FillPipe, Errno::ENOMEM);
    send(&client, b"copied");
    bed.pass();
    assert_eq!(received(&server), b"copied");
    send(&client, b"spliced");
    bed.pass();
    assert_eq!(received(&server), b"spliced");
    assert_eq!(bed.net.stats(key).expect("it is running").bytes_spliced, 7);
}

#[test]
fn a_call_that_lacks_memory_is_repeated() {
    for transfer in [Transfer::Copy, Transfer::Splice] {
        for errno in [Errno::ENOBUFS, Errno::ENOMEM] {
            for call in [Call::Send, Call::Receive] {
                let mut bed = Bed::new();
                let (key, client, server) = bed.relay(with(transfer));
                for _ in 0..3 {
                    faults::inject(Call::DrainPipe, errno);
                    faults::inject(Call::FillPipe, errno);
                    faults::inject(call, errno);
                }
                for bytes in [b"first ", b"second"] {
                    send(&client, bytes);
                    let mut arrived = Vec::new();
                    while arrived.len() < bytes.len() {
                        assert!(bed.pass().is_empty(), "{transfer:?}, {errno}");
                        arrived.extend(received(&server));
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    assert_eq!(arrived, bytes, "{transfer:?}, {errno}");
                }
                assert!(bed.is_running(key));
                for call in [Call::DrainPipe, Call::FillPipe, call] {
                    while faults::next(call).is_some() {}
                }
            }
        }
    }
}

#[test]
fn a_lack_of_memory_that_lasts_ends_the_relay() {
    for (call, syscall) in [(Call::Send, "write"), (Call::Receive, "read")] {
        let mut bed = Bed::new();
        let (key, client, _server) = bed.relay(with(Transfer::Copy));
        for _ in 0..40 {
            faults::inject(call, Errno::ENOBUFS);
        }
        send(&client, b"held");
        assert!(bed.pass().is_empty());
        let mut ended = None;
        for _ in 0..40 {
            ended = bed.dispatch(key, Role::Alarm, What::TIMEOUT);
            if ended.is_some() {
                break;
            }
        }
        let Some(Completion::RelayEnded { end, .. }) = ended else { panic!("the relay does not end") };
        assert_failed(&end, Errno::ENOBUFS, syscall);
        while faults::next(call).is_some() {}
    }
}

#[test]
fn a_success_between_two_lacks_of_memory_starts_their_count_again() {
    for call in [Call::Send, Call::Receive] {
        let mut bed = Bed::new();
        let (key, client, server) = bed.relay(with(Transfer::Copy));
        for _ in 0..2 {
            for _ in 0..20 {
                faults::inject(call, Errno::ENOBUFS);
            }
            send(&client, b"held");
            assert!(bed.pass().is_empty());
            while faults::left() > 0 {
                assert_eq!(received(&server), b"");
                assert!(bed.dispatch(key, Role::Alarm, What::TIMEOUT).is_none());
            }
            assert!(bed.dispatch(key, Role::Alarm, What::TIMEOUT).is_none());
            assert_eq!(received(&server), b"held");
        }
        assert!(bed.is_running(key));
    }
}

#[test]
fn a_write_that_fails_ends_both_ends_with_its_error() {
    for (transfer, call) in [(Transfer::Copy, Call::Send), (Transfer::Splice, Call::DrainPipe)] {
        if call == Call::DrainPipe && !cfg!(target_os = "linux") {
            continue;
        }
        let mut bed = Bed::new();
        let (key, client, server) = bed.relay(with(transfer));
        // What has arrived from the failed end is passed on, although its event is dispatched second.
        send(&client, b"fails");
        send(&server, b"an answer");
        faults::inject(call, Errno::EIO);
        let end = bed.run_to_end(key);
        assert_failed(&end, Errno::EIO, "write");
        assert_eq!((received(&client), end.bytes_b_to_a), (b"an answer".to_vec(), 9), "{transfer:?}");
        assert_eq!(socket::read(&server, &mut [0; 8]).ok().flatten(), Some(0), "{transfer:?}: not closed");
    }
}

#[test]
fn an_idle_timeout_reads_what_has_arrived_before_it_ends_a_relay() {
    let mut bed = Bed::new();
    let idle_timeout = Some(Duration::from_millis(1));
    let (key, client, server) = bed.relay(RelayOptions { idle_timeout, ..with(Transfer::Copy) });
    std::thread::sleep(Duration::from_millis(5));
    send(&client, b"there");
    // The timer is dispatched first, as after a wait that a signal interrupted.
    assert!(bed.dispatch(key, Role::Deadline, What::TIMEOUT).is_none(), "ended with bytes to read");
    assert_eq!(received(&server), b"there");
    assert!(bed.is_running(key));
    assert_eq!(bed.run_to_end(key).reason, EndReason::Idle);
}

#[test]
fn a_connect_timeout_does_not_refuse_a_connection_that_is_established_and_idle_time_starts_then() {
    let mut bed = Bed::new();
    let any = Address::internet("127.0.0.1", 0).expect("it is numeric");
    let options = socket::BindOptions { backlog: 0, ..socket::BindOptions::default() };
    let listener = socket::listen(&any, &options).expect("a port is free");
    let address = socket::address(&listener).expect("it is bound");
    // A connect stays in progress while the queue is full.
    let mut queued = Vec::new();
    let connecting = loop {
        let fd = socket::connect(&address).expect("it listens");
        std::thread::sleep(Duration::from_millis(100));
        if !socket::is_writable(&fd) {
            break fd;
        }
        queued.push(fd);
        assert!(queued.len() < 10, "the queue never fills");
    };
    let watched = connecting.try_clone().expect("a descriptor is free");
    let (near, _client) = socket::pair().expect("a pair");
    let connect_timeout = Some(Duration::from_secs(60));
    let idle_timeout = Some(Duration::from_millis(500));
    let begin = Instant::now();
    let key = bed
        .net
        .relay(near, connecting, RelayOptions { connect_timeout, idle_timeout, ..RelayOptions::default() })
        .expect("both can be watched");
    while !socket::is_writable(&watched) {
        let _ = socket::accept(&listener).expect("it listens");
        std::thread::sleep(Duration::from_millis(10));
    }
    // The timer is dispatched before the readiness.
    let ended = bed.dispatch(key, Role::Write(1), What::TIMEOUT);
    assert!(ended.is_none() && bed.is_running(key), "{ended:?}");
    // The idle time starts when the connect is done, and not with the relay.
    let connected = Instant::now();
    let ended = bed.dispatch(key, Role::Deadline, What::TIMEOUT);
    let is_late = connected.elapsed() >= Duration::from_millis(500);
    assert!(is_late || begin.elapsed() >= Duration::from_millis(500) && ended.is_none(), "{ended:?}");
}

#[test]
fn a_relay_that_cannot_be_watched_ends_alone() {
    let mut bed = Bed::new();
    let (other, other_client, other_server) = bed.relay(with(Transfer::Copy));
    for errno in [Errno::ENOSPC, Errno::ENOMEM] {
        let (a, client) = socket::pair().expect("a pair");
        let (b, _server) = socket::pair().expect("a pair");
        faults::inject(Call::Register, errno);
        bed.net.relay(a, b, RelayOptions::default()).expect_err("it is refused");
        assert_eq!(socket::read(&client, &mut [0; 8]), Ok(Some(0)), "closed");

        // Later, when its sink is full and has to be watched.
        let (key, client, _server) = bed.relay(with(Transfer::Copy));
        faults::inject(Call::Register, errno);
        while matches!(socket::write(&client, &[7; 65_536]), Ok(Some(_))) {}
        assert_failed(&bed.run_to_end(key), errno, "epoll_ctl");
    }
    send(&other_client, b"goes on");
    bed.pass();
    assert_eq!(received(&other_server), b"goes on");
    assert!(bed.is_running(other));
}

/// A socket that listens, and its address.
fn listening() -> (OwnedFd, Address) {
    let any = Address::internet("127.0.0.1", 0).expect("it is numeric");
    let listener = socket::listen(&any, &socket::BindOptions::default()).expect("a port is free");
    let address = socket::address(&listener).expect("it is bound");
    (listener, address)
}

#[test]
fn a_listener_that_cannot_be_watched_again_is_tried_again() {
    let mut bed = Bed::new();
    let (key, _client) = bed.listener_with_client(ListenOptions::default());
    faults::inject(Call::Accept, Errno::EMFILE);
    for errno in [Errno::ENOSPC, Errno::ENOMEM] {
        faults::inject(Call::Register, errno);
    }
    bed.assert_accepts_after_a_shortage(key);
}

#[test]
fn a_shortage_of_one_listener_does_not_stop_another_one_of_its_socket() {
    let mut beds = [Bed::new(), Bed::new()];
    let (socket, address) = listening();
    let shared = ListenOptions { shared: true, ..ListenOptions::default() };
    for bed in &mut beds {
        bed.net.listen(socket.try_clone().expect("a descriptor is free"), shared).expect("it can be watched");
    }
    let _client = socket::connect(&address).expect("it listens");
    faults::inject(Call::Accept, Errno::EMFILE);
    let [first, second] = &mut beds;
    let mut failed = Vec::new();
    while failed.is_empty() {
        failed = first.pass();
    }
    assert!(matches!(failed[..], [Completion::AcceptFailed { retry_after: Some(_), .. }]), "{failed:?}");
    let accepted = second.pass();
    assert!(matches!(accepted[..], [Completion::Accepted { .. }]), "{accepted:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_shared_listener_that_cannot_be_registered_behind_the_others_is_tried_again() {
    let mut bed = Bed::new();
    let (socket, address) = listening();
    let shared = ListenOptions { shared: true, ..ListenOptions::default() };
    bed.net.listen(socket, shared).expect("it can be watched");
    faults::inject(Call::Register, Errno::ENOSPC);
    let mut clients = Vec::new();
    let mut seen = Vec::new();
    for count in [2, 3] {
        clients.push(socket::connect(&address).expect("it listens"));
        while seen.len() < count {
            seen.extend(bed.pass());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let [Completion::Accepted { .. }, Completion::AcceptFailed { error, retry_after: Some(_), .. }, last] =
        &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!(crate::failure::errno(error), Some(Errno::ENOSPC));
    assert!(matches!(last, Completion::Accepted { .. }), "{last:?}");
}

#[test]
fn a_listener_that_cannot_be_watched_when_it_is_resumed_is_tried_again() {
    let mut bed = Bed::new();
    let (key, _client) = bed.listener_with_client(ListenOptions { paused: true, ..ListenOptions::default() });
    for errno in [Errno::ENOSPC, Errno::ENOSPC, Errno::ENOMEM] {
        faults::inject(Call::Register, errno);
    }
    assert_eq!(bed.net.resume(key), Ok(()));
    bed.assert_accepts_after_a_shortage(key);
}

#[test]
fn the_earlier_of_two_delays_ends_first() {
    for is_longer_first in [true, false] {
        // On a busy machine both may have expired before the loop runs again.
        let ends_first = (0..10).any(|_| shorter_delay_ends_first(is_longer_first));
        assert!(ends_first, "longer one first: {is_longer_first}");
    }
}

/// Delays both directions of a relay, one for a second and the other for a hundredth of that. Returns whether the
/// second one had sent its byte before the first one continued.
fn shorter_delay_ends_first(is_longer_first: bool) -> bool {
    let mut bed = Bed::new();
    let limit = Some(RateLimit { rate: 1, burst: 1 });
    let (_key, client, server) = bed.relay(RelayOptions { limit, ..with(Transfer::Copy) });
    let lack_tokens = |bed: &mut Bed| {
        send(&client, b"ab");
        bed.pass();
    };
    let lack_memory = |bed: &mut Bed| {
        faults::inject(Call::Send, Errno::ENOBUFS);
        send(&server, b"c");
        bed.pass();
        assert_eq!(faults::left(), 0);
    };
    if is_longer_first {
        lack_tokens(&mut bed);
        assert_eq!(received(&server), b"a");
        lack_memory(&mut bed);
        assert_eq!(received(&client), b"");
    } else {
        lack_memory(&mut bed);
        assert_eq!(received(&client), b"");
        lack_tokens(&mut bed);
        assert_eq!(received(&server), b"a");
    }
    let mut back = Vec::new();
    while back.is_empty() {
        std::thread::sleep(Duration::from_millis(1));
        assert!(bed.pass().is_empty());
        back = received(&client);
    }
    assert_eq!(back, b"c");
    received(&server).is_empty()
}

#[test]
fn a_registration_that_no_longer_exists_is_made_again() {
    let mut bed = Bed::new();
    let (key, client, server) = bed.relay(with(Transfer::Copy));
    // The engine then reports readiness.
    bed.forget_registration(key);
    assert!(bed.dispatch(key, Role::Read(0), What::READ).is_none());
    send(&client, b"noticed");
    bed.pass();
    assert_eq!(received(&server), b"noticed");
}

#[test]
fn a_registration_that_no_longer_exists_is_made_again_although_bytes_had_arrived() {
    let mut bed = Bed::new();
    let (key, client, server) = bed.relay(with(Transfer::Copy));
    // The bytes arrive between the poll that refuses the registration and the dispatch.
    bed.forget_registration(key);
    send(&client, b"early");
    assert!(bed.dispatch(key, Role::Read(0), What::READ).is_none());
    assert_eq!(received(&server), b"early");
    send(&client, b"noticed");
    bed.pass();
    assert_eq!(received(&server), b"noticed");
}

/// Two connected TCP sockets.
fn connection() -> (OwnedFd, OwnedFd) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = Address::Internet(listener.local_addr().expect("it is bound"));
    let far = socket::connect(&address).expect("it listens");
    (listener.accept().expect("one connection waits").0.into(), far)
}

#[test]
fn a_relay_that_lingers_after_a_failure_can_be_queried_paused_and_closed() {
    let mut bed = Bed::new();
    let ((a, client), (b, server)) = (connection(), connection());
    let key = bed.net.relay(a, b, with(Transfer::Copy)).expect("both can be watched");
    send(&client, b"request");
    send(&server, b"an answer");
    let (mut at_client, mut at_server) = (Vec::new(), Vec::new());
    while at_client.len() < 9 || at_server.len() < 7 {
        assert!(bed.pass().is_empty());
        at_client.extend(received(&client));
        at_server.extend(received(&server));
    }
    socket2::SockRef::from(&server).set_linger(Some(Duration::ZERO)).expect("it is a socket");
    drop(server);
    while bed.net.relay_of(key).is_some() {
        assert!(bed.pass().is_empty(), "the client has sent something, and may be sending");
    }
    let stats = bed.net.stats(key).expect("it lingers");
    assert_eq!((stats.bytes_a_to_b, stats.bytes_b_to_a, stats.held_a_to_b, stats.held_b_to_a), (7, 9, 0, 0));
    assert_eq!(bed.net.moved(key), Some([7, 9]));
    assert_eq!((bed.net.pause(key), bed.net.resume(key)), (Ok(()), Ok(())));
    assert!(!bed.net.has_completion());
    assert_eq!(bed.net.close(key), Ok(()));
    assert!(bed.net.has_completion());
    let ended = bed.pass();
    let [Completion::RelayEnded { end, .. }] = ended.as_slice() else { panic!("unexpected: {ended:?}") };
    assert_failed(end, Errno::ECONNRESET, "read");
    assert_eq!((end.bytes_a_to_b, end.bytes_b_to_a), (7, 9));
}

#[cfg(target_os = "linux")]
#[test]
fn bytes_that_a_full_sink_did_not_take_are_spliced_once_it_has_room() {
    let mut bed = Bed::new();
    let ((a, client), (b, server)) = (socket::pair().expect("a pair"), socket::pair().expect("a pair"));
    // The kernel rounds this up to its minimum.
    socket2::SockRef::from(&b).set_send_buffer_size(1).expect("it is a socket");
    let key = bed.net.relay(a, b, with(Transfer::Splice)).expect("both can be watched");
    let mut sent = 0;
    while let Ok(Some(count)) = socket::write(&client, &[7; 65_536]) {
        sent += count;
    }
    bed.pass();
    let stats = bed.net.stats(key).expect("it is running");
    assert!(stats.held_a_to_b > 0 && stats.bytes_a_to_b > 0, "{stats:?}");
    let mut arrived = 0;
    while arrived < sent {
        arrived += received(&server).len();
        assert!(bed.pass().is_empty());
    }
    send(&server, b"an answer");
    bed.pass();
    assert_eq!(received(&client), b"an answer");
    let stats = bed.net.stats(key).expect("it is running");
    assert_eq!((stats.bytes_a_to_b, stats.bytes_b_to_a), (sent as u64, 9));
    assert_eq!(stats.bytes_spliced, sent as u64 + 9, "both directions count");
}

#[test]
fn a_connect_timeout_does_not_suspend_the_idle_time_of_connected_ends() {
    let mut bed = Bed::new();
    let (second, instant) = (Some(Duration::from_secs(1)), Some(Duration::from_millis(1)));
    let options = RelayOptions { connect_timeout: second, idle_timeout: instant, ..RelayOptions::default() };
    let (key, _client, _server) = bed.relay(options);
    assert_eq!(bed.run_to_end(key).reason, EndReason::Idle);
}

#[test]
fn a_net_is_described_by_its_sources() {
    let mut bed = Bed::new();
    let (_key, _client, _server) = bed.relay(RelayOptions::default());
    let text = format!("{:?}", bed.net);
    assert!(text.starts_with("Net { sources: ") && text.contains("Relay"), "{text}");
}
