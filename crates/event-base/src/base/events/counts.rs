//! Counters of the lists that events are in, and their maxima.

use crate::base::Base;
use crate::error::Error;
use crate::event::State;
use crate::flags::CountFlags;

/// The counters of a base.
#[derive(Debug, Default)]
pub(super) struct Counts {
    now: [usize; 3],
    most: [usize; 3],
}

/// The order of the counters.
const FLAGS: [CountFlags; 3] = [CountFlags::ACTIVE, CountFlags::VIRTUAL, CountFlags::ADDED];
const ACTIVE: usize = 0;
const VIRTUAL: usize = 1;
const ADDED: usize = 2;

impl Counts {
    #[inline]
    fn up(&mut self, counter: usize) {
        self.now[counter] += 1;
        self.most[counter] = self.most[counter].max(self.now[counter]);
    }

    #[inline]
    fn down(&mut self, counter: usize) {
        self.now[counter] = self.now[counter].saturating_sub(1);
    }

    /// An event joined `list`.
    #[inline]
    pub(super) fn list(&mut self, list: State) {
        self.up(ADDED);
        if State::QUEUED.contains(list) {
            self.up(ACTIVE);
        }
    }

    /// An event left `list`.
    #[inline]
    pub(super) fn unlist(&mut self, list: State) {
        self.down(ADDED);
        if State::QUEUED.contains(list) {
            self.down(ACTIVE);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.now == [0; 3]
    }

    pub(super) fn added(&self) -> usize {
        self.now[ADDED]
    }

    #[inline]
    pub(super) fn active(&self) -> usize {
        self.now[ACTIVE]
    }
}

impl Base {
    /// The sum of the counters in `flags` (`event_base_get_num_events`).
    pub fn count_events(&self, flags: CountFlags) -> Result<usize, Error> {
        self.with(|inner| {
            let counters = FLAGS.iter().zip(inner.events.counts.now);
            counters.filter(|(flag, _)| flags.contains(**flag)).map(|(_, count)| count).sum()
        })
    }

    /// The sum of the highest values that the counters in `flags` ever had; `clear` sets these values to 0
    /// (`event_base_get_max_events`).
    pub fn max_events(&self, flags: CountFlags, clear: bool) -> Result<usize, Error> {
        self.with(|inner| {
            let mut sum = 0;
            for (flag, most) in FLAGS.iter().zip(&mut inner.events.counts.most) {
                if flags.contains(*flag) {
                    sum += *most;
                    if clear {
                        *most = 0;
                    }
                }
            }
            sum
        })
    }

    /// Keeps the loop from ending as empty until [`release`](Self::release) is called once for each call of this
    /// (`event_base_add_virtual_`).
    pub fn retain(&self) -> Result<(), Error> {
        self.with(|inner| inner.events.counts.up(VIRTUAL))
    }

    /// Undoes one [`retain`](Self::retain) (`event_base_del_virtual_`). Without effect if there is none.
    pub fn release(&self) -> Result<(), Error> {
        self.with(|inner| {
            inner.events.counts.down(VIRTUAL);
            inner.request_wake_if_empty();
        })
    }
}
