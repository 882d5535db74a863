//! A listener accepts a bounded batch per pass, and stops at the connection after which it is paused or closed.

mod support;

use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use event_base::{Error, EventSpec, What};
use event_base_net::{Address, Completion, ListenOptions, SourceKey, socket};
use nix::errno::Errno;
use support::{Bed, each_method, errno, open_descriptors};

fn listen(bed: &mut Bed, batch: u32) -> (SourceKey, std::net::SocketAddr) {
    let any = Address::internet("127.0.0.1", 0).expect("it is numeric");
    let listener = socket::listen(&any, &socket::BindOptions::default()).expect("a port is free");
    let Ok(Address::Internet(address)) = socket::address(&listener) else { panic!("it is bound") };
    (
        bed.net
            .listen(listener, ListenOptions { batch, ..ListenOptions::default() })
            .expect("it can be watched"),
        address,
    )
}

fn dial(address: std::net::SocketAddr, times: usize) -> Vec<TcpStream> {
    (0..times).map(|_| TcpStream::connect(address).expect("it listens")).collect()
}

#[test]
fn a_pass_accepts_no_more_than_the_batch_and_no_connection_is_lost() {
    each_method(|method, bed| {
        let (_, address) = listen(bed, 4);
        let clients = dial(address, 10);
        let (mut passes, mut peers) = (Vec::new(), Vec::new());
        bed.run_until(|net, completion| {
            let mut batch = 1;
            let mut next = Some(completion);
            while let Some(Completion::Accepted { peer, .. }) = next {
                peers.push(peer);
                next = net.completion();
                batch += usize::from(next.is_some());
            }
            passes.push(batch);
            peers.len() == 10
        });
        // A handshake that completes late needs another pass; no pass accepts more than a batch.
        assert!(passes.len() >= 3 && passes.iter().max() == Some(&4), "{method}: {passes:?}");
        for client in clients {
            let own = Address::Internet(client.local_addr().expect("it is connected"));
            assert!(peers.contains(&own), "{method}: {own:?} was not named");
        }
    });
}

#[test]
fn accepted_descriptors_are_nonblocking_and_close_on_exec() {
    each_method(|method, bed| {
        let (_, address) = listen(bed, 4);
        let _client = dial(address, 1);
        bed.run_until(|_, completion| {
            let Completion::Accepted { fd, .. } = completion else { panic!("unexpected: {completion:?}") };
            assert_eq!(socket::read(&fd, &mut [0; 8]), Ok(None), "{method}");
            let flags = nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_GETFD).expect("it is open");
            assert_eq!(flags & nix::libc::FD_CLOEXEC, nix::libc::FD_CLOEXEC, "{method}");
            true
        });
    });
}

#[test]
fn a_pause_within_a_batch_takes_effect_immediately_and_resuming_continues() {
    each_method(|method, bed| {
        let (key, address) = listen(bed, 64);
        let _clients = dial(address, 5);
        let mut accepted = 0;
        bed.run_until(|net, completion| {
            assert!(matches!(completion, Completion::Accepted { .. }), "{method}: {completion:?}");
            accepted += 1;
            if accepted == 2 {
                net.pause(key).expect("it is a listener");
                net.pause(key).expect("it is idempotent");
            }
            accepted == 2
        });
        let handed = bed.handed;
        assert!(bed.run_for(Duration::from_millis(50)).is_empty(), "{method}");
        assert_eq!(bed.handed, handed, "{method}: a paused listener was woken");
        bed.net.resume(key).expect("it is a listener");
        bed.net.resume(key).expect("it is idempotent");
        bed.run_until(|_, completion| {
            assert!(matches!(completion, Completion::Accepted { .. }), "{method}: {completion:?}");
            accepted += 1;
            accepted == 5
        });
    });
}

#[test]
fn a_listener_that_is_closed_within_a_batch_accepts_no_more() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let (key, address) = listen(bed, 64);
        let clients = dial(address, 5);
        bed.run_until(|net, completion| {
            assert!(matches!(completion, Completion::Accepted { .. }), "{method}: {completion:?}");
            net.close(key).expect("it is a listener");
            assert_eq!(net.pause(key), Err(Error::Closed));
            true
        });
        assert!(bed.run_for(Duration::from_millis(50)).is_empty(), "{method}");
        drop(clients);
        assert_eq!(open_descriptors(), before, "{method}");
        assert!(TcpStream::connect(address).is_err(), "{method}: the port still listens");
    });
}

#[test]
fn a_listener_that_was_shut_down_elsewhere_accepts_when_it_listens_again() {
    each_method(|method, bed| {
        let any = Address::internet("127.0.0.1", 0).expect("it is numeric");
        let listener = socket::listen(&any, &socket::BindOptions::default()).expect("a port is free");
        let other = listener.try_clone().expect("a descriptor is free");
        let key = bed.net.listen(listener, ListenOptions::default()).expect("it can be watched");
        socket::shutdown(&other, socket::Direction::Both).expect("it listens");
        bed.run_until(|_, completion| {
            let Completion::AcceptFailed { key: of, error, retry_after: Some(_) } = completion else {
                panic!("unexpected: {completion:?}");
            };
            assert_eq!(of, key);
            assert_eq!(errno(&error), (Errno::EINVAL, "accept"), "{method}");
            true
        });
        socket::check_listening(&other, Some(8)).expect("it can listen again");
        // The kernel chose the port, and chooses another one.
        let Ok(Address::Internet(address)) = socket::address(&other) else { panic!("it is bound") };
        let _client = TcpStream::connect(address).expect("it listens");
        bed.run_until(|_, completion| {
            assert!(matches!(completion, Completion::Accepted { .. }), "{method}: {completion:?}");
            true
        });
    });
}

#[test]
fn a_socket_that_cannot_listen_is_reported_and_closed() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let (near, far) = socket::pair().expect("a pair");
        let key = bed.net.listen(near, ListenOptions::default()).expect("it can be watched");
        socket::write(&far, b"x").expect("it is connected");
        bed.run_until(|_, completion| {
            let Completion::AcceptFailed { key: of, error, retry_after: None } = completion else {
                panic!("unexpected: {completion:?}");
            };
            assert_eq!(of, key);
            assert_eq!(errno(&error), (Errno::EINVAL, "accept"), "{method}");
            true
        });
        assert_eq!(bed.net.close(key), Err(Error::Closed), "{method}");
        drop(far);
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn a_batch_of_zero_is_refused() {
    each_method(|_, bed| {
        let any = Address::internet("127.0.0.1", 0).expect("it is numeric");
        let listener = socket::listen(&any, &socket::BindOptions::default()).expect("a port is free");
        assert_eq!(
            bed.net.listen(listener, ListenOptions { batch: 0, ..ListenOptions::default() }),
            Err(Error::OutOfRange("batch"))
        );
    });
}

#[test]
fn a_listener_that_is_refused_returns_its_descriptor() {
    each_method(|method, bed| {
        let any = Address::internet("127.0.0.1", 0).expect("it is numeric");
        let listener = socket::listen(&any, &socket::BindOptions::default()).expect("a port is free");
        let number = listener.as_raw_fd();
        let none = ListenOptions { batch: 0, ..ListenOptions::default() };
        let refused = bed.net.listen_or_return(listener, none).expect_err("the batch is empty");
        assert_eq!((refused.error, refused.fd.as_raw_fd()), (Error::OutOfRange("batch"), number), "{method}");
        let event = bed.base.create_and_add(EventSpec::io(number, What::READ | What::ET), None);
        let refused = bed.net.listen_or_return(refused.fd, ListenOptions::default());
        if let Ok(event) = event {
            let refused = refused.expect_err("the descriptor has an edge-triggered event");
            assert!(matches!(refused.error, Error::BadFlags(_)), "{method}");
            bed.base.free(event).expect("it exists");
            bed.net.listen_or_return(refused.fd, ListenOptions::default()).expect("it can be watched");
        }
    });
}
