//! Debug mode: which descriptors it refuses. The errors for inconsistent structures are tested inside the engine, where
//! these can be damaged.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;

use event_base::{Base, BaseFlags, Config, Error, EventSpec, Features, What};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::support::{ONE_PASS, fd, ms, pair, run, tcp_pair};

fn debug() -> Base {
    Base::with_config(&Config::new().set_debug(true)).unwrap()
}

fn add(base: &Base, descriptor: &impl AsRawFd) -> Result<(), Error> {
    base.create_and_add(EventSpec::io(fd(descriptor), What::READ), None).map(|_| ())
}

/// W27: libevent aborts.
#[test]
fn sockets_and_pipes_in_blocking_mode_are_refused() {
    let base = debug();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let (tcp, _peer) = tcp_pair();
    tcp.set_nonblocking(false).unwrap();
    let (read, write) = nix::unistd::pipe().unwrap();
    let descriptors: [OwnedFd; 4] = [socket.into(), tcp.into(), read, write];
    for (before, descriptor) in descriptors.into_iter().enumerate() {
        assert_eq!(add(&base, &descriptor), Err(Error::Blocking(fd(&descriptor))));
        assert_eq!(base.live_events().unwrap(), before, "the event does not exist");
        let flags = OFlag::from_bits_retain(fcntl(&descriptor, FcntlArg::F_GETFL).unwrap());
        fcntl(&descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).unwrap();
        assert_eq!(add(&base, &descriptor), Ok(()));
    }
}

#[test]
fn a_refused_descriptor_changes_nothing_of_its_event() {
    let base = debug();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let event = base.create(EventSpec::io(fd(&socket), What::WRITE)).unwrap();
    assert_eq!(base.add(event, Some(ms(0))), Err(Error::Blocking(fd(&socket))));
    assert_eq!(base.pending(event, What::all()).unwrap(), What::empty());
    socket.set_nonblocking(true).unwrap();
    base.add(event, None).unwrap();
    assert_eq!(run(&base, ONE_PASS).1, [(event, What::WRITE)]);
}

/// Terminals, devices and kernel objects; files are refused by the backend.
#[test]
fn files_and_terminals_in_blocking_mode_are_accepted() {
    let base = debug();
    let Ok(terminal) = nix::pty::openpty(None, None) else { panic!("no pseudo-terminal is available") };
    assert_eq!(add(&base, &terminal.slave), Ok(()));
    #[cfg(target_os = "linux")]
    {
        let counter = nix::sys::eventfd::EventFd::new().unwrap();
        assert_eq!(add(&base, &counter), Ok(()));
    }
    let inner = Base::new().unwrap();
    let descriptor = inner.descriptor().unwrap();
    if let Some(descriptor) = descriptor {
        base.create_and_add(EventSpec::io(descriptor, What::READ), None).unwrap();
    }
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    let refused = add(&base, &file);
    let is_accepted = base.features().unwrap().contains(Features::FDS);
    assert!(if is_accepted { refused.is_ok() } else { matches!(refused, Err(Error::System(_))) });
    let closed = EventSpec::io(i32::MAX / 2, What::READ);
    assert!(matches!(base.create_and_add(closed, None), Err(Error::System(_))));
}

#[test]
fn without_debug_mode_descriptors_may_block() {
    let base = Base::with_config(&Config::new().set_flags(BaseFlags::IGNORE_ENV)).unwrap();
    assert_eq!(base.is_debug(), Ok(false));
    let (socket, _peer) = UnixStream::pair().unwrap();
    assert_eq!(add(&base, &socket), Ok(()));
}

/// libevent reads the variable in its tests only.
#[test]
fn the_environment_does_not_enable_it() {
    const CHILD: &str = "EVENT_BASE_DEBUG_CHILD";
    if std::env::var_os(CHILD).is_none() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "debug_mode::the_environment_does_not_enable_it"])
            .env(CHILD, "1")
            .env("EVENT_DEBUG_MODE", "1")
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        return;
    }
    assert_eq!(std::env::var_os("EVENT_DEBUG_MODE"), Some("1".into()));
    assert_eq!(Base::new().unwrap().is_debug(), Ok(false));
    assert_eq!(debug().is_debug(), Ok(true));
}

/// Other tests run in debug mode through the environment; this one uses every list.
#[test]
fn a_base_in_debug_mode_works_like_any_other() {
    let base = debug();
    let (socket, _peer) = pair();
    let writer = base.create(EventSpec::io(fd(&socket), What::WRITE).persist()).unwrap();
    let timers: Vec<_> =
        (0..200).map(|count| base.create_and_add(EventSpec::timer(), Some(ms(count % 7))).unwrap()).collect();
    base.add(writer, Some(ms(50))).unwrap();
    let mut fired = 0;
    let result = base.run(event_base::LoopFlags::empty(), |base, ready| {
        fired += 1;
        if ready.id == writer {
            base.activate_later(timers[0], What::READ).unwrap();
            base.free(writer).unwrap();
        } else if fired % 3 == 0 {
            _ = base.del(timers[fired % timers.len()]);
        }
    });
    assert_eq!(result, Ok(event_base::LoopResult::Empty));
    assert!(fired > 100, "{fired}");
}
