//! Messages of a base: recorded under its lock, reported without it.

use crate::base::{Base, Inner};
use crate::error::Error;
use crate::log::{LogMessage, Severity, report};
use crate::sync::Guard;

/// A message that was not reported yet.
#[derive(Debug)]
pub(super) struct Message {
    severity: Severity,
    text: String,
}

impl Inner {
    /// Records a message, to be reported as soon as the lock is released; by the loop, before it next sleeps.
    #[cold]
    pub(in crate::base) fn log(&mut self, severity: Severity, text: String) {
        self.report.messages.push(Message { severity, text });
        self.kernel.request_follow_up();
    }
}

impl Base {
    /// A number that no other base of this process has or ever had; [`LogMessage::base`] holds it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.shared.number
    }

    /// Does what was requested under a lock that can be released now: a wake-up, messages.
    #[cold]
    pub(in crate::base) fn follow_up(&self, mut inner: Guard<'_, Inner>) {
        let notifier = inner.take_wake();
        let messages = std::mem::take(&mut inner.report.messages);
        drop(inner);
        if let Some(notifier) = notifier {
            notifier.notify();
        }
        self.report_all(messages);
    }

    /// Reports the messages that the loop recorded, without the lock.
    #[cold]
    pub(in crate::base) fn report_messages<'a>(
        &'a self,
        mut inner: Guard<'a, Inner>,
    ) -> Result<Guard<'a, Inner>, Error> {
        let messages = std::mem::take(&mut inner.report.messages);
        drop(inner);
        self.report_all(messages);
        self.shared.state.lock()
    }

    fn report_all(&self, messages: Vec<Message>) {
        for Message { severity, text } in messages {
            report(&LogMessage { severity, text: &text, base: Some(self.number()), method: None });
        }
    }
}
