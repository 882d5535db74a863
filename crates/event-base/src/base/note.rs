//! Messages of a base: noted under its lock, told without it.

use super::{Base, Inner};
use crate::error::Error;
use crate::log::{LogMessage, Severity, tell};
use crate::sync::Guard;

/// A message that is still to be told.
#[derive(Debug)]
pub(super) struct Note {
    severity: Severity,
    text: String,
}

impl Inner {
    /// Notes a message, to be told as soon as the lock is dropped; in the loop, before it next sleeps.
    #[cold]
    pub(super) fn note(&mut self, severity: Severity, text: String) {
        self.notes.push(Note { severity, text });
        self.sleep.request_telling();
    }
}

impl Base {
    /// A number that no other base of this process bears or ever bore; [`LogMessage::base`] says it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.shared.number
    }

    /// What was asked for under a lock that can be dropped now: a wake-up, messages.
    #[cold]
    pub(super) fn follow_up(&self, mut inner: Guard<'_, Inner>) {
        let notifier = inner.sleep.take_wake().then(|| inner.take_notifier()).flatten();
        let notes = std::mem::take(&mut inner.notes);
        drop(inner);
        if let Some(notifier) = notifier {
            notifier.notify();
        }
        self.tell(notes);
    }

    /// Tells what the loop noted, without the lock.
    #[cold]
    pub(super) fn tell_notes<'a>(&'a self, mut inner: Guard<'a, Inner>) -> Result<Guard<'a, Inner>, Error> {
        let notes = std::mem::take(&mut inner.notes);
        drop(inner);
        self.tell(notes);
        self.shared.state.lock()
    }

    fn tell(&self, notes: Vec<Note>) {
        for Note { severity, text } in notes {
            tell(&LogMessage { severity, text: &text, base: Some(self.number()), method: None });
        }
    }
}
