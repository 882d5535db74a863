//! Relays between other descriptors than TCP sockets: every descriptor that can be watched can be relayed, by copying
//! where it cannot be spliced. A descriptor with one direction fails when the other direction is needed.

#![cfg(target_os = "linux")]

mod support;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;

use event_base_net::{EndReason, RelayEnd, RelayOptions, Transfer, socket};
use nix::errno::Errno;
use nix::pty::openpty;
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::mkfifo;
use support::{Bed, connection, each_method, errno, open_descriptors, pattern};

const SIZE: usize = 1 << 20;

fn options(transfer: Transfer) -> RelayOptions {
    RelayOptions { transfer, ..RelayOptions::default() }
}

/// Runs `test` on each method with each [`Transfer`], and expects that no descriptor is left.
fn each_way(mut test: impl FnMut(&str, &mut Bed, Transfer)) {
    each_method(|method, bed| {
        let before = open_descriptors();
        for transfer in [Transfer::Copy, Transfer::Splice, Transfer::Adaptive] {
            test(&format!("{method}, {transfer:?}"), bed, transfer);
        }
        let _ = std::mem::replace(&mut bed.net, event_base_net::Net::new(bed.base.clone()));
        assert_eq!(open_descriptors(), before, "{method}");
    });
}

fn sending(mut to: impl Write + Send + 'static, seed: u64) -> thread::JoinHandle<()> {
    thread::spawn(move || to.write_all(&pattern(SIZE, seed)).expect("the relay reads"))
}

fn reading(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("the stream ends properly");
        bytes
    })
}

fn finished(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).expect("it is connected");
}

#[track_caller]
fn ended(what: &str, end: &RelayEnd, there: usize, back: usize) {
    assert_eq!((end.reason, end.error), (EndReason::End, None), "{what}");
    assert_eq!((end.bytes_a_to_b, end.bytes_b_to_a), (there as u64, back as u64), "{what}");
}

#[test]
fn a_unix_socket_and_a_tcp_socket_are_relayed_in_both_directions() {
    each_way(|what, bed, transfer| {
        let (near, far) = UnixStream::pair().expect("a pair");
        let (tcp, peer) = connection();
        let key = bed.net.relay(near.into(), tcp, options(transfer)).expect("both can be watched");
        let received =
            [reading(far.try_clone().expect("a copy")), reading(peer.try_clone().expect("a copy"))];
        let there = thread::spawn(move || {
            (&far).write_all(&pattern(SIZE, 1)).expect("the relay reads");
            far.shutdown(Shutdown::Write).expect("it is connected");
        });
        let back = thread::spawn(move || {
            (&peer).write_all(&pattern(SIZE, 2)).expect("the relay reads");
            finished(&peer);
        });
        ended(what, &bed.run_to_end(key), SIZE, SIZE);
        there.join().and_then(|()| back.join()).expect("both are written");
        let [from_tcp, from_unix] = received.map(|thread| thread.join().expect("it is read"));
        assert!(from_tcp == pattern(SIZE, 2) && from_unix == pattern(SIZE, 1), "{what}");
    });
}

#[test]
fn a_pipe_is_read_to_its_end() {
    each_way(|what, bed, transfer| {
        let (read, write) = socket::pipe().expect("a pipe");
        socket::set_nonblocking(&write, false).expect("it is open");
        let (tcp, peer) = connection();
        // Nothing comes in the other direction.
        finished(&peer);
        let key = bed.net.relay(read, tcp, options(transfer)).expect("both can be watched");
        let (sent, received) = (sending(File::from(write), 3), reading(peer));
        ended(what, &bed.run_to_end(key), SIZE, 0);
        sent.join().expect("it is written");
        assert!(received.join().expect("it is read") == pattern(SIZE, 3), "{what}");
    });
}

#[test]
fn writing_to_the_read_end_of_a_pipe_is_an_error() {
    each_way(|what, bed, transfer| {
        let (read, write) = socket::pipe().expect("a pipe");
        let (tcp, mut peer) = connection();
        let key = bed.net.relay(read, tcp, options(transfer)).expect("both can be watched");
        peer.write_all(b"this does not").expect("it is connected");
        finished(&peer);
        File::from(write).write_all(b"this arrives").expect("it fits");
        let end = bed.run_to_end(key);
        assert_eq!(end.reason, EndReason::Error, "{what}");
        assert_eq!(errno(&end.error.expect("it failed")), (Errno::EBADF, "write"), "{what}");
        let mut received = Vec::new();
        // A reset reports to the peer that its own bytes are lost.
        let _ = peer.read_to_end(&mut received);
        assert!(b"this arrives".starts_with(&received), "{what}");
    });
}

#[test]
fn the_write_end_of_a_pipe_is_relayed_to_until_its_reader_closes() {
    each_way(|what, bed, transfer| {
        let (read, write) = socket::pipe().expect("a pipe");
        let (tcp, peer) = connection();
        let key = bed.net.relay(tcp, write, options(transfer)).expect("both can be watched");
        socket::set_nonblocking(&read, false).expect("it is open");
        let sent = sending(peer.try_clone().expect("a copy"), 4);
        let received = thread::spawn(move || {
            let mut pipe = File::from(read);
            let mut bytes = vec![0; SIZE];
            pipe.read_exact(&mut bytes).expect("it arrives");
            (bytes, pipe)
        });
        let (bytes, pipe) = received.join_while_running(bed);
        assert!(bytes == pattern(SIZE, 4), "{what}");
        sent.join().expect("it is written");
        // The system reports the pipe as readable, though this end cannot be read.
        drop(pipe);
        let end = bed.run_to_end(key);
        assert_eq!((end.reason, end.bytes_a_to_b), (EndReason::Error, SIZE as u64), "{what}");
        assert_eq!(errno(&end.error.expect("it failed")), (Errno::EBADF, "read"), "{what}");
        drop(peer);
    });
}

/// Waits for a thread while the loop runs.
trait JoinWhileRunning<T> {
    fn join_while_running(self, bed: &mut Bed) -> T;
}

impl<T> JoinWhileRunning<T> for thread::JoinHandle<T> {
    fn join_while_running(self, bed: &mut Bed) -> T {
        bed.run_to(|_| self.is_finished());
        self.join().expect("the thread does not panic")
    }
}

#[test]
fn a_fifo_is_relayed_until_it_is_closed() {
    each_way(|what, bed, transfer| {
        let path = std::env::temp_dir().join(format!("event-base-fifo-{}-{transfer:?}", std::process::id()));
        mkfifo(&path, Mode::S_IRWXU).expect("the folder can be written to");
        // Open for both directions, so that the open does not wait for another process.
        let source = OpenOptions::new().read(true).write(true).open(&path).expect("it is there");
        let writer = OpenOptions::new().write(true).open(&path).expect("it is there");
        std::fs::remove_file(&path).expect("it is there");
        let (tcp, mut peer) = connection();
        let key = bed.net.relay(OwnedFd::from(source), tcp, options(transfer)).expect("both can be watched");
        let sent = sending(writer, 5);
        let received = thread::spawn(move || {
            let mut bytes = vec![0; SIZE];
            peer.read_exact(&mut bytes).expect("it arrives");
            (bytes, peer)
        });
        let (bytes, peer) = received.join_while_running(bed);
        assert!(bytes == pattern(SIZE, 5), "{what}");
        sent.join().expect("it is written");
        bed.net.close(key).expect("it is running");
        bed.run_to_end(key);
        drop(peer);
    });
}

#[test]
fn a_terminal_is_relayed_by_copying() {
    each_way(|what, bed, transfer| {
        const TYPED: usize = 64 << 10;
        let pty = openpty(None, None).expect("there are pseudo-terminals");
        let mut settings = tcgetattr(&pty.slave).expect("it is a terminal");
        cfmakeraw(&mut settings);
        tcsetattr(&pty.slave, SetArg::TCSANOW, &settings).expect("it is a terminal");
        let (tcp, mut peer) = connection();
        let key = bed.net.relay(pty.slave, tcp, options(transfer)).expect("both can be watched");
        let mut keyboard = File::from(pty.master);
        let mut screen = keyboard.try_clone().expect("a copy");
        let typing = thread::spawn(move || keyboard.write_all(&pattern(TYPED, 6)).expect("the relay reads"));
        let talk = thread::spawn(move || {
            let mut received = vec![0; TYPED];
            peer.read_exact(&mut received).expect("it arrives");
            peer.write_all(b"an answer").expect("it is connected");
            let mut shown = [0; 9];
            screen.read_exact(&mut shown).expect("it is shown");
            (received, shown, peer, screen)
        });
        let (received, shown, ..) = talk.join_while_running(bed);
        typing.join().expect("it is written");
        assert!(received == pattern(TYPED, 6), "{what}");
        assert_eq!(&shown, b"an answer", "{what}");
        let stats = bed.net.stats(key);
        if let Ok(stats) = stats {
            assert_eq!((stats.bytes_a_to_b, stats.bytes_b_to_a), (TYPED as u64, 9), "{what}");
            bed.net.close(key).expect("it is running");
        }
        bed.run_to_end(key);
    });
}
