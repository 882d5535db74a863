//! The outcomes of a connect.

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use event_base::{Error, LoopFlags};
use event_base_net::{Address, Completion, Net, Result, SourceKey, socket};
use nix::errno::Errno;
use support::{Bed, await_readable, closed_port, each_method, errno, open_descriptors, silent_port};

fn outcome(bed: &mut Bed, connect: SourceKey) -> Result<OwnedFd> {
    let mut outcome = None;
    bed.run_until(|_, completion| match completion {
        Completion::Connected { key, result, .. } if key == connect => {
            outcome = Some(result);
            true
        }
        other => panic!("unexpected: {other:?}"),
    });
    outcome.expect("it has ended")
}

#[test]
fn a_connect_to_a_listening_port_succeeds_in_both_families() {
    each_method(|method, bed| {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(host).expect("a port is free");
            let address = listener.local_addr().expect("it is bound");
            let key = bed.net.connect(&Address::Internet(address), Some(Duration::from_secs(5)));
            let fd = outcome(bed, key.expect("it begins")).expect("it listens");
            let (mut far, peer) = listener.accept().expect("it is connected");
            assert_eq!(socket::address(&fd), Ok(Address::Internet(peer)), "{method}");
            assert_eq!(socket::peer(&fd), Ok(Address::Internet(address)), "{method}");
            far.write_all(b"hello").expect("it is connected");
            await_readable(&fd);
            assert_eq!(socket::read(&fd, &mut [0; 8]), Ok(Some(5)), "{method}");
        }
    });
}

#[test]
fn a_connect_to_a_path_and_to_an_abstract_name_completes_in_the_loop() {
    each_method(|method, bed| {
        let folder = std::env::temp_dir().join(format!("event-base-net-connect-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let path = folder.join("socket");
        let _listener = UnixListener::bind(&path).expect("it can be made");
        let path = Address::path(path.to_str().expect("it is text")).expect("it is short");
        let name = format!("\0event-base-net-{}", std::process::id());
        let name = Address::path(name).expect("it is short");
        let _other = socket::listen(&name, &socket::BindOptions::default()).expect("the name is free");
        for address in [&path, &name] {
            let key = bed.net.connect(address, None).expect("it begins");
            let fd = outcome(bed, key).expect("it listens");
            assert_eq!(socket::peer(&fd).as_ref(), Ok(address), "{method}");
        }
        std::fs::remove_dir_all(folder).expect("the folder can be removed");
    });
}

#[test]
fn a_closed_port_refuses() {
    each_method(|method, bed| {
        let (_listener, port) = closed_port();
        let before = open_descriptors();
        let key = bed.net.connect(&Address::Internet(port), None).expect("it begins");
        let refused = outcome(bed, key).expect_err("no socket listens");
        assert_eq!(errno(&refused), (Errno::ECONNREFUSED, "connect"), "{method}");
        assert_eq!(bed.net.close(key), Err(Error::Closed), "{method}");
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn a_path_that_does_not_exist_is_refused_immediately() {
    each_method(|method, bed| {
        let before = open_descriptors();
        let nowhere = Address::path("/nonexistent/path").expect("it is short");
        let refused = bed.net.connect(&nowhere, None).expect_err("there is nothing");
        assert_eq!(errno(&refused), (Errno::ENOENT, "connect"), "{method}");
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn a_host_that_does_not_answer_times_out() {
    each_method(|method, bed| {
        let (_listener, address, _waiting) = silent_port();
        let before = open_descriptors();
        let limit = Duration::from_millis(150);
        let start = Instant::now();
        let key = bed.net.connect(&address, Some(limit)).expect("it begins");
        let late = outcome(bed, key).expect_err("no host answers");
        assert_eq!(errno(&late), (Errno::ETIMEDOUT, "connect"), "{method}");
        let took = start.elapsed();
        // The kernel itself would go on for two minutes.
        assert!(took >= limit && took < Duration::from_secs(60), "{method}: {took:?}");
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn a_connect_that_is_closed_has_no_completion() {
    each_method(|method, bed| {
        let (_listener, address, _waiting) = silent_port();
        let before = open_descriptors();
        let key = bed.net.connect(&address, Some(Duration::from_millis(50))).expect("it begins");
        bed.net.close(key).expect("it is in progress");
        assert!(bed.run_for(Duration::from_millis(100)).is_empty(), "{method}");
        let other = bed.net.connect(&address, None).expect("it begins");
        assert_ne!(other, key, "{method}");
        bed.net = Net::new(bed.base.clone());
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

#[test]
fn closing_a_connect_closes_the_connection_that_was_not_taken() {
    each_method(|method, bed| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let target = Address::Internet(listener.local_addr().expect("it is bound"));
        let before = open_descriptors();
        let keys = [(); 2].map(|()| bed.net.connect(&target, None).expect("it begins"));
        let far = [(); 2].map(|()| listener.accept().expect("it is connected"));
        let (net, mut ended) = (&mut bed.net, 0);
        while ended < keys.len() {
            let count = |_: &_, ready: event_base::Ready| {
                net.ready(&ready);
                ended += 1;
            };
            bed.base.run(LoopFlags::ONCE, count).expect("the loop runs");
        }
        // Both have ended, and neither completion was taken.
        assert_eq!(net.close(keys[0]), Ok(()), "{method}");
        assert_eq!(net.close(keys[0]), Err(Error::Closed), "{method}");
        let Some(Completion::Connected { key, result: Ok(fd), .. }) = net.completion() else {
            panic!("{method}: the other one completes")
        };
        assert_eq!(key, keys[1], "{method}");
        assert!(net.completion().is_none(), "{method}");
        drop((fd, far));
        assert_eq!(open_descriptors(), before, "{method}");
    });
}
