//! One limit for many relays.
//!
//! A member that finds no tokens *reserves* some. They count as granted immediately, and the member may use them once
//! that many tokens have been added. Reservations become due in the order they were made, and each member that waits
//! reserves as much as the others, so no member is starved. A reservation that is not needed is returned.
//!
//! The members may belong to loops on different threads. No member wakes another: each waits until its reservation is
//! due, and checks every [`CHECK_INTERVAL`] whether the limit was changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use event_base::Error;
use parking_lot::{Mutex, MutexGuard};

use super::limit::RateLimit;
use crate::failure::Result;

/// The reservations of all waiting members together, as time: after this long each of them has been served once.
const ROUND: f64 = 0.01;
/// The smallest reservation, unless the burst is smaller (`min_share` in libevent).
const LEAST_SHARE: f64 = 64.0;
/// The longest wait before a member checks whether the limit has changed.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// A limit that many relays share (`bufferevent_rate_limit_group`). Each direction has a limit for itself: one for
/// all bytes from first to second descriptors, and one for all bytes from second to first descriptors.
///
/// The relays may belong to several [`Net`](crate::Net)s on any threads. A clone is the same group.
#[derive(Clone, Debug)]
pub struct RateGroup {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    budgets: [Mutex<Budget>; 2],
    members: AtomicUsize,
}

impl RateGroup {
    /// A group without members, with a full burst.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a rate or burst of 0.
    pub fn new(limit: RateLimit) -> Result<Self> {
        limit.check()?;
        let budget = || Mutex::new(Budget::new(limit));
        Ok(RateGroup {
            shared: Arc::new(Shared { budgets: [budget(), budget()], members: AtomicUsize::new(0) }),
        })
    }

    /// Changes the limit. Members that wait notice within 0.2 s.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a rate or burst of 0, [`Error::Closed`].
    pub fn set_limit(&self, limit: RateLimit) -> Result<()> {
        limit.check()?;
        for direction in [0, 1] {
            let mut budget = self.budget(direction);
            if budget.closed {
                return Err(Error::Closed);
            }
            budget.change(limit);
        }
        Ok(())
    }

    /// The number of relays that share it now.
    #[must_use]
    pub fn members(&self) -> usize {
        self.shared.members.load(Ordering::Relaxed)
    }

    /// Ends the limit: members continue without it, those that wait within 0.2 s. New members are refused.
    /// Idempotent.
    pub fn close(&self) {
        for direction in [0, 1] {
            self.budget(direction).closed = true;
        }
    }

    fn budget(&self, direction: usize) -> MutexGuard<'_, Budget> {
        self.shared.budgets[direction].lock()
    }
}

/// The tokens of one direction. They are counted from the creation of the group, so that a reservation is one number.
#[derive(Debug)]
struct Budget {
    limit: RateLimit,
    /// Tokens that were added. Tokens beyond the burst are not counted.
    added: f64,
    /// Tokens that were granted or reserved.
    granted: f64,
    /// When `added` was last computed; `None` before the first member needed tokens.
    filled: Option<Duration>,
    /// The number of members with a reservation.
    waiting: usize,
    closed: bool,
}

impl Budget {
    fn new(limit: RateLimit) -> Self {
        Budget { limit, added: limit.burst as f64, granted: 0.0, filled: None, waiting: 0, closed: false }
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.filled.unwrap_or(now)).as_secs_f64();
        let most = self.granted + self.limit.burst as f64;
        self.added = (self.added + passed * self.limit.rate as f64).min(most);
        // A thread reads the clock before it locks the budget, so `now` may be older than `filled`.
        self.filled = Some(self.filled.unwrap_or(now).max(now));
    }

    fn change(&mut self, limit: RateLimit) {
        // The tokens since the last `fill` are counted at the new rate. If a member waits, that was at most
        // `CHECK_INTERVAL` ago; if none waits, the burst limits them.
        self.limit = limit;
        self.added = self.added.min(self.granted + limit.burst as f64);
    }

    /// Grants a fair share of the tokens that are available.
    fn grant(&mut self) -> usize {
        let available = (self.added - self.granted).max(0.0);
        let share = (available / (self.waiting + 1) as f64).max(LEAST_SHARE).min(available).floor();
        self.granted += share;
        share as usize
    }

    fn reserve(&mut self) -> Reservation {
        let round = self.limit.rate as f64 * ROUND;
        let share = (round / (self.waiting + 1) as f64).max(LEAST_SHARE).min(self.limit.burst as f64).floor();
        self.waiting += 1;
        self.granted += share;
        Reservation { share, due: self.granted }
    }

    fn is_due(&self, reservation: &Reservation) -> bool {
        self.added >= reservation.due
    }

    fn wait(&self, reservation: &Reservation) -> Duration {
        let missing = (reservation.due - self.added).max(0.0);
        // Rounded up: a wait that ends a nanosecond early would find no token.
        let nanos = (missing / self.limit.rate as f64 * 1e9).ceil() as u64;
        Duration::from_nanos(nanos.saturating_add(1)).min(CHECK_INTERVAL)
    }

    fn return_tokens(&mut self, tokens: f64) {
        self.granted -= tokens;
    }
}

/// Tokens that a member may use once `due` tokens have been added.
#[derive(Debug)]
struct Reservation {
    share: f64,
    due: f64,
}

/// One direction of a relay in a group.
#[derive(Debug)]
pub(super) struct Member {
    group: RateGroup,
    direction: usize,
    reservation: Option<Reservation>,
    /// Tokens that may be used in this pass; [`usize::MAX`] once the group is closed.
    tokens: usize,
}

impl Member {
    /// The two directions of one relay.
    pub(super) fn both(group: &RateGroup) -> Result<[Self; 2]> {
        if group.budget(0).closed {
            return Err(Error::Closed);
        }
        group.shared.members.fetch_add(1, Ordering::Relaxed);
        let member = |direction| Member { group: group.clone(), direction, reservation: None, tokens: 0 };
        Ok([member(0), member(1)])
    }

    /// Begins a pass: returns the number of bytes that may move in it.
    pub(super) fn open(&mut self, now: Duration) -> usize {
        let mut budget = self.group.budget(self.direction);
        if budget.closed {
            self.reservation = None;
            self.tokens = usize::MAX;
            return self.tokens;
        }
        budget.fill(now);
        self.tokens = match &self.reservation {
            None => budget.grant(),
            Some(reservation) if !budget.is_due(reservation) => 0,
            Some(reservation) => {
                let share = reservation.share as usize;
                budget.waiting -= 1;
                self.reservation = None;
                share
            }
        };
        self.tokens
    }

    pub(super) fn take(&mut self, count: usize) {
        if self.tokens != usize::MAX {
            self.tokens -= count;
        }
    }

    pub(super) fn is_out(&self) -> bool {
        self.tokens == 0
    }

    /// Returns how long to wait for tokens.
    pub(super) fn wait(&mut self) -> Duration {
        let mut budget = self.group.budget(self.direction);
        let reservation = match self.reservation.take() {
            Some(reservation) => reservation,
            None => budget.reserve(),
        };
        let wait = budget.wait(&reservation);
        self.reservation = Some(reservation);
        wait
    }

    /// Ends the pass. Tokens that were not used are returned.
    pub(super) fn close(&mut self) {
        if self.tokens != usize::MAX && self.tokens > 0 {
            self.group.budget(self.direction).return_tokens(self.tokens as f64);
        }
        self.tokens = 0;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            let mut budget = self.group.budget(self.direction);
            budget.waiting -= 1;
            budget.return_tokens(reservation.share);
        }
        if self.direction == 0 {
            self.group.shared.members.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(rate: u64, burst: u64) -> RateGroup {
        RateGroup::new(RateLimit { rate, burst }).expect("neither is 0")
    }

    /// Runs the members on a virtual clock for `time`. Each moves at most `demand` bytes in a pass. Returns the bytes
    /// that each has moved.
    fn simulate(members: &mut [[Member; 2]], demand: &[usize], time: Duration) -> Vec<usize> {
        let mut moved = vec![0; members.len()];
        let mut wakes = vec![Duration::ZERO; members.len()];
        loop {
            let next = (0..members.len()).min_by_key(|index| wakes[*index]).expect("there are members");
            let now = wakes[next];
            if now >= time {
                return moved;
            }
            let member = &mut members[next][0];
            let count = member.open(now).min(demand[next]);
            member.take(count);
            moved[next] += count;
            wakes[next] = now + if member.is_out() { member.wait() } else { Duration::from_millis(1) };
            member.close();
        }
    }

    #[test]
    fn every_member_gets_the_same_share_and_all_together_the_rate() {
        for (rate, burst) in [(1_000_000, 1_000), (50_000, 50_000), (10_000_000, 100_000)] {
            let group = group(rate, burst);
            let mut members: Vec<_> = (0..7).map(|_| Member::both(&group).expect("it is open")).collect();
            let moved = simulate(&mut members, &[usize::MAX; 7], Duration::from_secs(20));
            let (all, fair) = (moved.iter().sum::<usize>() as u64, rate as usize * 20 / 7);
            assert!(all <= rate * 20 + burst && all >= rate * 20 * 99 / 100, "{moved:?} at {rate}");
            assert!(moved.iter().all(|one| one.abs_diff(fair) <= fair / 20 + burst as usize), "{moved:?}");
        }
    }

    #[test]
    fn a_share_that_a_member_does_not_use_goes_to_the_others() {
        let group = group(1_000_000, 10_000);
        let mut members: Vec<_> = (0..3).map(|_| Member::both(&group).expect("it is open")).collect();
        // The first moves 10 bytes at a time, and waits like the others.
        let moved = simulate(&mut members, &[10, usize::MAX, usize::MAX], Duration::from_secs(10));
        assert!(moved.iter().sum::<usize>() >= 9_800_000, "{moved:?}");
        assert!(moved[0] >= 5_000, "{moved:?}");
        assert!(moved[1].abs_diff(moved[2]) < 500_000, "{moved:?}");
    }

    #[test]
    fn a_small_burst_and_a_slow_rate_starve_no_member() {
        for (rate, burst) in [(1, 1), (3, 2), (100, 1)] {
            let group = group(rate, burst);
            let mut members: Vec<_> = (0..5).map(|_| Member::both(&group).expect("it is open")).collect();
            let moved = simulate(&mut members, &[usize::MAX; 5], Duration::from_secs(100));
            assert!(moved.iter().all(|one| *one as u64 >= rate * 100 / 5 - burst - 1), "{moved:?} at {rate}");
            assert!(moved.iter().sum::<usize>() as u64 <= rate * 100 + burst, "{moved:?} at {rate}");
        }
    }

    #[test]
    fn the_reservation_of_a_member_that_leaves_is_returned() {
        let group = group(1000, 500);
        let mut first = Member::both(&group).expect("it is open");
        assert_eq!(first[0].open(Duration::ZERO), 500);
        first[0].take(500);
        first[0].wait();
        assert_eq!((group.members(), group.budget(0).waiting), (1, 1));
        drop(first);
        assert_eq!((group.members(), group.budget(0).waiting), (0, 0));
        let mut second = Member::both(&group).expect("it is open");
        assert_eq!(second[0].open(Duration::from_millis(100)), 100);
        second[0].close();
        // The other direction has its own tokens.
        assert_eq!(second[1].open(Duration::from_millis(100)), 500);
    }

    #[test]
    fn a_new_limit_reaches_a_member_that_waits() {
        let group = group(1, 1);
        let mut member = Member::both(&group).expect("it is open");
        let member = &mut member[0];
        assert_eq!(member.open(Duration::ZERO), 1);
        member.take(1);
        assert_eq!(member.wait(), CHECK_INTERVAL);
        group.set_limit(RateLimit { rate: 1_000_000, burst: 1000 }).expect("it is open");
        assert_eq!(member.open(CHECK_INTERVAL), 1);
        member.take(1);
        assert!(member.wait() < Duration::from_millis(2));
        group.close();
        assert_eq!(member.open(CHECK_INTERVAL), usize::MAX);
        assert_eq!(group.set_limit(RateLimit { rate: 1, burst: 1 }), Err(Error::Closed));
        assert!(Member::both(&group).is_err());
    }

    #[test]
    fn a_rate_or_burst_of_zero_is_refused() {
        for limit in [RateLimit { rate: 0, burst: 1 }, RateLimit { rate: 1, burst: 0 }] {
            assert!(matches!(RateGroup::new(limit), Err(Error::OutOfRange(_))));
            assert!(matches!(group(1, 1).set_limit(limit), Err(Error::OutOfRange(_))));
        }
    }
}
