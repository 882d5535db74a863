//! The limits of one direction: its own tokens, and those of its group.

use std::time::Duration;

use super::group::Member;
use super::limit::Bucket;

#[derive(Debug)]
pub(super) struct Throttle {
    own: Option<Bucket>,
    group: Option<Member>,
}

impl Throttle {
    /// `None` without a limit. Boxed because most directions have none.
    pub(super) fn new(own: Option<Bucket>, group: Option<Member>) -> Option<Box<Self>> {
        (own.is_some() || group.is_some()).then(|| Box::new(Throttle { own, group }))
    }

    /// Begins a pass: returns the number of bytes that may move in it.
    pub(super) fn open(&mut self, now: Duration) -> usize {
        let own = self.own.as_mut().map_or(usize::MAX, |own| own.available(now));
        let group = self.group.as_mut().map_or(usize::MAX, |group| group.open(now));
        own.min(group)
    }

    pub(super) fn take(&mut self, count: usize) {
        if let Some(own) = &mut self.own {
            own.take(count);
        }
        if let Some(group) = &mut self.group {
            group.take(count);
        }
    }

    /// Returns how long to wait for tokens, when none are left.
    pub(super) fn wait(&mut self) -> Duration {
        match &mut self.group {
            Some(group) if group.is_out() => group.wait(),
            _ => self.own.as_ref().map_or(Duration::ZERO, Bucket::wait),
        }
    }

    /// Ends the pass. Tokens of the group that were not used are returned to it.
    pub(super) fn close(&mut self) {
        if let Some(group) = &mut self.group {
            group.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::group::RateGroup;
    use super::super::limit::RateLimit;
    use super::*;

    #[test]
    fn tokens_of_the_group_that_the_own_limit_leaves_unused_are_returned() {
        let now = Duration::from_secs(1);
        let group = RateGroup::new(RateLimit { rate: 1000, burst: 1000 }).expect("neither is 0");
        let [member, _] = Member::both(&group).expect("it is open");
        let own = Bucket::new(RateLimit { rate: 10, burst: 10 }, now);
        let mut throttle = Throttle::new(Some(own), Some(member)).expect("it is limited");
        assert_eq!(throttle.open(now), 10);
        throttle.take(10);
        assert!(throttle.wait() > Duration::from_millis(50), "the own limit is what it waits for");
        throttle.close();
        let [mut other, _] = Member::both(&group).expect("it is open");
        assert_eq!(other.open(now), 990);
    }

    #[test]
    fn a_direction_without_a_limit_has_no_throttle() {
        assert!(Throttle::new(None, None).is_none());
    }
}
