//! The names of upstreams: their addresses, and when each is looked up again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::options::MAX_ADDRESSES;

/// The shortest time between a failed look-up and the next one.
const SHORTEST_BACKOFF: Duration = Duration::from_millis(100);

/// When names are looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookupTimes {
    /// The time between two look-ups of one name. `None`: a name is looked up again only after a failure.
    pub(super) interval: Option<Duration>,
    /// The time after a failed look-up, which doubles with each further failure up to `max_backoff`. After a failed
    /// connect, the least time since the end of the last look-up.
    pub(super) backoff: Duration,
    pub(super) max_backoff: Duration,
    /// The time after which a look-up in progress is reported as failed.
    pub(super) limit: Duration,
}

/// A failed look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LookupFailure {
    pub(super) host: String,
    pub(super) reason: String,
    /// `None`: the look-up is still in progress.
    pub(super) retry_after: Option<Duration>,
}

/// The result of a look-up for the proxy.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// Whether the list of servers has to be made anew.
    pub(super) has_changed: bool,
    /// Whether a name has addresses after failures left it without any.
    pub(super) is_back: bool,
    pub(super) failure: Option<LookupFailure>,
}

#[derive(Debug, Default)]
struct Name {
    /// The last successful answer.
    addresses: Vec<SocketAddr>,
    /// When it is looked up next.
    due: Option<Duration>,
    /// When the look-up in progress started.
    started: Option<Duration>,
    /// When the last look-up ended.
    ended: Option<Duration>,
    /// The time from the last failure to the next attempt; zero after a success.
    backoff: Duration,
    /// Whether its first look-up has ended or exceeded the limit.
    settled: bool,
    /// Whether the look-up in progress has exceeded the limit.
    overdue: bool,
}

/// The names in use. All times are since one moment that all calls share.
#[derive(Debug)]
pub(super) struct Names {
    times: LookupTimes,
    names: HashMap<String, Name>,
}

impl Names {
    pub(super) fn new(times: LookupTimes) -> Self {
        let backoff = times.backoff.max(SHORTEST_BACKOFF);
        let times = LookupTimes { backoff, max_backoff: times.max_backoff.max(backoff), ..times };
        Names { times, names: HashMap::new() }
    }

    /// Replaces the names. Those that stay keep their addresses; all are looked up now.
    pub(super) fn set<'a>(&mut self, hosts: impl Iterator<Item = &'a str>, now: Duration) {
        let mut old = std::mem::take(&mut self.names);
        for host in hosts {
            let mut name = old.remove(host).unwrap_or_default();
            name.due = Some(now);
            self.names.entry(host.to_owned()).or_insert(name);
        }
    }

    pub(super) fn addresses(&self, host: &str) -> &[SocketAddr] {
        self.names.get(host).map_or(&[], |name| &name.addresses)
    }

    /// Whether the first look-up of every name has ended.
    pub(super) fn are_settled(&self) -> bool {
        self.names.values().all(|name| name.settled)
    }

    /// The time until `host` is looked up again; zero while a look-up is in progress.
    pub(super) fn retry_after(&self, host: &str, now: Duration) -> Duration {
        let due = self.names.get(host).and_then(|name| name.due);
        due.map_or(Duration::ZERO, |due| due.saturating_sub(now))
    }

    /// When the next look-up after `now` becomes due or exceeds the limit.
    pub(super) fn next_after(&self, now: Duration) -> Option<Duration> {
        let times = self.names.values().flat_map(|name| {
            let due = if name.started.is_none() { name.due } else { None };
            [due, name.overdue_at(self.times.limit)]
        });
        times.flatten().filter(|time| *time > now).min()
    }

    /// Whether a look-up is due.
    pub(super) fn has_due(&self, now: Duration) -> bool {
        self.names.values().any(|name| name.is_due(now))
    }

    /// Returns the name whose look-up became due first, and marks the look-up as in progress.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<String> {
        let due = self.names.iter_mut().filter(|(_, name)| name.is_due(now));
        let (host, name) = due.min_by_key(|(_, name)| name.due)?;
        name.due = None;
        name.started = Some(now);
        name.overdue = false;
        Some(host.clone())
    }

    /// The look-ups that exceed the limit, each once.
    pub(super) fn take_overdue(&mut self, now: Duration) -> Vec<LookupFailure> {
        let limit = self.times.limit;
        self.names
            .iter_mut()
            .filter(|(_, name)| name.overdue_at(limit).is_some_and(|at| at <= now))
            .map(|(host, name)| {
                name.overdue = true;
                name.settled = true;
                let reason = format!("no answer after {} ms", limit.as_millis());
                LookupFailure { host: host.clone(), reason, retry_after: None }
            })
            .collect()
    }

    /// Stores the answer of a look-up that has ended.
    pub(super) fn settle(
        &mut self,
        host: &str,
        answer: Result<Vec<SocketAddr>, String>,
        now: Duration,
    ) -> Settled {
        let Some(name) = self.names.get_mut(host) else { return Settled::default() };
        let was_settled = std::mem::replace(&mut name.settled, true);
        let had_failed = name.overdue || !name.backoff.is_zero();
        name.started = None;
        name.overdue = false;
        name.ended = Some(now);
        let reason = match answer.map(distinct) {
            Ok(found) if !found.is_empty() => {
                let is_back = had_failed && name.addresses.is_empty();
                name.backoff = Duration::ZERO;
                name.due = self.times.interval.map(|interval| now.saturating_add(interval));
                // Resolvers rotate their answers, so only another set of addresses is a change.
                let is_same = found.len() == name.addresses.len()
                    && found.iter().all(|address| name.addresses.contains(address));
                if !is_same {
                    name.addresses = found;
                }
                return Settled { has_changed: !is_same || !was_settled, is_back, failure: None };
            }
            Ok(_) => "no address".to_owned(),
            Err(reason) => reason,
        };
        name.backoff = name.backoff.saturating_mul(2).clamp(self.times.backoff, self.times.max_backoff);
        name.due = Some(now.saturating_add(name.backoff));
        let failure = LookupFailure { host: host.to_owned(), reason, retry_after: Some(name.backoff) };
        Settled { has_changed: !was_settled, is_back: false, failure: Some(failure) }
    }

    /// Called when a connect to an address of `host` failed. Plans another look-up, `backoff` after the end of the
    /// last one at the earliest. Returns whether that is sooner than planned.
    pub(super) fn suspect(&mut self, host: &str, now: Duration) -> bool {
        let Some(name) = self.names.get_mut(host) else { return false };
        let Some(ended) = name.ended else { return false };
        if name.started.is_some() || !name.backoff.is_zero() {
            // It is being looked up, or will be as soon as the back-off allows.
            return false;
        }
        let earliest = ended.saturating_add(self.times.backoff).max(now);
        if name.due.is_some_and(|due| due <= earliest) {
            return false;
        }
        name.due = Some(earliest);
        true
    }
}

impl Name {
    fn is_due(&self, now: Duration) -> bool {
        self.started.is_none() && self.due.is_some_and(|due| due <= now)
    }

    /// When its look-up, or the wait of its first look-up for a thread, exceeds `limit`.
    fn overdue_at(&self, limit: Duration) -> Option<Duration> {
        if self.overdue {
            return None;
        }
        let waits_since = if self.settled { None } else { self.due };
        self.started.or(waits_since).map(|since| since.saturating_add(limit))
    }
}

/// Each address once, without its port.
fn distinct(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = Vec::new();
    for mut address in addresses {
        address.set_port(0);
        if found.len() < MAX_ADDRESSES && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn names(interval: Option<Duration>) -> Names {
        let times = LookupTimes { interval, backoff: SECOND, max_backoff: 5 * SECOND, limit: 10 * SECOND };
        let mut names = Names::new(times);
        names.set(["a"].into_iter(), Duration::ZERO);
        names
    }

    fn found(hosts: &[&str]) -> Result<Vec<SocketAddr>, String> {
        Ok(hosts.iter().map(|host| SocketAddr::new(host.parse().unwrap(), 7)).collect())
    }

    /// Looks the name up, which is due at `seconds` and not earlier. Returns whether the addresses changed.
    #[track_caller]
    fn look_up(names: &mut Names, seconds: u32, answer: Result<Vec<SocketAddr>, String>) -> bool {
        let now = seconds * SECOND;
        assert_eq!(
            names.take_due(now.saturating_sub(SECOND / 1000)).as_deref(),
            (seconds == 0).then_some("a")
        );
        assert_eq!(names.take_due(now).as_deref(), (seconds != 0).then_some("a"));
        names.settle("a", answer, now).has_changed
    }

    #[test]
    fn a_name_is_looked_up_at_each_interval() {
        let mut names = names(Some(30 * SECOND));
        assert!(look_up(&mut names, 0, found(&["::1"])));
        assert_eq!(names.next_after(Duration::ZERO), Some(30 * SECOND));
        assert!(!look_up(&mut names, 30, found(&["::1"])));
        assert!(look_up(&mut names, 60, found(&["::2"])));
    }

    #[test]
    fn without_an_interval_only_a_failed_connect_leads_to_another_look_up() {
        let mut names = names(None);
        look_up(&mut names, 0, found(&["::1"]));
        assert_eq!(names.next_after(Duration::ZERO), None);
        assert!(names.suspect("a", SECOND / 2));
        assert!(!names.suspect("a", SECOND / 2), "it is planned already");
        look_up(&mut names, 1, found(&["::1"]));
        assert!(names.suspect("a", 100 * SECOND));
        look_up(&mut names, 100, found(&["::1"]));
    }

    #[test]
    fn failed_look_ups_keep_the_addresses_and_are_retried_with_a_backoff() {
        let mut names = names(Some(30 * SECOND));
        look_up(&mut names, 0, found(&["::1", "127.0.0.1"]));
        let mut now = 30 * SECOND;
        for seconds in [1, 2, 4, 5, 5] {
            assert_eq!(names.take_due(now).as_deref(), Some("a"));
            let settled = names.settle("a", Err("broken".to_owned()), now);
            assert!(!settled.has_changed);
            let failure = settled.failure.unwrap();
            assert_eq!((failure.reason.as_str(), failure.retry_after), ("broken", Some(seconds * SECOND)));
            assert!(!names.suspect("a", now), "the back-off is kept");
            now += seconds * SECOND;
        }
        assert_eq!(names.addresses("a").len(), 2);
        assert_eq!(names.take_due(now).as_deref(), Some("a"));
        assert_eq!(names.settle("a", found(&["::1", "127.0.0.1"]), now), Settled::default());
        assert_eq!(names.next_after(now), Some(now + 30 * SECOND));
    }

    #[test]
    fn a_name_that_never_had_an_address_is_back_with_its_first_one() {
        let mut names = names(None);
        look_up(&mut names, 0, Ok(Vec::new()));
        assert_eq!(names.retry_after("a", SECOND / 4), SECOND - SECOND / 4);
        assert_eq!(names.take_due(SECOND).as_deref(), Some("a"));
        let settled = names.settle("a", found(&["::1"]), SECOND);
        assert_eq!(settled, Settled { has_changed: true, is_back: true, failure: None });
    }

    #[test]
    fn another_order_of_the_same_addresses_is_no_change() {
        let mut names = names(Some(SECOND));
        look_up(&mut names, 0, found(&["::1", "::2", "::1"]));
        assert_eq!(names.addresses("a").len(), 2);
        assert!(!look_up(&mut names, 1, found(&["::2", "::1"])));
        assert!(look_up(&mut names, 2, found(&["::2"])));
    }

    #[test]
    fn a_look_up_without_an_answer_is_reported_once_and_used_when_it_ends() {
        let mut names = names(Some(SECOND));
        assert_eq!(names.take_due(Duration::ZERO).as_deref(), Some("a"));
        assert!(!names.are_settled());
        assert_eq!(names.next_after(Duration::ZERO), Some(10 * SECOND));
        assert_eq!(names.take_overdue(10 * SECOND).len(), 1);
        assert!(names.are_settled());
        assert_eq!((names.take_overdue(20 * SECOND), names.next_after(20 * SECOND)), (Vec::new(), None));
        let settled = names.settle("a", found(&["::1"]), 20 * SECOND);
        assert!(settled.has_changed && settled.is_back);
        assert_eq!(names.next_after(20 * SECOND), Some(21 * SECOND));
    }

    #[test]
    fn a_first_look_up_that_waits_for_a_thread_delays_connections_no_longer_than_the_limit() {
        let mut names = names(None);
        assert_eq!(names.take_overdue(10 * SECOND).len(), 1);
        assert!(names.are_settled());
        assert_eq!(names.take_due(11 * SECOND).as_deref(), Some("a"));
        assert_eq!(names.next_after(11 * SECOND), Some(21 * SECOND));
    }

    #[test]
    fn the_longest_times_never_end() {
        let longest = Duration::MAX;
        let times =
            LookupTimes { interval: Some(longest), backoff: longest, max_backoff: longest, limit: longest };
        let mut names = Names::new(times);
        names.set(["a"].into_iter(), SECOND);
        assert_eq!(names.take_due(SECOND).as_deref(), Some("a"));
        assert!(names.take_overdue(2 * SECOND).is_empty());
        assert_eq!(names.settle("a", found(&["::1"]), 2 * SECOND).failure, None);
        assert!(!names.suspect("a", 3 * SECOND), "the back-off is as long as the interval");
        assert_eq!(names.next_after(3 * SECOND), Some(longest));
        names.set(["a"].into_iter(), 3 * SECOND);
        for _ in 0..2 {
            names.settle("a", Err("broken".to_owned()), 3 * SECOND);
            assert_eq!(names.next_after(3 * SECOND), Some(longest));
        }
    }

    #[test]
    fn a_name_that_stays_keeps_its_addresses_and_is_looked_up_again() {
        let mut names = names(None);
        look_up(&mut names, 0, found(&["::1"]));
        names.set(["b", "a"].into_iter(), SECOND);
        assert!(!names.are_settled());
        assert_eq!(names.addresses("a").len(), 1);
        assert!(names.has_due(SECOND));
        names.set(["b"].into_iter(), SECOND);
        assert!(names.addresses("a").is_empty());
        assert_eq!(names.settle("a", found(&["::1"]), SECOND), Settled::default());
    }
}
