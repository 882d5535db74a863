//! A proxy between clients and servers that are plain blocking sockets.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use event_base_net::Address;
use event_base_net::proxy::{Endpoint, Problem, Proxy, ProxyOptions, ProxyStats, Resolver, Upstream};
use event_base_net::socket::BindOptions;

use super::PATIENCE;

pub fn loopback() -> Endpoint {
    Endpoint::Bind(Address::internet("127.0.0.1", 0).expect("it is numeric"), BindOptions::default())
}

/// Options of sockets that share their address.
pub fn sharing() -> BindOptions {
    BindOptions { reuse_port: true, ..BindOptions::default() }
}

/// A proxy, and waits for its states.
pub struct Running(pub Proxy);

impl Deref for Running {
    type Target = Proxy;

    fn deref(&self) -> &Proxy {
        &self.0
    }
}

impl Running {
    pub fn start(options: ProxyOptions) -> Self {
        Running(Proxy::start(options, || {}).expect("it can start"))
    }

    pub fn to(upstreams: Vec<Upstream>, threads: u32) -> Self {
        Self::at(loopback(), upstreams, threads)
    }

    pub fn at(listener: Endpoint, upstreams: Vec<Upstream>, threads: u32) -> Self {
        Self::start(ProxyOptions { threads, ..ProxyOptions::new(listener, upstreams) })
    }

    pub fn port(&self) -> SocketAddr {
        match self.address() {
            Address::Internet(address) => *address,
            other => panic!("not an internet address: {other:?}"),
        }
    }

    pub fn dial(&self) -> TcpStream {
        let client = TcpStream::connect(self.port()).expect("it accepts");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        client.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        client
    }

    /// A connection that has reached a server.
    pub fn greeted(&self) -> TcpStream {
        let mut client = self.dial();
        client.read_exact(&mut [0]).expect("a server greets");
        client
    }

    /// Makes a connection and returns the byte that its server greets with; `None` where it reaches none.
    pub fn greeting(&self) -> Option<u8> {
        greeting(&mut self.dial())
    }

    /// Waits until the statistics meet a condition.
    #[track_caller]
    pub fn until(&self, what: &str, reached: impl Fn(&ProxyStats) -> bool) -> ProxyStats {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let stats = self.stats();
            if reached(&stats) {
                return stats;
            }
            assert!(Instant::now() < give_up, "never {what}: {stats:?}");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Waits until its threads have ended.
    #[track_caller]
    pub fn until_over(&self) {
        let give_up = Instant::now() + PATIENCE;
        while !self.is_over() {
            assert!(Instant::now() < give_up, "it does not end");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Waits for problems until one meets a condition. Returns all problems up to it.
    #[track_caller]
    pub fn until_problem(&self, what: &str, wanted: impl Fn(&Problem) -> bool) -> Vec<Problem> {
        let give_up = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            seen.extend(self.take_problems());
            if seen.iter().any(&wanted) {
                return seen;
            }
            assert!(Instant::now() < give_up, "no {what}: {seen:?}");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

/// The byte that a server greets with; `None` where the connection ends.
pub fn greeting(client: &mut TcpStream) -> Option<u8> {
    let mut byte = [0];
    match client.read(&mut byte) {
        Ok(0) => None,
        Ok(_) => Some(byte[0]),
        // A close with unread bytes is a reset.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
        Err(error) => panic!("{error}"),
    }
}

/// The number of threads of this process with a name, where the system lists them.
pub fn threads_named(name: &str) -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|found| found.trim() == name).count()
}

/// Waits until `count` threads have a name, where the system lists them.
#[track_caller]
pub fn until_threads(name: &str, count: usize) {
    let wanted = if cfg!(target_os = "linux") { count } else { 0 };
    let give_up = Instant::now() + PATIENCE;
    while threads_named(name) != wanted {
        assert!(Instant::now() < give_up, "{} threads, not {wanted}", threads_named(name));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// A server that greets with a byte, then sends everything back.
pub struct Server {
    pub address: SocketAddr,
    pub greeting: u8,
    listener: Arc<TcpListener>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(greeting: u8) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("it is an address"), greeting)
    }

    /// At an address that a server had before.
    pub fn start_at(address: SocketAddr, greeting: u8) -> Self {
        let listener = Arc::new(TcpListener::bind(address).expect("the port is free"));
        let address = listener.local_addr().expect("it is bound");
        let accepting = Arc::clone(&listener);
        let thread = std::thread::spawn(move || {
            while let Ok((mut peer, _)) = accepting.accept() {
                std::thread::spawn(move || serve(&mut peer, greeting));
            }
        });
        Server { address, greeting, listener, thread: Some(thread) }
    }

    pub fn upstream(&self) -> Upstream {
        Upstream::new(char::from(self.greeting), Address::Internet(self.address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ends the accept that waits.
        let _ = socket2::SockRef::from(&*self.listener).shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(peer: &mut TcpStream, greeting: u8) {
    let mut buffer = vec![0; 65_536];
    if peer.write_all(&[greeting]).is_err() {
        return;
    }
    while let Ok(count @ 1..) = peer.read(&mut buffer) {
        if peer.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

/// An address at which no socket listens, and the socket that keeps it from others.
pub fn refusing() -> (SocketAddr, socket2::Socket) {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be had");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("it is an address");
    socket.bind(&any.into()).expect("a port is free");
    let address = socket.local_addr().expect("it is bound").as_socket().expect("it is IPv4");
    (address, socket)
}

/// An address whose queue is full, so that connects get no answer, as from a host that is down.
pub struct Silent {
    pub address: SocketAddr,
    _listener: socket2::Socket,
    _waiting: Vec<socket2::Socket>,
}

impl Silent {
    pub fn new() -> Self {
        use socket2::{Domain, Socket, Type};
        let (address, listener) = refusing();
        listener.listen(0).expect("it is bound");
        let waiting = (0..3)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be had");
                socket.set_nonblocking(true).expect("a socket can be");
                let _ = socket.connect(&address.into());
                socket
            })
            .collect::<Vec<_>>();
        let give_up = Instant::now() + PATIENCE;
        while !waiting.iter().any(|socket| socket.peer_addr().is_ok()) {
            assert!(Instant::now() < give_up, "the queue does not fill");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Silent { address, _listener: listener, _waiting: waiting }
    }
}

/// A server at each of two addresses of one host, with one port. They greet with `a` and `b`.
pub fn twins() -> [Server; 2] {
    loop {
        let first = Server::start(b'a');
        let other = SocketAddr::new("::1".parse().expect("it is an address"), first.address.port());
        // The port may be in use for the other family.
        if let Ok(listener) = TcpListener::bind(other) {
            drop(listener);
            return [first, Server::start_at(other, b'b')];
        }
    }
}

/// The hosts of [`twins`].
pub fn twin_hosts() -> [IpAddr; 2] {
    ["127.0.0.1", "::1"].map(|host| host.parse().expect("it is an address"))
}

#[derive(Clone, Debug)]
pub enum Answer {
    Addresses(Vec<IpAddr>),
    Failure(&'static str),
    /// No answer until there is another one.
    Hang,
}

/// A resolver with the answers that a test sets. Names without an answer hang until the test ends.
#[derive(Debug, Default)]
pub struct Script {
    answers: Mutex<HashMap<String, Answer>>,
    has_ended: AtomicBool,
    calls: Mutex<HashMap<String, usize>>,
    changed: Condvar,
}

/// The script of one test. Look-ups that hang fail when it is dropped, so that their threads end.
#[derive(Debug, Default)]
pub struct OwnedScript(Arc<Script>);

impl Deref for OwnedScript {
    type Target = Arc<Script>;

    fn deref(&self) -> &Arc<Script> {
        &self.0
    }
}

impl Drop for OwnedScript {
    fn drop(&mut self) {
        let answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.has_ended.store(true, Ordering::Relaxed);
        drop(answers);
        self.0.changed.notify_all();
    }
}

impl Script {
    #[expect(clippy::new_ret_no_self, reason = "a test holds the owner")]
    pub fn new() -> OwnedScript {
        OwnedScript::default()
    }

    pub fn set(&self, host: &str, answer: Answer) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), answer);
        self.changed.notify_all();
    }

    pub fn addresses(&self, host: &str, addresses: &[IpAddr]) {
        self.set(host, Answer::Addresses(addresses.to_vec()));
    }

    /// The number of look-ups of `host` so far.
    pub fn calls(&self, host: &str) -> usize {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied().unwrap_or(0)
    }

    /// Waits for a look-up beyond the first `count`.
    #[track_caller]
    pub fn until_calls(&self, host: &str, count: usize) {
        let give_up = Instant::now() + PATIENCE;
        while self.calls(host) <= count {
            assert!(Instant::now() < give_up, "only {} look-ups", self.calls(host));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

impl Resolver for Script {
    fn resolve(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(host.to_owned()).or_default() += 1;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match answers.get(host) {
                Some(Answer::Addresses(addresses)) => {
                    return Ok(addresses.iter().map(|host| SocketAddr::new(*host, 0)).collect());
                }
                Some(Answer::Failure(reason)) => return Err(io::Error::other(*reason)),
                Some(Answer::Hang) | None => {}
            }
            if self.has_ended.load(Ordering::Relaxed) {
                return Err(io::Error::other("the test has ended"));
            }
            answers = self.changed.wait(answers).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
