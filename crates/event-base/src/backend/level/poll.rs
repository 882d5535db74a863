//! poll: an unordered array of descriptors.

use std::os::fd::RawFd;
use std::time::Duration;

use super::{Found, Set};
use crate::backend::Readiness;
use crate::flags::{Features, What};
use crate::sys::scan::{PollEntry, poll};

/// The index of a descriptor that is not in the array.
const NOWHERE: u32 = u32::MAX;

/// The bit that reports the close of a peer; 0 where the system reports a close only as readable.
#[cfg(linux_kernel)]
const PEER_CLOSED: i16 = libc::POLLRDHUP;
#[cfg(not(linux_kernel))]
const PEER_CLOSED: i16 = 0;

/// The array, and the index of each descriptor in it.
#[derive(Debug, Default)]
pub(crate) struct PollSet {
    entries: Vec<PollEntry>,
    /// The token of each entry.
    tokens: Vec<u64>,
    /// The index of each descriptor, by number.
    places: Vec<u32>,
    /// The index at which the next scan begins.
    start: usize,
}

impl Set for PollSet {
    const NAME: &'static str = "poll";
    const SYSCALL: &'static str = "poll";
    const FEATURES: Features =
        if PEER_CLOSED == 0 { Features::FDS } else { Features::FDS.union(Features::EARLY_CLOSE) };

    fn update(&mut self, fd: RawFd, interests: What, token: u64) {
        let place = self.places.get(fd as usize).copied().unwrap_or(NOWHERE);
        if interests.is_empty() {
            if place != NOWHERE {
                self.remove(fd, place as usize);
            }
            return;
        }
        let entry = PollEntry { fd, events: to_poll(interests), revents: 0 };
        if place == NOWHERE {
            if self.places.len() <= fd as usize {
                self.places.resize(fd as usize + 1, NOWHERE);
            }
            self.places[fd as usize] = self.entries.len() as u32;
            self.entries.push(entry);
            self.tokens.push(token);
        } else {
            self.entries[place as usize] = entry;
            self.tokens[place as usize] = token;
        }
    }

    fn wait(&mut self, timeout: Option<Duration>, found: &mut Found) -> nix::Result<()> {
        let mut left = poll(&mut self.entries, timeout)?;
        // Each scan begins behind the first ready descriptor of the previous one, so that limits on the callbacks of a
        // pass do not favour the first descriptors.
        let count = self.entries.len();
        let start = if self.start < count { self.start } else { 0 };
        let mut first = None;
        for place in (start..count).chain(0..start) {
            if left == 0 {
                break;
            }
            let PollEntry { fd, revents, .. } = self.entries[place];
            if revents == 0 {
                continue;
            }
            left -= 1;
            first.get_or_insert(place);
            let token = self.tokens[place];
            if revents & libc::POLLNVAL != 0 {
                found.lost.push((fd, token));
            } else {
                found.ready.push(Readiness { token, what: to_interests(revents) });
            }
        }
        if let Some(first) = first {
            self.start = first + 1;
        }
        Ok(())
    }
}

impl PollSet {
    /// The last entry takes the place of the removed one.
    fn remove(&mut self, fd: RawFd, place: usize) {
        self.entries.swap_remove(place);
        self.tokens.swap_remove(place);
        if let Some(moved) = self.entries.get(place) {
            self.places[moved.fd as usize] = place as u32;
        }
        self.places[fd as usize] = NOWHERE;
    }
}

fn to_poll(interests: What) -> i16 {
    let mut events = 0;
    for (interest, bits) in
        [(What::READ, libc::POLLIN), (What::WRITE, libc::POLLOUT), (What::CLOSED, PEER_CLOSED)]
    {
        if interests.contains(interest) {
            events |= bits;
        }
    }
    events
}

/// An error and a hang-up are reported to every interest: poll returns immediately while they last, so the loop would
/// spin if an event did not receive them.
fn to_interests(revents: i16) -> What {
    if revents & (libc::POLLERR | libc::POLLHUP) != 0 {
        return What::IO;
    }
    let mut what = What::empty();
    what.set(What::READ, revents & libc::POLLIN != 0);
    what.set(What::WRITE, revents & libc::POLLOUT != 0);
    what.set(What::CLOSED, revents & PEER_CLOSED != 0);
    what
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn ready(set: &mut PollSet) -> Vec<u64> {
        let mut found = Found::default();
        set.wait(Some(Duration::ZERO), &mut found).unwrap();
        assert_eq!(found.lost, []);
        found.ready.iter().map(|readiness| readiness.token).collect()
    }

    #[test]
    fn the_scan_begins_behind_the_first_of_the_last_one() {
        let sockets: Vec<_> = (0..3).map(|_| UnixStream::pair().unwrap()).collect();
        let mut set = PollSet::default();
        for (number, (socket, _)) in sockets.iter().enumerate() {
            set.update(socket.as_raw_fd(), What::WRITE, number as u64);
        }
        assert_eq!(ready(&mut set), [0, 1, 2]);
        assert_eq!(ready(&mut set), [1, 2, 0]);
        assert_eq!(ready(&mut set), [2, 0, 1]);
        assert_eq!(ready(&mut set), [0, 1, 2]);
    }

    #[test]
    fn a_removed_descriptor_does_not_affect_the_others() {
        let sockets: Vec<_> = (0..4).map(|_| UnixStream::pair().unwrap()).collect();
        let fd = |number: usize| sockets[number].0.as_raw_fd();
        let mut set = PollSet::default();
        for number in 0..4 {
            set.update(fd(number), What::WRITE, number as u64);
        }
        set.update(fd(1), What::empty(), 0);
        set.update(fd(1), What::empty(), 0);
        set.update(fd(3), What::READ, 3);
        let mut found = ready(&mut set);
        found.sort_unstable();
        assert_eq!(found, [0, 2]);
        for number in [0, 2, 3] {
            set.update(fd(number), What::empty(), 0);
        }
        assert_eq!(ready(&mut set), []);
        set.update(fd(3), What::WRITE, 9);
        assert_eq!(ready(&mut set), [9]);
    }

    #[test]
    fn a_closed_descriptor_is_lost() {
        let mut set = PollSet::default();
        set.update(1_000_000, What::READ, 5);
        let mut found = Found::default();
        set.wait(None, &mut found).unwrap();
        assert_eq!((found.lost, found.ready), (vec![(1_000_000, 5)], vec![]));
    }
}
