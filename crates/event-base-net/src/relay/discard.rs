//! Reading and dropping the bytes that a peer sends after they can no longer be passed on.

use std::time::Duration;

use super::Pools;
use super::end::End;
use super::flow::PASS_LIMIT;

/// The most bytes that are dropped.
const DISCARD_LIMIT: usize = 64 << 20;
/// The longest time for which bytes are dropped.
pub(super) const DISCARD_TIME: Duration = Duration::from_secs(30);

/// The outcome of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The peer has sent nothing more so far.
    Nothing,
    /// There may be more.
    More,
    /// The peer has ended its stream, or one of the limits is reached.
    End,
    /// The connection has failed.
    Failure,
}

impl Found {
    /// Whether reading has ended.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Found::End | Found::Failure)
    }
}

/// How much of a stream may still be dropped, and until when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Discard {
    left: usize,
    pub(super) deadline: Duration,
    over: Option<Found>,
}

impl Discard {
    pub(super) fn new(now: Duration) -> Self {
        Discard { left: DISCARD_LIMIT, deadline: now + DISCARD_TIME, over: None }
    }

    /// As after the end of a stream: nothing is read.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn ended(now: Duration) -> Self {
        Discard { over: Some(Found::End), ..Discard::new(now) }
    }

    /// Whether bytes were dropped since `before`.
    pub(super) fn has_read_since(self, before: Discard) -> bool {
        self.left < before.left
    }

    /// Whether the peer has ended its stream, or the number of bytes is reached.
    pub(super) fn is_over(self) -> bool {
        self.over.is_some()
    }

    /// Reads until nothing is left, or until the share of one pass is used up.
    pub(super) fn advance(&mut self, source: &End, pools: &mut Pools, now: Duration) -> Found {
        if let Some(over) = self.over {
            return over;
        }
        if now >= self.deadline {
            return Found::End;
        }
        let found = self.read(source, pools);
        if found.is_over() {
            self.over = Some(found);
        }
        found
    }

    /// Keeps the number of bytes that may still be dropped, and starts the time again.
    pub(super) fn renewed(self, now: Duration) -> Self {
        Discard { deadline: now + DISCARD_TIME, ..self }
    }

    fn read(&mut self, source: &End, pools: &mut Pools) -> Found {
        let mut share = PASS_LIMIT;
        while share > 0 {
            if self.left == 0 {
                return Found::End;
            }
            let room = pools.buffers.scratch();
            let want = room.len().min(share).min(self.left);
            match source.receive(&mut room[..want]) {
                Ok(None) => return Found::Nothing,
                Ok(Some(0)) => return Found::End,
                Ok(Some(count)) => {
                    share -= count;
                    self.left -= count;
                }
                Err(_) => return Found::Failure,
            }
        }
        Found::More
    }
}

#[cfg(test)]
mod tests {
    use event_base::Base;

    use super::*;
    use crate::socket;
    use crate::source::SourceKey;

    #[test]
    fn dropping_ends_at_the_number_of_bytes_and_at_the_deadline() {
        let (near, far) = socket::pair().unwrap();
        let end = End::new(near, SourceKey::from_bits(1 << 24).unwrap(), 0, true).unwrap();
        let (mut pools, now) = (Pools::new(), Duration::from_secs(1000));
        let mut discard = Discard { left: 5, ..Discard::new(now) };
        assert_eq!(discard.advance(&end, &mut pools, now), Found::Nothing);
        socket::write(&far, b"abc").unwrap();
        let before = discard;
        assert_eq!(discard.advance(&end, &mut pools, now), Found::Nothing);
        assert!(discard.has_read_since(before));
        assert!(!discard.has_read_since(discard));
        let mut late = discard;
        assert_eq!(late.advance(&end, &mut pools, now + DISCARD_TIME), Found::End);
        socket::write(&far, b"defghi").unwrap();
        assert_eq!(discard.advance(&end, &mut pools, now), Found::End);
        assert!(discard.is_over());
        let mut rest = [0; 8];
        assert_eq!(socket::read(&end, &mut rest), Ok(Some(4)));
        assert_eq!(&rest[..4], b"fghi");
        end.close(&Base::new().unwrap());
    }
}
