//! A relay that always has bytes does not keep the loop from the others.

mod support;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use event_base_net::RelayOptions;
use support::{PATIENCE, each_method};

#[test]
fn a_small_exchange_is_not_starved_by_a_large_transfer() {
    each_method(|method, bed| {
        let stop = Arc::new(AtomicBool::new(false));
        let mut peers = Vec::new();
        for _ in 0..2 {
            let (_, mut client, mut server) = bed.relay(RelayOptions::default());
            let stop = Arc::clone(&stop);
            peers.push(thread::spawn(move || {
                let block = vec![1; 1 << 20];
                while !stop.load(Ordering::Relaxed) && client.write_all(&block).is_ok() {}
            }));
            peers.push(thread::spawn(move || {
                let mut block = vec![0; 1 << 20];
                while matches!(server.read(&mut block), Ok(count) if count > 0) {}
            }));
        }
        let (_, mut client, mut server) = bed.relay(RelayOptions::default());
        peers.push(thread::spawn(move || {
            let mut message = [0; 16];
            while server.read_exact(&mut message).is_ok() {
                server.write_all(&message).expect("the relay reads");
            }
        }));
        let asking = thread::spawn(move || {
            // The timeouts of the descriptors fail the test if the exchange is starved.
            for _ in 0..50 {
                client.write_all(&[9; 16]).expect("the relay reads");
                client.read_exact(&mut [0; 16]).expect("the echo arrives");
            }
            stop.store(true, Ordering::Relaxed);
        });
        let start = Instant::now();
        while !asking.is_finished() && start.elapsed() < PATIENCE {
            bed.run_for(Duration::from_millis(20));
        }
        assert!(asking.is_finished(), "{method}: the exchange was starved");
        asking.join().expect("the client does not panic");
        while !peers.iter().all(thread::JoinHandle::is_finished) {
            bed.run_for(Duration::from_millis(20));
        }
        for peer in peers {
            peer.join().expect("the peer does not panic");
        }
    });
}

/// With pipes of a known size, which only Linux has.
#[cfg(target_os = "linux")]
mod of_pipes {
    use event_base::LoopFlags;
    use event_base_net::socket;
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::sys::stat::Mode;

    use super::*;
    use crate::support::{Bed, alone};

    /// A FIFO that holds a mebibyte, open for both directions.
    fn roomy_fifo(folder: &std::path::Path, name: &str) -> std::os::fd::OwnedFd {
        let path = folder.join(name);
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("a FIFO can be made");
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fifo = nix::fcntl::open(&path, flags, Mode::empty()).expect("it opens");
        fcntl(&fifo, FcntlArg::F_SETPIPE_SZ(1 << 20)).expect("a mebibyte is what everybody may have");
        fifo
    }

    #[test]
    fn a_direction_moves_half_a_mebibyte_per_pass_and_no_more() {
        let _turn = alone();
        let folder = std::env::temp_dir().join(format!("event-base-net-fair-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let (source, sink) = (roomy_fifo(&folder, "source"), roomy_fifo(&folder, "sink"));
        std::fs::remove_dir_all(&folder).expect("the folder can be removed");
        let full = vec![1; 1 << 20];
        assert_eq!(socket::write(&source, &full), Ok(Some(full.len())));

        let mut bed = Bed::new();
        let key = bed.net.relay(source, sink, RelayOptions::default()).expect("both can be watched");
        let net = &mut bed.net;
        let mut first = None;
        bed.base
            .run(LoopFlags::ONCE, |base, ready| {
                net.ready(&ready);
                first = Some(net.stats(key).expect("it is running"));
                base.loop_break().expect("the base is open");
            })
            .expect("the loop runs");
        let first = first.expect("the source was ready");
        assert_eq!((first.bytes_a_to_b, first.held_a_to_b), (512 * 1024, 0));
    }
}
