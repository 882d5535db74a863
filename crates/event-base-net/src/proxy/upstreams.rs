//! The upstreams of a proxy, and whose turn it is.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use event_base::Error;
use parking_lot::Mutex;

use super::counters::UpstreamCounters;
use super::health::{Claim, Health};
use super::options::{Balance, HealthOptions, MAX_UPSTREAMS, MAX_WEIGHT, Upstream};
use super::stats::UpstreamStats;
use crate::address::Address;
use crate::failure::Result;

/// How often the failures of one upstream are told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What stays of an upstream through changes of the list.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) health: Health,
    /// Connections under way, those being made included.
    pub(super) open: AtomicU64,
    /// By thread.
    pub(super) counters: Box<[UpstreamCounters]>,
    /// Which of its addresses answered last.
    pub(super) preferred: AtomicUsize,
    untold: Mutex<Untold>,
}

#[derive(Debug, Default)]
struct Untold {
    failures: u64,
    told: Option<Duration>,
}

impl Target {
    fn new(name: &str, threads: usize, health: HealthOptions) -> Self {
        Target {
            name: name.to_owned(),
            health: Health::new(health),
            open: AtomicU64::new(0),
            counters: (0..threads).map(|_| UpstreamCounters::default()).collect(),
            preferred: AtomicUsize::new(0),
            untold: Mutex::default(),
        }
    }

    /// Notes a failure: how many there were since they were told last, if they are to be told now.
    pub(super) fn note_failure(&self, now: Duration) -> Option<u64> {
        let mut untold = self.untold.lock();
        untold.failures += 1;
        if untold.told.is_some_and(|told| now < told + TELL_EVERY) {
            return None;
        }
        untold.told = Some(now);
        Some(std::mem::take(&mut untold.failures))
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) target: Arc<Target>,
    pub(super) addresses: Vec<Address>,
    weight: u32,
}

/// Which upstream a connection goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) index: usize,
    /// The connection is to find out whether the upstream is back.
    pub(super) probe: bool,
}

/// One list of upstreams, which does not change.
#[derive(Debug)]
pub(super) struct Upstreams {
    entries: Vec<Entry>,
    /// Whose turn it is, in a row that repeats itself.
    order: Vec<u16>,
    balance: Balance,
    turn: AtomicUsize,
}

impl Upstreams {
    /// Makes a list. Upstreams that `old` has by the same name keep what is known of them.
    pub(super) fn new(
        list: Vec<Upstream>,
        balance: Balance,
        threads: usize,
        health: HealthOptions,
        old: Option<&Upstreams>,
    ) -> Result<Self> {
        let mut names = HashSet::new();
        let sound = list.iter().all(|upstream| {
            (1..=MAX_WEIGHT).contains(&upstream.weight)
                && !upstream.addresses.is_empty()
                && !upstream.addresses.contains(&Address::Unnamed)
                && names.insert(upstream.name.as_str())
        });
        if !sound || list.is_empty() || list.len() > MAX_UPSTREAMS {
            return Err(Error::OutOfRange("list of upstreams"));
        }
        let order = order(&list);
        let known = |name: &str| {
            let entry = old?.entries.iter().find(|entry| entry.target.name == name)?;
            Some(Arc::clone(&entry.target))
        };
        let entries = list
            .into_iter()
            .map(|Upstream { name, addresses, weight }| Entry {
                target: known(&name).unwrap_or_else(|| Arc::new(Target::new(&name, threads, health))),
                addresses,
                weight,
            })
            .collect();
        Ok(Upstreams { entries, order, balance, turn: AtomicUsize::new(0) })
    }

    pub(super) fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    /// Whose turn it is, among those that are not in `tried`: one that is up, or can be tried again; if there
    /// is none, any, since a connection that may fail is better than one that must.
    pub(super) fn pick(&self, tried: &[u16], now: impl Fn() -> Duration) -> Option<Choice> {
        if tried.len() == self.entries.len() {
            return None;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let untried = |index: &usize| !tried.contains(&(*index as u16));
        let chosen = match self.balance {
            Balance::RoundRobin => {
                let mut row = self.row(turn).filter(untried);
                row.find_map(|index| self.claim(index, &now))
            }
            Balance::LeastConnections => self.least_loaded(turn, untried, &now),
        };
        chosen.or_else(|| self.row(turn).find(untried).map(|index| Choice { index, probe: false }))
    }

    fn row(&self, turn: usize) -> impl Iterator<Item = usize> {
        let start = turn % self.order.len();
        let (before, after) = self.order.split_at(start);
        after.iter().chain(before).map(|index| usize::from(*index))
    }

    fn claim(&self, index: usize, now: &impl Fn() -> Duration) -> Option<Choice> {
        match self.entries[index].target.health.claim(now) {
            Claim::Up => Some(Choice { index, probe: false }),
            Claim::Probe => Some(Choice { index, probe: true }),
            Claim::Down => None,
        }
    }

    fn least_loaded(
        &self,
        turn: usize,
        untried: impl Fn(&usize) -> bool,
        now: &impl Fn() -> Duration,
    ) -> Option<Choice> {
        let count = self.entries.len();
        let mut best: Option<(Choice, u64)> = None;
        for index in (0..count).map(|step| (turn + step) % count).filter(untried) {
            let entry = &self.entries[index];
            let load = entry.target.open.load(Ordering::Relaxed);
            let lighter = best.is_none_or(|(best, most)| {
                load * u64::from(self.entries[best.index].weight) < most * u64::from(entry.weight)
            });
            if !lighter {
                continue;
            }
            let Some(choice) = self.claim(index, now) else { continue };
            if choice.probe {
                // Whether it is back is found out by the first connection after its time, not by the first
                // for which it happens to have the fewest: it has none.
                return Some(choice);
            }
            best = Some((choice, load));
        }
        best.map(|(choice, _)| choice)
    }

    pub(super) fn stats(&self, now: Duration) -> Vec<UpstreamStats> {
        self.entries
            .iter()
            .map(|Entry { target, weight, .. }| {
                let sum = |of: fn(&UpstreamCounters) -> u64| target.counters.iter().map(of).sum::<u64>();
                let longest = target.counters.iter().map(|counters| counters.longest.get()).max();
                UpstreamStats {
                    name: target.name.clone(),
                    weight: *weight,
                    state: target.health.state(now),
                    connected: sum(|counters| counters.connected.get()),
                    open: target.open.load(Ordering::Relaxed),
                    refused: sum(|counters| counters.refused.get()),
                    failed: sum(|counters| counters.failed.get()),
                    bytes_a_to_b: sum(|counters| counters.bytes_a_to_b.get()),
                    bytes_b_to_a: sum(|counters| counters.bytes_b_to_a.get()),
                    connect_time: Duration::from_nanos(sum(|counters| counters.connecting.get())),
                    longest_connect: Duration::from_nanos(longest.unwrap_or(0)),
                }
            })
            .collect()
    }
}

/// A row in which each upstream has as many turns as it weighs, spread evenly: turn k of w is due when
/// (k + 1/2)/w of the row is over.
fn order(list: &[Upstream]) -> Vec<u16> {
    let divisor = list.iter().fold(0, |divisor, upstream| common_divisor(upstream.weight, divisor));
    let mut turns: Vec<(f64, u16)> = Vec::new();
    for (index, upstream) in list.iter().enumerate() {
        let weight = upstream.weight / divisor;
        turns.extend((0..weight).map(|turn| ((f64::from(turn) + 0.5) / f64::from(weight), index as u16)));
    }
    turns.sort_unstable_by(|(due, index), (other, next)| due.total_cmp(other).then(index.cmp(next)));
    turns.into_iter().map(|(_, index)| index).collect()
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// A clock for all threads of a proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Clock(Instant::now())
    }

    pub(super) fn now(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    fn upstream(name: &str, weight: u32) -> Upstream {
        Upstream { weight, ..Upstream::new(name, Address::internet("127.0.0.1", 1).unwrap()) }
    }

    fn list(balance: Balance, weights: &[(&str, u32)]) -> Upstreams {
        let list = weights.iter().map(|(name, weight)| upstream(name, *weight)).collect();
        Upstreams::new(list, balance, 1, HealthOptions::default(), None).unwrap()
    }

    fn picks(list: &Upstreams, count: usize) -> String {
        (0..count)
            .map(|_| {
                let choice = list.pick(&[], || START).unwrap();
                let target = &list.entry(choice.index).target;
                target.open.fetch_add(1, Ordering::Relaxed);
                target.name.clone()
            })
            .collect()
    }

    fn take_out(list: &Upstreams, index: usize) {
        for _ in 0..3 {
            list.entry(index).target.health.failed(START, false);
        }
    }

    #[test]
    fn round_robin_gives_each_its_turn_and_weights_are_spread() {
        let even = list(Balance::RoundRobin, &[("a", 7), ("b", 7), ("c", 7)]);
        assert_eq!(picks(&even, 7), "abcabca");
        let uneven = list(Balance::RoundRobin, &[("a", 4), ("b", 2), ("c", 1)]);
        let row = picks(&uneven, 14);
        let (first, second) = row.split_at(7);
        assert_eq!(first, second, "the row repeats itself");
        let times = |name| first.matches(name).count();
        assert_eq!((times("a"), times("b"), times("c")), (4, 2, 1));
        assert!(!row.contains("aaa") && !row.contains("bb"), "{row}");
    }

    #[test]
    fn the_fewest_connections_count_by_weight() {
        let list = list(Balance::LeastConnections, &[("a", 1), ("b", 2)]);
        let row = picks(&list, 300);
        assert_eq!(row.matches('a').count(), 100);
        list.entry(1).target.open.store(0, Ordering::Relaxed);
        assert_eq!(picks(&list, 50), "b".repeat(50));
    }

    #[test]
    fn who_is_out_is_passed_over_unless_nobody_else_is_left() {
        for balance in [Balance::RoundRobin, Balance::LeastConnections] {
            let list = list(balance, &[("a", 1), ("b", 1), ("c", 1)]);
            take_out(&list, 1);
            let row = picks(&list, 10);
            assert!(!row.contains('b'), "{balance:?}: {row}");
            assert_eq!(list.pick(&[0, 2], || START), Some(Choice { index: 1, probe: false }));
            assert_eq!(list.pick(&[0, 2, 1], || START), None);
            take_out(&list, 0);
            take_out(&list, 2);
            let row = picks(&list, 9);
            assert!(["a", "b", "c"].iter().all(|name| row.matches(name).count() == 3), "{row}");
        }
    }

    #[test]
    fn the_first_connection_after_its_time_finds_out_whether_it_is_back() {
        for balance in [Balance::RoundRobin, Balance::LeastConnections] {
            let list = list(balance, &[("a", 1), ("b", 1)]);
            take_out(&list, 1);
            let later = || Duration::from_secs(1);
            let probes = (0..6)
                .filter_map(|_| list.pick(&[], later))
                .filter(|choice| choice.probe)
                .collect::<Vec<_>>();
            assert_eq!(probes, [Choice { index: 1, probe: true }], "{balance:?}");
        }
    }

    #[test]
    fn what_is_known_of_an_upstream_stays_with_its_name() {
        let old = list(Balance::RoundRobin, &[("a", 1), ("b", 1)]);
        old.entry(1).target.counters[0].connected.add(5);
        let next = vec![upstream("b", 3), upstream("c", 1)];
        let new = Upstreams::new(next, Balance::RoundRobin, 1, HealthOptions::default(), Some(&old)).unwrap();
        let stats = new.stats(START);
        let seen: Vec<_> = stats.iter().map(|one| (one.name.as_str(), one.weight, one.connected)).collect();
        assert_eq!(seen, [("b", 3, 5), ("c", 1, 0)]);
    }

    #[test]
    fn a_list_that_makes_no_sense_is_refused() {
        let nowhere = Upstream { addresses: Vec::new(), ..upstream("a", 1) };
        let unnamed = Upstream { addresses: vec![Address::Unnamed], ..upstream("a", 1) };
        let twice = vec![upstream("a", 1), upstream("a", 1)];
        for wrong in
            [vec![], vec![upstream("a", 0)], vec![upstream("a", 257)], vec![nowhere], vec![unnamed], twice]
        {
            let made = Upstreams::new(wrong.clone(), Balance::RoundRobin, 1, HealthOptions::default(), None);
            assert_eq!(made.err(), Some(Error::OutOfRange("list of upstreams")), "{wrong:?}");
        }
    }

    #[test]
    fn failures_are_told_once_a_second() {
        let target = Target::new("a", 1, HealthOptions::default());
        let told: Vec<_> =
            [0, 10, 999, 1000, 1001].map(|at| target.note_failure(Duration::from_millis(at))).into();
        assert_eq!(told, [Some(1), None, None, Some(3), None]);
    }
}
