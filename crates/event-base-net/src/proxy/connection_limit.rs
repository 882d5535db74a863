//! The limit of open connections, over all threads of a proxy.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// Counts connections. A thread that finds no place waits in a line, and the next connection that ends lets the first
/// thread of the line accept again. A lock is taken once for each connection that begins or ends.
#[derive(Debug)]
pub(super) struct ConnectionLimit {
    most: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: u32,
    /// The threads that do not accept.
    line: VecDeque<usize>,
}

impl ConnectionLimit {
    pub(super) fn new(most: u32) -> Self {
        ConnectionLimit { most, state: Mutex::default() }
    }

    /// Counts a connection that a thread is about to accept. If there is no place, the thread joins the line.
    pub(super) fn enter(&self, thread: usize) -> bool {
        let mut state = self.state.lock();
        if state.open < self.most {
            state.open += 1;
            return true;
        }
        if !state.line.contains(&thread) {
            state.line.push_back(thread);
        }
        false
    }

    /// Counts the end of a connection. Returns the thread that accepts again.
    pub(super) fn leave(&self) -> Option<usize> {
        let mut state = self.state.lock();
        state.open -= 1;
        state.line.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_that_ends_wakes_one_thread_in_the_order_of_the_line() {
        let limit = ConnectionLimit::new(2);
        assert!(limit.enter(0) && limit.enter(1));
        assert_eq!([2, 0, 2, 1].map(|thread| limit.enter(thread)), [false; 4]);
        assert_eq!(limit.leave(), Some(2));
        assert!(limit.enter(2));
        assert!(!limit.enter(2));
        assert_eq!([limit.leave(), limit.leave()], [Some(0), Some(1)]);
        assert!(limit.enter(0));
        assert_eq!([limit.leave()], [Some(2)]);
        assert!(limit.enter(2));
        assert_eq!(limit.leave(), None);
    }
}
