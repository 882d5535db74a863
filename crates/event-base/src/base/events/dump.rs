//! The events of a base as text, in libevent's format (`event_base_dump_events`).
//!
//! libevent also lists its own events for wake-ups, signals and queues, marked `Internal`. Here these are not
//! events.

use std::fmt::Write;
use std::time::Duration;

use crate::base::{Base, Inner};
use crate::error::Error;
use crate::event::State;
use crate::flags::What;

/// The words for an event's interests, in the order of the text.
const INTERESTS: [(What, &str); 6] = [
    (What::READ, " Read"),
    (What::WRITE, " Write"),
    (What::CLOSED, " EOF"),
    (What::SIGNAL, " Signal"),
    (What::PERSIST, " Persist"),
    (What::ET, " ET"),
];

/// The words for its result.
const RESULTS: [(What, &str); 5] = [
    (What::READ, " Read"),
    (What::WRITE, " Write"),
    (What::CLOSED, " EOF"),
    (What::SIGNAL, " Signal"),
    (What::TIMEOUT, " Timeout"),
];

impl Inner {
    /// The slots of every event that is pending or active, each once, in the order of
    /// `event_base_foreach_event`: descriptors ascending, signals ascending, deadlines in the order of the heap's
    /// array, then those that are only active, by priority, and those that are only queued for the next pass.
    fn listed(&mut self) -> Vec<u32> {
        let mut slots = Vec::new();
        for fd in 0..self.events.fds.len() {
            slots.extend(self.events.fds.on(&mut self.events.table, fd));
        }
        slots.extend(self.events.signals.on_all(&mut self.events.table));
        slots.extend(self.events.deadlines.armed(&mut self.events.table));
        slots.extend(self.events.queues.slots(&mut self.events.table));
        let mut seen = vec![false; self.events.table.indices().len()];
        slots.retain(|slot| !std::mem::replace(&mut seen[*slot as usize], true));
        slots
    }

    fn dump(&mut self) -> String {
        let slots = self.listed();
        let mut text = String::from("Inserted events:\n");
        for slot in &slots {
            self.dump_inserted(*slot, &mut text);
        }
        text.push_str("Active events:\n");
        for slot in &slots {
            self.dump_active(*slot, &mut text);
        }
        text
    }

    fn dump_inserted(&mut self, slot: u32, text: &mut String) {
        let record = self.events.table.at(slot);
        if !record.state.intersects(State::INSERTED | State::TIMEOUT) {
            return;
        }
        let (what, deadline) = (record.what, record.timer.deadline());
        self.dump_name(slot, text);
        text.push(']');
        push_words(text, &INTERESTS, what);
        if let Some(deadline) = deadline {
            let at = Duration::from_nanos(self.time.to_wall(deadline));
            push(text, format_args!(" Timeout={}.{:06}", at.as_secs(), at.subsec_micros()));
        }
        text.push('\n');
    }

    fn dump_active(&mut self, slot: u32, text: &mut String) {
        let record = self.events.table.at(slot);
        let (state, result, priority) = (record.state, record.result, record.priority);
        if !state.intersects(State::QUEUED) {
            return;
        }
        self.dump_name(slot, text);
        push(text, format_args!(", priority={priority}]"));
        push_words(text, &RESULTS, result);
        text.push_str(" active");
        if state.contains(State::ACTIVE_LATER) {
            text.push_str(" [NextTime]");
        }
        text.push('\n');
    }

    fn dump_name(&mut self, slot: u32, text: &mut String) {
        let id = self.events.table.id(slot).to_bits();
        let record = self.events.table.at(slot);
        let kind = if record.what.contains(What::SIGNAL) { "sig" } else { "fd " };
        push(text, format_args!("  {id:#x} [{kind} {}", record.fd));
    }
}

/// Writing to a string does not fail.
fn push(text: &mut String, words: std::fmt::Arguments<'_>) {
    _ = text.write_fmt(words);
}

fn push_words(text: &mut String, words: &[(What, &str)], what: What) {
    for (bit, word) in words {
        if what.contains(*bit) {
            text.push_str(word);
        }
    }
}

impl Base {
    /// Every event that is pending or active as text, one a line (`event_base_dump_events`).
    ///
    /// ```text
    /// Inserted events:
    ///   0x1000003 [fd  7] Read Persist Timeout=1792000000.250000
    /// Active events:
    ///   0x1000003 [fd  7, priority=0] Read active
    /// ```
    ///
    /// Each line starts with the event's [id](crate::EventId::to_bits). A timeout is the wall-clock time of
    /// the deadline, in seconds since 1970. `[NextTime]` marks events that are queued for the next pass. Events on
    /// descriptors come first, in ascending order, then signals, then timers, then events that are only active. Any
    /// thread.
    pub fn dump(&self) -> Result<String, Error> {
        self.with(Inner::dump)
    }
}
