//! Since when the bytes at the end of a log have been written, pure.
//!
//! Who sends records wants to know whether they are in the page cache, and asking the kernel costs a call. What this
//! process has just written need not be asked about.

use crate::protocol::ids::Timestamp;

/// Bytes before the end that are spoken of: a page cache that holds less than that of a log which is written has other
/// troubles.
const SPOKEN_OF_BYTES: u64 = 8 << 20;

/// Time between two marks. What is said is off by so much at most.
const MARK_INTERVAL_MS: i64 = 2_000;

/// When the end of the active segment was written, in marks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lately {
    newer: Option<Mark>,
    older: Option<Mark>,
}

/// Everything from `position` on was written at `at` or later.
#[derive(Clone, Copy, Debug)]
struct Mark {
    position: u64,
    at: Timestamp,
}

impl Lately {
    /// Bytes were written at `position`, where the segment ended.
    pub fn wrote(&mut self, position: u64, now: Timestamp) {
        let is_marked = self.newer.is_some_and(|newer| (0..MARK_INTERVAL_MS).contains(&now.since(newer.at)));
        if !is_marked {
            self.older = self.newer.replace(Mark { position, at: now });
        }
    }

    /// The time since which everything from `position` to `end` was written, as far as it is known.
    pub fn since(&self, position: u64, end: u64) -> Option<Timestamp> {
        if position.saturating_add(SPOKEN_OF_BYTES) < end {
            return None;
        }
        let mut marks = [self.newer, self.older].into_iter().flatten();
        marks.find(|mark| mark.position <= position).map(|mark| mark.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes of 100 bytes at `times`, and since when each is said to have been written.
    fn check(times: &[i64], since: &[Option<i64>]) {
        let mut lately = Lately::default();
        for (index, at) in times.iter().enumerate() {
            lately.wrote(index as u64 * 100, Timestamp(*at));
        }
        let end = times.len() as u64 * 100;
        let said: Vec<_> = (0..since.len() as u64)
            .map(|index| lately.since(index * 100, end).map(|since| since.0))
            .collect();
        assert_eq!(said, since);
    }

    #[test]
    fn nothing_is_said_of_what_was_there_before() {
        check(&[], &[None]);
        let mut lately = Lately::default();
        lately.wrote(1000, Timestamp(7));
        assert_eq!(lately.since(999, 1100), None);
        assert_eq!(lately.since(1000, 1100), Some(Timestamp(7)));
        assert_eq!(lately.since(1050, 1100), Some(Timestamp(7)));
    }

    #[test]
    fn a_write_is_never_said_to_be_younger_than_it_is() {
        check(&[0, 1999], &[Some(0), Some(0)]);
        check(&[0, 1999, 2000, 3000], &[Some(0), Some(0), Some(2000), Some(2000)]);
        check(&[0, 2000, 4000], &[None, Some(2000), Some(4000)]);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_a_mark() {
        check(&[9000, 100], &[Some(9000), Some(100)]);
    }

    #[test]
    fn only_the_last_bytes_are_spoken_of() {
        let mut lately = Lately::default();
        lately.wrote(0, Timestamp(1));
        assert_eq!(lately.since(0, SPOKEN_OF_BYTES), Some(Timestamp(1)));
        assert_eq!(lately.since(0, SPOKEN_OF_BYTES + 1), None);
    }
}
