//! The upstreams of a proxy with their servers, and the choice of a server for a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::balance::cycle;
use super::counters::UpstreamCounters;
use super::health::{Claim, Health, UpstreamState};
use super::options::{AddressUse, Balance, HealthOptions, Upstream, UpstreamTarget};
use super::server::{Record, Server, ServerState};
use super::stats::UpstreamStats;
use crate::address::Address;

/// The settings that a list of upstreams depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListSettings {
    pub(super) balance: Balance,
    pub(super) addresses: AddressUse,
    pub(super) health: HealthOptions,
    pub(super) threads: usize,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: Arc<Record>,
    /// The name that its addresses come from.
    pub(super) host: Option<String>,
    pub(super) servers: Vec<Arc<Server>>,
    weight: u32,
}

/// The server that a connection is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The index of the server.
    pub(super) server: u32,
    /// Whether the connection is the probe of a server that is passed over.
    pub(super) probe: bool,
}

/// One list of upstreams. It does not change: another list replaces it.
#[derive(Debug)]
pub(super) struct Upstreams {
    entries: Vec<Entry>,
    servers: Vec<Arc<Server>>,
    /// The servers in the order of their turns.
    cycle: Vec<u32>,
    balance: Balance,
    turn: AtomicUsize,
}

impl Upstreams {
    /// Builds the list from the addresses that `resolved` returns for names. Upstreams and servers that `old` has
    /// keep their record and their health.
    pub(super) fn new<'a>(
        list: &[Upstream],
        settings: &ListSettings,
        resolved: impl Fn(&str) -> &'a [SocketAddr],
        old: Option<&Upstreams>,
    ) -> Self {
        let mut servers = Vec::new();
        let entries: Vec<_> = (0..)
            .zip(list)
            .map(|(index, upstream)| {
                let known = old.and_then(|old| old.entry_named(&upstream.name));
                let entry = Entry::new(upstream, index, settings, &resolved, known);
                servers.extend(entry.servers.iter().cloned());
                entry
            })
            .collect();
        let weights: Vec<_> = servers.iter().map(|server| server.weight).collect();
        let cycle = cycle(&weights);
        Upstreams { entries, servers, cycle, balance: settings.balance, turn: AtomicUsize::new(0) }
    }

    fn entry_named(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.record.name == name)
    }

    pub(super) fn has_servers(&self) -> bool {
        !self.servers.is_empty()
    }

    pub(super) fn server(&self, index: u32) -> &Arc<Server> {
        &self.servers[index as usize]
    }

    pub(super) fn entry_of(&self, server: &Server) -> &Entry {
        &self.entries[server.upstream]
    }

    /// The next server that is not in `tried` and that is up or whose probe is due. If there is none, any server that
    /// is not in `tried`, because a connect that may fail is better than none.
    pub(super) fn pick(&self, tried: &[u32], now: impl Fn() -> Duration) -> Option<Choice> {
        if tried.len() == self.servers.len() {
            return None;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let untried = |server: &u32| !tried.contains(server);
        let chosen = match self.balance {
            Balance::RoundRobin => {
                let mut turns = self.turns_from(turn).filter(untried);
                turns.find_map(|server| self.claim(server, &now))
            }
            Balance::LeastConnections => self.least_loaded(turn, untried, &now),
        };
        let any = || self.turns_from(turn).find(untried).map(|server| Choice { server, probe: false });
        chosen.or_else(any)
    }

    fn turns_from(&self, turn: usize) -> impl Iterator<Item = u32> {
        let (before, after) = self.cycle.split_at(turn % self.cycle.len());
        after.iter().chain(before).copied()
    }

    fn claim(&self, server: u32, now: &impl Fn() -> Duration) -> Option<Choice> {
        match self.server(server).state.health.claim(now) {
            Claim::Up => Some(Choice { server, probe: false }),
            Claim::Probe => Some(Choice { server, probe: true }),
            Claim::Down => None,
        }
    }

    fn least_loaded(
        &self,
        turn: usize,
        untried: impl Fn(&u32) -> bool,
        now: &impl Fn() -> Duration,
    ) -> Option<Choice> {
        let count = self.servers.len();
        let mut best: Option<(Choice, u64)> = None;
        for index in (0..count).map(|step| ((turn + step) % count) as u32).filter(untried) {
            let server = self.server(index);
            let load = server.state.open.load(Ordering::Relaxed);
            let lighter = best.is_none_or(|(best, most)| {
                load * u64::from(self.server(best.server).weight) < most * u64::from(server.weight)
            });
            if !lighter {
                continue;
            }
            let Some(choice) = self.claim(index, now) else { continue };
            if choice.probe {
                // A claimed probe has to be made.
                return Some(choice);
            }
            best = Some((choice, load));
        }
        best.map(|(choice, _)| choice)
    }

    /// The statistics of each upstream. `next_lookup` returns the time until a name is looked up again.
    pub(super) fn stats(&self, now: Duration, next_lookup: impl Fn(&str) -> Duration) -> Vec<UpstreamStats> {
        self.entries.iter().map(|entry| entry.stats(now, &next_lookup)).collect()
    }
}

impl Entry {
    fn new<'a>(
        upstream: &Upstream,
        index: usize,
        settings: &ListSettings,
        resolved: impl Fn(&str) -> &'a [SocketAddr],
        old: Option<&Entry>,
    ) -> Self {
        let record = match old {
            Some(old) => Arc::clone(&old.record),
            None => Arc::new(Record::new(&upstream.name, settings.threads)),
        };
        let addresses = match &upstream.target {
            UpstreamTarget::Address(address) => vec![address.clone()],
            UpstreamTarget::Name { host, port } => {
                let at_port = |address: &SocketAddr| {
                    let mut address = *address;
                    address.set_port(*port);
                    Address::Internet(address)
                };
                resolved(host).iter().map(at_port).collect()
            }
        };
        let groups: Vec<Box<[Address]>> = match settings.addresses {
            _ if addresses.is_empty() => Vec::new(),
            AddressUse::All => addresses.into_iter().map(|address| [address].into()).collect(),
            AddressUse::One => vec![addresses.into()],
        };
        let servers = groups
            .into_iter()
            .map(|addresses| {
                let known = old.and_then(|old| old.server_like(&addresses, settings.addresses));
                let preferred = known.and_then(|known| {
                    let address = &known.addresses[known.preferred.load(Ordering::Relaxed)];
                    addresses.iter().position(|one| one == address)
                });
                let state = known.map(|known| Arc::clone(&known.state)).unwrap_or_else(|| {
                    Arc::new(ServerState { health: Health::new(settings.health), open: AtomicU64::new(0) })
                });
                Arc::new(Server {
                    record: Arc::clone(&record),
                    state,
                    upstream: index,
                    addresses,
                    preferred: AtomicUsize::new(preferred.unwrap_or(0)),
                    weight: upstream.weight,
                })
            })
            .collect();
        let host = upstream.host().map(str::to_owned);
        Entry { record, host, servers, weight: upstream.weight }
    }

    /// The server of an older list whose state a server at `addresses` takes over.
    fn server_like(&self, addresses: &[Address], of: AddressUse) -> Option<&Arc<Server>> {
        match of {
            AddressUse::All => self.servers.iter().find(|server| *server.addresses == *addresses),
            AddressUse::One => self.servers.first(),
        }
    }

    /// The best state of its servers.
    fn state(&self, now: Duration) -> Option<UpstreamState> {
        let states = self.servers.iter().map(|server| server.state.health.state(now));
        states.min_by_key(|state| match state {
            UpstreamState::Up => (0, Duration::ZERO),
            UpstreamState::Probing => (1, Duration::ZERO),
            UpstreamState::Down { retry_after } => (2, *retry_after),
        })
    }

    /// The time until a server is probed. `None` while one is up.
    pub(super) fn retry_after(&self, now: Duration) -> Option<Duration> {
        match self.state(now)? {
            UpstreamState::Up => None,
            UpstreamState::Probing => Some(Duration::ZERO),
            UpstreamState::Down { retry_after } => Some(retry_after),
        }
    }

    fn stats(&self, now: Duration, next_lookup: &impl Fn(&str) -> Duration) -> UpstreamStats {
        let Entry { record, host, weight, .. } = self;
        let without_addresses = || {
            let retry_after = host.as_deref().map_or(Duration::ZERO, next_lookup);
            UpstreamState::Down { retry_after }
        };
        let sum = |of: fn(&UpstreamCounters) -> u64| record.counters.iter().map(of).sum::<u64>();
        let longest = record.counters.iter().map(|counters| counters.longest.get()).max();
        UpstreamStats {
            name: record.name.clone(),
            weight: *weight,
            state: self.state(now).unwrap_or_else(without_addresses),
            connected: sum(|counters| counters.connected.get()),
            open: record.open.load(Ordering::Relaxed),
            refused: sum(|counters| counters.refused.get()),
            failed: sum(|counters| counters.failed.get()),
            bytes_a_to_b: sum(|counters| counters.bytes_a_to_b.get()),
            bytes_b_to_a: sum(|counters| counters.bytes_b_to_a.get()),
            connect_time: Duration::from_nanos(sum(|counters| counters.connecting.get())),
            longest_connect: Duration::from_nanos(longest.unwrap_or(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    fn settings(balance: Balance, addresses: AddressUse) -> ListSettings {
        ListSettings { balance, addresses, health: HealthOptions::default(), threads: 1 }
    }

    fn upstream(name: &str, weight: u32) -> Upstream {
        Upstream { weight, ..Upstream::new(name, Address::internet("127.0.0.1", 1).unwrap()) }
    }

    fn list(balance: Balance, weights: &[(&str, u32)]) -> Upstreams {
        let list: Vec<_> = weights.iter().map(|(name, weight)| upstream(name, *weight)).collect();
        Upstreams::new(&list, &settings(balance, AddressUse::All), |_| &[], None)
    }

    fn picks(list: &Upstreams, count: usize) -> String {
        (0..count)
            .map(|_| {
                let choice = list.pick(&[], || START).unwrap();
                let server = list.server(choice.server);
                server.state.open.fetch_add(1, Ordering::Relaxed);
                server.record.name.clone()
            })
            .collect()
    }

    fn take_down(list: &Upstreams, server: u32) {
        for _ in 0..3 {
            list.server(server).state.health.failed(START, false);
        }
    }

    #[test]
    fn round_robin_gives_each_server_its_turns() {
        assert_eq!(picks(&list(Balance::RoundRobin, &[("a", 7), ("b", 7), ("c", 7)]), 7), "abcabca");
        let turns = picks(&list(Balance::RoundRobin, &[("a", 4), ("b", 2), ("c", 1)]), 14);
        let (first, second) = turns.split_at(7);
        assert_eq!(first, second, "the cycle repeats");
    }

    #[test]
    fn the_fewest_connections_are_counted_in_proportion_to_the_weight() {
        let list = list(Balance::LeastConnections, &[("a", 1), ("b", 2)]);
        assert_eq!(picks(&list, 300).matches('a').count(), 100);
        list.server(1).state.open.store(0, Ordering::Relaxed);
        assert_eq!(picks(&list, 50), "b".repeat(50));
    }

    #[test]
    fn a_server_that_is_down_is_passed_over_unless_no_other_is_left() {
        for balance in [Balance::RoundRobin, Balance::LeastConnections] {
            let list = list(balance, &[("a", 1), ("b", 1), ("c", 1)]);
            take_down(&list, 1);
            let turns = picks(&list, 10);
            assert!(!turns.contains('b'), "{balance:?}: {turns}");
            assert_eq!(list.pick(&[0, 2], || START), Some(Choice { server: 1, probe: false }));
            assert_eq!(list.pick(&[0, 2, 1], || START), None);
            take_down(&list, 0);
            take_down(&list, 2);
            let turns = picks(&list, 9);
            assert!(["a", "b", "c"].iter().all(|name| turns.matches(name).count() == 3), "{turns}");
        }
    }

    #[test]
    fn the_first_connection_after_the_backoff_is_the_only_probe() {
        for balance in [Balance::RoundRobin, Balance::LeastConnections] {
            let list = list(balance, &[("a", 1), ("b", 1)]);
            take_down(&list, 1);
            let later = || Duration::from_secs(1);
            let choices = (0..6).filter_map(|_| list.pick(&[], later));
            let probes: Vec<_> = choices.filter(|choice| choice.probe).collect();
            assert_eq!(probes, [Choice { server: 1, probe: true }], "{balance:?}");
        }
    }

    #[test]
    fn a_due_probe_is_made_also_where_another_server_has_fewer_connections() {
        let list = list(Balance::LeastConnections, &[("a", 1), ("b", 1), ("c", 1)]);
        take_down(&list, 0);
        list.server(0).state.open.store(1, Ordering::Relaxed);
        let later = || Duration::from_secs(1);
        assert_eq!(list.pick(&[], later), Some(Choice { server: 0, probe: true }));
    }

    #[test]
    fn the_record_of_an_upstream_is_kept_by_its_name() {
        let old = list(Balance::RoundRobin, &[("a", 1), ("b", 1)]);
        old.server(1).record.counters[0].connected.add(5);
        let next = [upstream("b", 3), upstream("c", 1)];
        let settings = settings(Balance::RoundRobin, AddressUse::All);
        let new = Upstreams::new(&next, &settings, |_| &[], Some(&old));
        let stats = new.stats(START, |_| START);
        let seen: Vec<_> = stats.iter().map(|one| (one.name.as_str(), one.weight, one.connected)).collect();
        assert_eq!(seen, [("b", 3, 5), ("c", 1, 0)]);
    }

    fn at(hosts: &[&str]) -> Vec<SocketAddr> {
        hosts.iter().map(|host| SocketAddr::new(host.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn each_address_of_a_name_is_a_server_with_a_health_of_its_own() {
        let list = [upstream("a", 2), Upstream::named("n", "name", 80)];
        let settings = settings(Balance::RoundRobin, AddressUse::All);
        let found = at(&["::1", "127.0.0.2"]);
        let old = Upstreams::new(&list, &settings, |_| &found, None);
        let turns = picks(&old, 8);
        assert_eq!((turns.matches('a').count(), turns.matches('n').count()), (4, 4));
        take_down(&old, 2);
        assert_eq!(old.entries[1].state(START), Some(UpstreamState::Up));

        let found = at(&["127.0.0.2", "127.0.0.3"]);
        let new = Upstreams::new(&list, &settings, |_| &found, Some(&old));
        assert_eq!(*new.server(1).addresses, [Address::internet("127.0.0.2", 80).unwrap()]);
        let is_down =
            |server| matches!(new.server(server).state.health.state(START), UpstreamState::Down { .. });
        assert!(is_down(1) && !is_down(2));
        take_down(&new, 2);
        assert!(matches!(new.entries[1].state(START), Some(UpstreamState::Down { .. })));
    }

    #[test]
    fn addresses_that_are_one_server_keep_its_health_and_the_preferred_address() {
        let list = [Upstream::named("n", "name", 80)];
        let settings = settings(Balance::RoundRobin, AddressUse::One);
        let found = at(&["::1", "127.0.0.2"]);
        let old = Upstreams::new(&list, &settings, |_| &found, None);
        assert_eq!(old.server(0).addresses.len(), 2);
        old.server(0).preferred.store(1, Ordering::Relaxed);
        take_down(&old, 0);
        let found = at(&["127.0.0.2", "::2", "::1"]);
        let new = Upstreams::new(&list, &settings, |_| &found, Some(&old));
        assert_eq!(new.server(0).preferred.load(Ordering::Relaxed), 0);
        assert!(matches!(new.entries[0].state(START), Some(UpstreamState::Down { .. })));
    }

    #[test]
    fn a_name_without_addresses_is_down_until_it_is_looked_up_again() {
        let list = [Upstream::named("n", "name", 80)];
        let settings = settings(Balance::RoundRobin, AddressUse::All);
        let list = Upstreams::new(&list, &settings, |_| &[], None);
        assert!(!list.has_servers());
        assert_eq!(list.pick(&[], || START), None);
        let retry_after = Duration::from_secs(7);
        let stats = list.stats(START, |host| if host == "name" { retry_after } else { START });
        assert_eq!(stats[0].state, UpstreamState::Down { retry_after });
    }
}
