//! The known differences between libevent 2.1.12 and the engine.
//!
//! A rule either makes libevent's side do what the engine does, or omits a call after which the two sides could not
//! agree. Each rule counts its applications, so that a rule that hides too much is visible.

use std::cell::Cell;

macro_rules! rules {
    ($($rule:ident, $row:literal, $meaning:literal;)*) => {
        /// A known difference.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Rule {
            $(#[doc = $meaning] $rule,)*
        }

        /// Every rule: the beginning of its row in `docs/differences.md`, and its effect.
        pub(crate) const RULES: &[(Rule, &str, &str)] = &[$((Rule::$rule, $row, $meaning),)*];
    };
}

rules! {
    OrderOnDescriptor, "Events of one descriptor run in the reverse order of adding.",
        "a new event goes to the end of its descriptor's list";
    OrderWithChangelist, "epoll's changelist defers every change",
        "with the list, the descriptors of one wait are sorted by number on both sides";
    OrderOfScan, "poll and select start scanning at a random position",
        "libevent reports the descriptors of one wait in the engine's order";
    PollRounds, "poll waits in whole milliseconds",
        "a wait of poll or select ends at the deadline";
    EqualDeadlines, "Timers with equal deadlines fire in no defined order",
        "timers that expire together are processed in the order of adding";
    CommonTimeouts, "Common timeouts use a timer event of the base",
        "they are processed with all other timers, and calls that concern the base's own timer are omitted";
    LateTimers, "The length of a wait is computed with the time before the callbacks",
        "a wait ends at the deadline, not late by the duration of callbacks";
    StandingTime, "The cached time is read at the start of every pass.",
        "the first callback of a pass reads the time, which then does not advance";
    AddWhileActive, "Adding an event that is active and not registered",
        "the descriptor of an active event is registered with ACTIVE hidden";
    MovedDeadline, "Moving the deadline of an event whose timeout is active",
        "only TIMEOUT is removed";
    TimeoutOfActive, "2.1.12: a timeout of an event that is active",
        "TIMEOUT is added to the result, the event stays registered";
    PeriodAndDescriptor, "The timeout of a persistent event removes its descriptor from epoll",
        "at the end of a period only the timer changes";
    PeriodOfZero, "A persistent timer with an interval of zero fires only once.",
        "a period is at least a microsecond";
    ActivatedPeriod, "Activating a persistent timer with TIMEOUT before its deadline",
        "an event with a period is activated without TIMEOUT";
    PeriodAfterDelete, "The period survives `event_del`",
        "the period is cleared after deleting";
    PeriodAfterRemove, "`event_remove_timer` has no effect on a periodic event that is active",
        "the period is cleared then too";
    FinitePasses, "A pass runs every event that becomes active during it.",
        "events that have run in a pass, or were made in it, are activated for the next one";
    FinitePassesLeft, "A pass runs every event that becomes active during it.",
        "a call that cannot be deferred is omitted, or a loop with ONCE is broken before the next pass";
    NonblockPolls, "`NONBLOCK` polls repeatedly",
        "later waits of a NONBLOCK loop find nothing";
    NonblockTime, "`NONBLOCK` polls repeatedly",
        "in a NONBLOCK loop time does not advance, and timers do not expire immediately";
    ExitIsAnEvent, "`event_base_loopexit` makes an event of the middle priority",
        "an exit that has expired takes effect immediately, and its event is deleted";
    BreakBeforeLoop, "`event_base_loopbreak` before the loop has no effect.",
        "the next loop of libevent is not run";
    FewerPriorities, "After the number of priorities is reduced, events keep a number that no longer exists",
        "priorities of libevent's events are lowered too";
    PrioritiesInCallback, "Changing the number of priorities in a callback",
        "not done in callbacks, and not with unnamed events and exits";
    ErrorsReachAll, "An error on a socket is reported only to readers and writers.",
        "ERR and HUP are reported to libevent as IN, OUT and RDHUP";
    EdgeAndLevel, "Edge-triggered and level-triggered events can share a descriptor",
        "libevent is not called, and the engine must refuse";
    EdgeAskedAgain, "Adding another edge-triggered event of the same kind for a descriptor",
        "libevent's registration is modified, so that epoll reports it again";
    ClosedDescriptors, "A file that got the number of a closed descriptor is not distinguished from it",
        "events are deleted before their descriptor is closed a second time, duplicated or opened";
    ClosedWithChangelist, "epoll's changelist defers every change",
        "with the list, events are deleted before their descriptor is closed, and its number is reused after the next wait";
    ClosedUnderPoll, "poll reports a persistent event of a closed descriptor",
        "with poll and select, events are deleted before their descriptor is closed";
    AddedToClosed, "poll and select accept a closed descriptor",
        "with poll and select, no event is added for one";
    TimersByDescriptor, "Timers that their descriptor activated are ordered by the heap.",
        "a descriptor is activated by the program only if it has at most one timer";
    SignalsAtOnce, "The pipe of signals is read by an event of priority 0.",
        "it is read after the wait, after descriptors and before timers";
    ForgottenSignals, "A signal that arrived for an event which was then deleted",
        "when the last event for a signal is deleted, its bytes are removed from the pipe";
    CallsAddUp, "Activating an event that is active does not add to its calls",
        "calls are added to those of a queued event";
    NoCalls, "Activating a signal event with no calls",
        "libevent is not called";
    OneCallAtATime, "All calls for a signal run before anything else is checked.",
        "libevent makes one call, and the event moves to the front of its queue";
    CallsAfterRemove, "`event_remove_timer` also drops the remaining calls of a signal event.",
        "the number of calls is restored";
    SignalPeriod, "The timeout of a persistent signal event deletes it.",
        "its timeout leaves it registered, and a new period starts when it is called";
}

thread_local! {
    static COUNTS: Cell<[u64; RULES.len()]> = const { Cell::new([0; RULES.len()]) };
}

/// Counts an application.
pub(crate) fn count(rule: Rule) {
    let mut counts = COUNTS.get();
    counts[rule as usize] += 1;
    COUNTS.set(counts);
}

/// How often each rule was applied so far.
pub(crate) fn counts() -> [u64; RULES.len()] {
    COUNTS.get()
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn every_rule_names_a_row_of_the_differences() {
        let text = include_str!("../../../../../docs/differences.md");
        for (rule, row, _) in RULES {
            assert!(text.contains(&format!("\n| {row}")), "{rule:?}: no row begins with {row:?}");
        }
    }
}
