//! What holds one direction back: its own tokens, and those of its group.

use std::time::Duration;

use super::group::Member;
use super::limit::Bucket;

#[derive(Debug)]
pub(super) struct Throttle {
    own: Option<Bucket>,
    group: Option<Member>,
}

impl Throttle {
    /// `None` where nothing is limited. Boxed, as most directions are not.
    pub(super) fn new(own: Option<Bucket>, group: Option<Member>) -> Option<Box<Self>> {
        (own.is_some() || group.is_some()).then(|| Box::new(Throttle { own, group }))
    }

    /// How many bytes may move in the turn that begins.
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

    /// Nothing may move for the moment: how long to wait.
    pub(super) fn wait(&mut self) -> Duration {
        match &mut self.group {
            Some(group) if group.is_out() => group.wait(),
            _ => self.own.as_ref().map_or(Duration::ZERO, Bucket::wait),
        }
    }

    /// The turn is over.
    pub(super) fn close(&mut self) {
        if let Some(group) = &mut self.group {
            group.close();
        }
    }
}
