//! A proxy between clients and servers that are plain blocking sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use event_base_net::Address;
use event_base_net::proxy::{Door, Problem, Proxy, ProxyOptions, ProxyStats, Upstream};
use event_base_net::socket::BindOptions;

use super::PATIENCE;

pub fn loopback() -> Door {
    Door::At(Address::internet("127.0.0.1", 0).expect("it is numeric"), BindOptions::default())
}

/// A proxy whose ends are awaited.
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
        Self::start(ProxyOptions { threads, ..ProxyOptions::new(loopback(), upstreams) })
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

    /// Which server a new connection reaches, by the byte it greets with; `None` where it reaches none.
    pub fn ask(&self) -> Option<u8> {
        greeting(&mut self.dial())
    }

    /// Waits until the statistics are as they should be.
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

    /// Waits for problems until one is as it should be; answers all up to it.
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

fn greeting(client: &mut TcpStream) -> Option<u8> {
    let mut byte = [0];
    match client.read(&mut byte) {
        Ok(0) => None,
        Ok(_) => Some(byte[0]),
        // Closed with something unread is a reset.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
        Err(error) => panic!("{error}"),
    }
}

/// A server that greets with a byte, then sends everything back.
pub struct Server {
    pub address: SocketAddr,
    pub greeting: u8,
    door: Arc<TcpListener>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(greeting: u8) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("it is an address"), greeting)
    }

    /// At an address that a server had before.
    pub fn start_at(address: SocketAddr, greeting: u8) -> Self {
        let door = Arc::new(TcpListener::bind(address).expect("the port is free"));
        let address = door.local_addr().expect("it is bound");
        let accepting = Arc::clone(&door);
        let thread = std::thread::spawn(move || {
            while let Ok((mut peer, _)) = accepting.accept() {
                std::thread::spawn(move || serve(&mut peer, greeting));
            }
        });
        Server { address, greeting, door, thread: Some(thread) }
    }

    pub fn upstream(&self) -> Upstream {
        Upstream::new(char::from(self.greeting), Address::Internet(self.address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ends the accept that waits.
        let _ = socket2::SockRef::from(&*self.door).shutdown(std::net::Shutdown::Both);
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

/// An address where nobody listens, kept from others while the value lives.
pub fn refusing() -> (SocketAddr, socket2::Socket) {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be had");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("it is an address");
    socket.bind(&any.into()).expect("a port is free");
    let address = socket.local_addr().expect("it is bound").as_socket().expect("it is IPv4");
    (address, socket)
}

/// An address whose queue is full, so that connecting to it gets no answer, as from a dead host.
pub struct Silent {
    pub address: SocketAddr,
    _door: socket2::Socket,
    _waiting: Vec<socket2::Socket>,
}

impl Silent {
    pub fn new() -> Self {
        use socket2::{Domain, Socket, Type};
        let (address, door) = refusing();
        door.listen(0).expect("it is bound");
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
        Silent { address, _door: door, _waiting: waiting }
    }
}
