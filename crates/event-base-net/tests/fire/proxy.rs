//! The proxy of the test: a net on one base, with a listener and an upstream for each lane.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::time::Duration;

use event_base::{Base, CountFlags, Error, EventSpec, LoopFlags, SystemError};
use event_base_net::{
    Address, Completion, ListenOptions, Net, RateLimit, RelayEnd, RelayOptions, SourceKey, socket,
};
use nix::errno::Errno;
use socket2::SockRef;

use crate::plan::{TIGHT, Terms};

/// The outcome of a connection.
#[derive(Debug)]
pub(crate) enum Outcome {
    Relayed(RelayEnd),
    /// The upstream closed before the connect ended.
    Lost,
    /// A failure of the test.
    Failed(String),
}

/// The upstream of a lane, and the channel for the outcomes of its connections.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) terms: Terms,
    pub(crate) is_tight: bool,
    pub(crate) upstream: SocketAddr,
    pub(crate) ends: Sender<Outcome>,
}

impl Terms {
    fn options(self) -> RelayOptions {
        match self {
            Terms::Plain => RelayOptions::default(),
            Terms::Limited => RelayOptions {
                limit: Some(RateLimit { rate: 4 << 20, burst: 32 << 10 }),
                ..RelayOptions::default()
            },
            Terms::Idle => {
                RelayOptions { idle_timeout: Some(Duration::from_millis(40)), ..RelayOptions::default() }
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Proxy {
    base: Base,
    net: Net,
    routes: Vec<Route>,
    listeners: HashMap<SourceKey, usize>,
    connecting: HashMap<SourceKey, (usize, OwnedFd)>,
    relays: HashMap<SourceKey, usize>,
}

impl Proxy {
    /// Listens for each route. Returns the addresses.
    pub(crate) fn new(routes: Vec<Route>) -> (Self, Vec<SocketAddr>) {
        let base = Base::new().expect("a base can be made");
        let mut net = Net::new(base.clone());
        let mut listeners = HashMap::new();
        let mut places = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let fd = socket::listen(
                &Address::Internet(([127, 0, 0, 1], 0).into()),
                &socket::BindOptions::default(),
            )
            .expect("a port is free");
            let Ok(Address::Internet(place)) = socket::address(&fd) else { panic!("it has an address") };
            if route.is_tight {
                // Accepted connections inherit the size.
                SockRef::from(&fd).set_send_buffer_size(TIGHT).expect("it is a socket");
            }
            places.push(place);
            listeners.insert(net.listen(fd, ListenOptions::default()).expect("it listens"), index);
        }
        let (connecting, relays) = (HashMap::new(), HashMap::new());
        (Proxy { base, net, routes, listeners, connecting, relays }, places)
    }

    /// Runs until `stop` returns `true`.
    pub(crate) fn run(&mut self, stop: impl Fn() -> bool) {
        let tick = self.base.create(EventSpec::timer().persist()).expect("the base is open");
        self.base.add(tick, Some(Duration::from_millis(20))).expect("the base is open");
        let base = self.base.clone();
        while !stop() {
            base.run(LoopFlags::ONCE, |_, ready| {
                if ready.data == 0 {
                    return;
                }
                self.net.ready(&ready);
                while let Some(completion) = self.net.completion() {
                    self.complete(completion);
                }
            })
            .expect("the loop runs");
        }
        self.base.free(tick).expect("the base is open");
    }

    fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Accepted { key, fd, .. } => {
                let route = self.listeners[&key];
                let upstream = Address::Internet(self.routes[route].upstream);
                match self.net.connect(&upstream, None) {
                    Ok(key) => drop(self.connecting.insert(key, (route, fd))),
                    Err(error) => self.fail(route, &error),
                }
            }
            Completion::Connected { key, result, .. } => {
                let (route, near) = self.connecting.remove(&key).expect("it was started");
                let options = self.routes[route].terms.options();
                match result {
                    Ok(far) => {
                        if self.routes[route].is_tight {
                            SockRef::from(&far).set_send_buffer_size(TIGHT).expect("it is a socket");
                        }
                        match self.net.relay(near, far, options) {
                            Ok(key) => drop(self.relays.insert(key, route)),
                            Err(error) => self.fail(route, &error),
                        }
                    }
                    Err(Error::System(SystemError { errno, .. })) if errno == Errno::ECONNRESET as i32 => {
                        self.report(route, Outcome::Lost);
                    }
                    Err(error) => self.fail(route, &error),
                }
            }
            Completion::RelayEnded { key, end } => {
                let route = self.relays.remove(&key).expect("it was made");
                self.report(route, Outcome::Relayed(end));
            }
            Completion::AcceptFailed { key, error, .. } => {
                self.fail(self.listeners[&key], &error);
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn fail(&self, route: usize, error: &Error) {
        self.report(route, Outcome::Failed(format!("{error:?}")));
    }

    fn report(&self, route: usize, outcome: Outcome) {
        // The receiver no longer exists if the lane has failed.
        let _ = self.routes[route].ends.send(outcome);
    }

    /// Returns a description of what is left after the last connection, if anything is.
    pub(crate) fn leftovers(&mut self) -> Option<String> {
        for key in self.listeners.keys() {
            self.net.close(*key).expect("it listens");
        }
        let events = self.base.count_events(CountFlags::ADDED).expect("the base is open");
        let (connecting, relays) = (self.connecting.len(), self.relays.len());
        (events + connecting + relays > 0)
            .then(|| format!("{events} events, {connecting} connects and {relays} relays are left"))
    }
}
