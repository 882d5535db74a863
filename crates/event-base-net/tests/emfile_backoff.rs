//! Without free descriptors a listener waits without using processor time, reports it once, and accepts later.

mod support;

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use event_base_net::{Address, Completion, ListenOptions, SourceKey, socket};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use support::{Bed, PATIENCE, busy_time, each_method, errno};

/// Opens every free descriptor.
fn take_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Lowers the limit of descriptors, so that they are used up quickly.
fn lower_the_limit() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    setrlimit(Resource::RLIMIT_NOFILE, soft.min(256), hard).expect("lowering is always allowed");
}

/// A listener, and connections that wait for it.
fn listener_with_clients(bed: &mut Bed, count: usize) -> (SourceKey, SocketAddr, Vec<TcpStream>) {
    let any = Address::internet("127.0.0.1", 0).expect("it is numeric");
    let listener = socket::listen(&any, &socket::BindOptions::default()).expect("a port is free");
    let Ok(Address::Internet(address)) = socket::address(&listener) else { panic!("it is bound") };
    let key = bed.net.listen(listener, ListenOptions::default()).expect("it can be watched");
    let clients = (0..count).map(|_| TcpStream::connect(address).expect("it listens")).collect();
    (key, address, clients)
}

#[test]
fn no_connection_is_lost_when_descriptors_run_out() {
    lower_the_limit();
    each_method(|method, bed| {
        let (key, _, clients) = listener_with_clients(bed, 6);
        let mut taken = take_all();
        taken.truncate(taken.len() - 2);

        let mut accepted = Vec::new();
        bed.run_until(|_, completion| match completion {
            Completion::Accepted { fd, .. } => {
                accepted.push(fd);
                false
            }
            Completion::AcceptFailed { key: of, error, retry_after: Some(_) } => {
                assert_eq!((of, errno(&error)), (key, (Errno::EMFILE, "accept")), "{method}");
                true
            }
            other => panic!("{method}: unexpected: {other:?}"),
        });
        assert_eq!(accepted.len(), 2, "{method}");

        drop(taken);
        bed.run_until(|_, completion| {
            let Completion::Accepted { fd, .. } = completion else { panic!("unexpected: {completion:?}") };
            accepted.push(fd);
            accepted.len() == clients.len()
        });
    });
}

#[test]
fn a_listener_without_descriptors_waits_and_recovers() {
    lower_the_limit();
    each_method(|method, bed| {
        let (key, address, clients) = listener_with_clients(bed, 3);

        let taken = take_all();
        let (handed, busy, start) = (bed.handed, busy_time(), Instant::now());
        let mut completions = bed.run_for(Duration::from_millis(600));
        while bed.handed - handed < 4 && start.elapsed() < PATIENCE {
            completions.append(&mut bed.run_for(Duration::from_millis(200)));
        }
        let (handed, busy, took) = (bed.handed - handed, busy_time() - busy, start.elapsed());
        let [Completion::AcceptFailed { key: of, error, retry_after: Some(pause) }] = &completions[..] else {
            panic!("{method}: {completions:?}");
        };
        assert_eq!((*of, errno(error)), (key, (Errno::EMFILE, "accept")), "{method}");
        assert_eq!(*pause, Duration::from_millis(10), "{method}");
        // Attempts after 10, 20, 40, 80, 160, 320 ms and so on, with two events each.
        let tries = 2 + (1.0 + took.as_secs_f64() / 0.01).log2() as usize;
        assert!((4..=2 * tries).contains(&handed), "{method}: {handed} events in {took:?}");
        assert!(busy < Duration::from_millis(100), "{method}: busy for {busy:?}");

        drop(taken);
        let mut accepted = Vec::new();
        bed.run_until(|_, completion| {
            let Completion::Accepted { fd, .. } = completion else { panic!("unexpected: {completion:?}") };
            accepted.push(fd);
            accepted.len() == clients.len()
        });

        // The next shortage starts with the shortest pause and is reported again.
        let _client = TcpStream::connect(address).expect("it listens");
        let taken = take_all();
        let completions = bed.run_for(Duration::from_millis(100));
        let [Completion::AcceptFailed { retry_after: Some(pause), .. }] = &completions[..] else {
            panic!("{method}: {completions:?}");
        };
        assert_eq!(*pause, Duration::from_millis(10), "{method}");
        // A listener that is closed while it waits leaves nothing.
        bed.net.close(key).expect("it is a listener");
        drop(taken);
        assert!(bed.run_for(Duration::from_millis(50)).is_empty(), "{method}");
    });
}
