//! The known differences between libevent 2.1.12 and the engine.
//!
//! A rule either makes libevent's side do what the engine does, with libevent's own means, or keeps both sides
//! from a call after which they could not agree. Each counts how often it did, so that one that hides
//! everything is seen.

use std::cell::Cell;

macro_rules! rules {
    ($($rule:ident, $row:literal, $meaning:literal;)*) => {
        /// A known difference.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Rule {
            $(#[doc = $meaning] $rule,)*
        }

        /// Every rule: its row in `docs/differences.md`, as that begins, and what it does.
        pub(crate) const RULES: &[(Rule, &str, &str)] = &[$((Rule::$rule, $row, $meaning),)*];
    };
}

rules! {
    OrderOnDescriptor, "Events of one descriptor run in the reverse order of adding.",
        "a new event goes to the end of its descriptor's list";
    OrderWithChangelist, "epoll's changelist puts every change off",
        "with it descriptors of one wait are sorted by number on both sides";
    OrderOfScan, "poll and select begin to look at a random place",
        "libevent tells of the descriptors of one wait in the engine's order";
    PollRounds, "poll waits in whole milliseconds",
        "a wait of poll or select ends at the deadline";
    EqualDeadlines, "Equal deadlines fire in no order one could name",
        "timers that are due together are taken in the order of adding";
    CommonTimeouts, "Common timeouts wait for a timer of the base's own",
        "they are taken with all other timers, and calls that meet the base's own timer are left out";
    LateTimers, "The wait is computed with the time of before the callbacks",
        "a wait ends at the deadline, not late by what callbacks took";
    StandingTime, "The cached time is read at the start of every pass.",
        "the first callback of a pass asks for the time, which then stands still";
    AddWhileActive, "Re-adding an event that is active and not registered",
        "the descriptor of an active event is registered with ACTIVE hidden";
    MovedDeadline, "Moving the deadline of an event whose timeout is due",
        "only TIMEOUT is taken back";
    TimeoutOfActive, "2.1.12: a timeout of an event that is active already",
        "TIMEOUT is added to the result, the event stays registered";
    PeriodAndDescriptor, "The timeout of a persistent event takes its descriptor out of epoll",
        "a period that ends moves the timer only";
    PeriodOfZero, "A persistent timer with an interval of zero fires once and never again.",
        "a period is at least a microsecond";
    ActivatedPeriod, "Activating a persistent timer with TIMEOUT before its deadline",
        "TIMEOUT is left out when an event with a period is activated";
    PeriodAfterDelete, "The period survives `event_del`",
        "the period is cleared after deleting";
    PeriodAfterRemove, "`event_remove_timer` does nothing for a periodic event that is due",
        "the period is cleared then too";
    FinitePasses, "A pass runs whatever becomes active while it runs.",
        "what had its turn, or was made, in a pass is activated for the next one";
    FinitePassesLeft, "A pass runs whatever becomes active while it runs.",
        "a call that cannot be put off is left out, or a loop with ONCE is broken before the next pass";
    NonblockPolls, "`NONBLOCK` polls again and again",
        "later waits of a NONBLOCK loop find nothing";
    NonblockTime, "`NONBLOCK` polls again and again",
        "in a NONBLOCK loop time stands still and timers are not due at once";
    ExitIsAnEvent, "`event_base_loopexit` makes an event of the middle priority",
        "an exit that is due takes effect at once, and its event is deleted";
    BreakBeforeLoop, "`event_base_loopbreak` before the loop is forgotten.",
        "the next loop of libevent is not run";
    FewerPriorities, "Fewer priorities leave events a number that no longer exists",
        "priorities of libevent's events are lowered too";
    PrioritiesInCallback, "Changing the number of priorities in a callback",
        "not done in callbacks, and not with unnamed events and exits";
    ErrorsReachAll, "An error on a socket is shown to readers and writers only.",
        "ERR and HUP are shown to libevent as IN, OUT and RDHUP";
    EdgeAndLevel, "Edge-triggered and level-triggered events may share a descriptor",
        "libevent is not asked, the engine must refuse";
    EdgeAskedAgain, "Another edge-triggered event of the same kind on a descriptor",
        "libevent's registration is told again";
    ClosedDescriptors, "Nothing tells a descriptor from another file that later got its number",
        "events leave a descriptor before it is closed a second time, duplicated or opened";
    ClosedWithChangelist, "epoll's changelist puts every change off",
        "with a change list, events leave a descriptor before it is closed, and its number is used after the next wait";
    ClosedUnderPoll, "poll tells a persistent event of a closed descriptor",
        "with poll and select, events leave a descriptor before it is closed";
    AddedToClosed, "poll and select accept a descriptor that is closed",
        "with poll and select, no event is added to one";
    TimersByDescriptor, "Timers activated by their descriptor come in the order of the heap.",
        "activated by hand only if there is one";
    SignalsAtOnce, "The pipe of signals is read by an event of priority 0, in its turn.",
        "it is read when the wait is over, after descriptors and before timers";
    ForgottenSignals, "A signal that arrived for an event which was deleted since",
        "when the last event leaves a signal, its bytes are taken out of the pipe";
    CallsAddUp, "Activating an event that is active already does not add to its calls",
        "the calls of an event that is queued are added to";
    NoCalls, "Activating a signal event with no calls",
        "libevent is not asked";
    OneCallAtATime, "All calls of a row come before anything else is looked at.",
        "libevent makes one call, and the event goes to the front of its queue";
    CallsAfterRemove, "`event_remove_timer` takes the calls of a signal event along",
        "the number of calls is put back";
    SignalPeriod, "The timeout of a persistent signal event deletes it.",
        "its timeout leaves it registered, and its period begins again when it is called";
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

/// How often each was applied so far.
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
