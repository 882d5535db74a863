//! One budget for many relays.
//!
//! Whoever finds no tokens is *promised* some: they are counted as handed out at once, and his once as many
//! have come in. Promises fall due in the order they were made, and everybody who waits is promised as much
//! as the others, so nobody is passed over, however greedy the rest. A promise that is not needed is given
//! back.
//!
//! The members may belong to different loops on different threads. Nobody is woken by another: each waits
//! for the time his promise is due, and looks again every [`LOOK`], in case the limit was changed meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use event_base::Error;
use parking_lot::{Mutex, MutexGuard};

use super::limit::RateLimit;
use crate::failure::Result;

/// What all who wait are promised together, as time: so long it takes until each has had his turn.
const ROUND: f64 = 0.01;
/// The least that is promised, where the burst is not less (libevent's `min_share`).
const LEAST_SHARE: f64 = 64.0;
/// The longest wait before a look whether the limit has changed.
const LOOK: Duration = Duration::from_millis(200);

/// A limit that many relays share, each direction for itself: all bytes from first to second ends together, and
/// all in the other direction together (libevent's `bufferevent_rate_limit_group`).
///
/// It can be used by relays of several [`Net`](crate::Net)s on any threads. Its clones are the same group.
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

    /// Another limit from now on. Members that wait notice within 0.2 s.
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

    /// How many relays share it now.
    #[must_use]
    pub fn members(&self) -> usize {
        self.shared.members.load(Ordering::Relaxed)
    }

    /// Ends the limit for good: members go on without it, those that wait within 0.2 s; new ones are refused.
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

/// One direction's tokens. Counted from the group's beginning, so that a promise is one number.
#[derive(Debug)]
struct Budget {
    limit: RateLimit,
    /// Tokens that came in. What comes in beyond the burst is not counted.
    earned: f64,
    /// Tokens handed out or promised.
    granted: f64,
    /// When `earned` was counted; none before the first member asked.
    filled: Option<Duration>,
    /// How many wait for a promise.
    waiting: usize,
    closed: bool,
}

impl Budget {
    fn new(limit: RateLimit) -> Self {
        Budget { limit, earned: limit.burst as f64, granted: 0.0, filled: None, waiting: 0, closed: false }
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.filled.unwrap_or(now)).as_secs_f64();
        let most = self.granted + self.limit.burst as f64;
        self.earned = (self.earned + passed * self.limit.rate as f64).min(most);
        // Threads read the clock before they come here, so one may be a little late.
        self.filled = Some(self.filled.unwrap_or(now).max(now));
    }

    fn change(&mut self, limit: RateLimit) {
        // What came in since the last look is counted at the new rate: a member that waits has looked not
        // long ago, and where none waits the burst is the most there can be.
        self.limit = limit;
        self.earned = self.earned.min(self.granted + limit.burst as f64);
    }

    /// Hands out a fair share of what is there.
    fn hand_out(&mut self) -> usize {
        let there = (self.earned - self.granted).max(0.0);
        let share = (there / (self.waiting + 1) as f64).max(LEAST_SHARE).min(there).floor();
        self.granted += share;
        share as usize
    }

    fn promise(&mut self) -> Promise {
        let round = self.limit.rate as f64 * ROUND;
        let share = (round / (self.waiting + 1) as f64).max(LEAST_SHARE).min(self.limit.burst as f64).floor();
        self.waiting += 1;
        self.granted += share;
        Promise { share, due: self.granted }
    }

    fn is_due(&self, promise: &Promise) -> bool {
        self.earned >= promise.due
    }

    fn wait(&self, promise: &Promise) -> Duration {
        let missing = (promise.due - self.earned).max(0.0);
        // Rounded up, as a wait that ends a nanosecond early would find nothing.
        let nanos = (missing / self.limit.rate as f64 * 1e9).ceil() as u64;
        Duration::from_nanos(nanos.saturating_add(1)).min(LOOK)
    }

    fn give_back(&mut self, tokens: f64) {
        self.granted -= tokens;
    }
}

/// Tokens that are somebody's once so many have come in.
#[derive(Debug)]
struct Promise {
    share: f64,
    due: f64,
}

/// One direction of a relay in a group.
#[derive(Debug)]
pub(super) struct Member {
    group: RateGroup,
    direction: usize,
    promise: Option<Promise>,
    /// Tokens in hand; [`usize::MAX`] once the group is closed.
    purse: usize,
}

impl Member {
    /// The two directions of one relay.
    pub(super) fn both(group: &RateGroup) -> Result<[Self; 2]> {
        if group.budget(0).closed {
            return Err(Error::Closed);
        }
        group.shared.members.fetch_add(1, Ordering::Relaxed);
        let member = |direction| Member { group: group.clone(), direction, promise: None, purse: 0 };
        Ok([member(0), member(1)])
    }

    /// How many bytes may move in the turn that begins.
    pub(super) fn open(&mut self, now: Duration) -> usize {
        let mut budget = self.group.budget(self.direction);
        if budget.closed {
            self.promise = None;
            self.purse = usize::MAX;
            return self.purse;
        }
        budget.fill(now);
        self.purse = match &self.promise {
            None => budget.hand_out(),
            Some(promise) if !budget.is_due(promise) => 0,
            Some(promise) => {
                let share = promise.share as usize;
                budget.waiting -= 1;
                self.promise = None;
                share
            }
        };
        self.purse
    }

    pub(super) fn take(&mut self, count: usize) {
        if self.purse != usize::MAX {
            self.purse -= count;
        }
    }

    pub(super) fn is_out(&self) -> bool {
        self.purse == 0
    }

    /// How long to wait for more.
    pub(super) fn wait(&mut self) -> Duration {
        let mut budget = self.group.budget(self.direction);
        let promise = match self.promise.take() {
            Some(promise) => promise,
            None => budget.promise(),
        };
        let wait = budget.wait(&promise);
        self.promise = Some(promise);
        wait
    }

    /// The turn is over.
    pub(super) fn close(&mut self) {
        if self.purse != usize::MAX && self.purse > 0 {
            self.group.budget(self.direction).give_back(self.purse as f64);
        }
        self.purse = 0;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(promise) = self.promise.take() {
            let mut budget = self.group.budget(self.direction);
            budget.waiting -= 1;
            budget.give_back(promise.share);
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

    /// Runs the members on a clock of its own for `time`; each takes at most `appetite` bytes whenever it may.
    fn feast(members: &mut [[Member; 2]], appetite: &[usize], time: Duration) -> Vec<usize> {
        let mut eaten = vec![0; members.len()];
        let mut wakes = vec![Duration::ZERO; members.len()];
        loop {
            let next = (0..members.len()).min_by_key(|index| wakes[*index]).expect("there are members");
            let now = wakes[next];
            if now >= time {
                return eaten;
            }
            let member = &mut members[next][0];
            let bite = member.open(now).min(appetite[next]);
            member.take(bite);
            eaten[next] += bite;
            wakes[next] = now + if member.is_out() { member.wait() } else { Duration::from_millis(1) };
            member.close();
        }
    }

    #[test]
    fn everybody_gets_the_same_and_all_together_the_rate() {
        for (rate, burst) in [(1_000_000, 1_000), (50_000, 50_000), (10_000_000, 100_000)] {
            let group = group(rate, burst);
            let mut members: Vec<_> = (0..7).map(|_| Member::both(&group).expect("it is open")).collect();
            let eaten = feast(&mut members, &[usize::MAX; 7], Duration::from_secs(20));
            let (all, fair) = (eaten.iter().sum::<usize>() as u64, rate as usize * 20 / 7);
            assert!(all <= rate * 20 + burst && all >= rate * 20 * 99 / 100, "{eaten:?} at {rate}");
            assert!(eaten.iter().all(|one| one.abs_diff(fair) <= fair / 20 + burst as usize), "{eaten:?}");
        }
    }

    #[test]
    fn what_one_does_not_want_the_others_get() {
        let group = group(1_000_000, 10_000);
        let mut members: Vec<_> = (0..3).map(|_| Member::both(&group).expect("it is open")).collect();
        // The first wants 10 bytes at a time, and waits for its turn like the others.
        let eaten = feast(&mut members, &[10, usize::MAX, usize::MAX], Duration::from_secs(10));
        assert!(eaten.iter().sum::<usize>() >= 9_800_000, "{eaten:?}");
        assert!(eaten[0] >= 5_000, "{eaten:?}");
        assert!(eaten[1].abs_diff(eaten[2]) < 500_000, "{eaten:?}");
    }

    #[test]
    fn a_small_burst_and_a_slow_rate_starve_nobody() {
        for (rate, burst) in [(1, 1), (3, 2), (100, 1)] {
            let group = group(rate, burst);
            let mut members: Vec<_> = (0..5).map(|_| Member::both(&group).expect("it is open")).collect();
            let eaten = feast(&mut members, &[usize::MAX; 5], Duration::from_secs(100));
            assert!(eaten.iter().all(|one| *one as u64 >= rate * 100 / 5 - burst - 1), "{eaten:?} at {rate}");
            assert!(eaten.iter().sum::<usize>() as u64 <= rate * 100 + burst, "{eaten:?} at {rate}");
        }
    }

    #[test]
    fn a_promise_of_a_member_that_leaves_is_given_back() {
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
        // The other direction has tokens of its own.
        assert_eq!(second[1].open(Duration::from_millis(100)), 500);
    }

    #[test]
    fn a_change_of_the_limit_reaches_who_waits() {
        let group = group(1, 1);
        let mut member = Member::both(&group).expect("it is open");
        let member = &mut member[0];
        assert_eq!(member.open(Duration::ZERO), 1);
        member.take(1);
        assert_eq!(member.wait(), LOOK);
        group.set_limit(RateLimit { rate: 1_000_000, burst: 1000 }).expect("it is open");
        assert_eq!(member.open(LOOK), 1);
        member.take(1);
        assert!(member.wait() < Duration::from_millis(2));
        group.close();
        assert_eq!(member.open(LOOK), usize::MAX);
        assert_eq!(group.set_limit(RateLimit { rate: 1, burst: 1 }), Err(Error::Closed));
        assert!(Member::both(&group).is_err());
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        for limit in [RateLimit { rate: 0, burst: 1 }, RateLimit { rate: 1, burst: 0 }] {
            assert!(matches!(RateGroup::new(limit), Err(Error::OutOfRange(_))));
            assert!(matches!(group(1, 1).set_limit(limit), Err(Error::OutOfRange(_))));
        }
    }
}
