//! What a broker that leads a partition knows of its copies, and the high watermark that follows from it.
//!
//! Pure: no log, no clock, no lock. The replica feeds it log end offsets and reads the high watermark.
//! Kafka: `Partition`, KIP-497 for the maximal ISR.

use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset};

/// KIP-320: a client that names a leader epoch is answered by that epoch's leader only.
pub fn check_epoch(known_to_client: LeaderEpoch, epoch: LeaderEpoch) -> Result<(), ErrorCode> {
    if known_to_client == LeaderEpoch::NONE || known_to_client == epoch {
        Ok(())
    } else if known_to_client < epoch {
        Err(ErrorCode::FencedLeaderEpoch)
    } else {
        Err(ErrorCode::UnknownLeaderEpoch)
    }
}

/// The leader's side of a partition in one leader epoch.
#[derive(Debug)]
pub struct Leadership {
    epoch: LeaderEpoch,
    /// End of this broker's own log.
    log_end: Offset,
    /// First appended offset that a flush must cover before it may count, when `flush.messages` is due.
    held_back_from: Option<Offset>,
    /// Log end after the last append that a flush must cover; only meaningful while records are held back.
    held_back_to: Offset,
    /// The other members of the maximal ISR (current and proposed), with the offset each has fetched up to
    /// in this epoch; `None` until it has fetched.
    followers: Vec<(BrokerId, Option<Offset>)>,
    high_watermark: Offset,
}

impl Leadership {
    /// Takes over at `log_end` with a high watermark that an earlier leader has established. `isr` may name
    /// this broker, `me`.
    pub fn begin(
        epoch: LeaderEpoch,
        me: BrokerId,
        isr: &[BrokerId],
        log_end: Offset,
        high_watermark: Offset,
    ) -> Leadership {
        assert!(high_watermark <= log_end, "the high watermark never passes the log end");
        let followers = isr.iter().filter(|broker| **broker != me).map(|broker| (*broker, None)).collect();
        let mut leadership = Leadership {
            epoch,
            log_end,
            held_back_from: None,
            held_back_to: log_end,
            followers,
            high_watermark,
        };
        leadership.advance();
        leadership
    }

    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Exclusive: consumers see what lies below it.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Members of the maximal ISR, this broker included.
    pub fn in_sync_count(&self) -> usize {
        self.followers.len() + 1
    }

    /// Records from `first` up to `log_end` were appended; `flush_due` when they count only once they are
    /// on disk.
    pub fn appended(&mut self, first: Offset, log_end: Offset, flush_due: bool) {
        assert!(log_end >= self.log_end, "an append never shortens the log");
        self.log_end = log_end;
        if flush_due {
            self.held_back_from.get_or_insert(first);
            self.held_back_to = log_end;
        }
        self.advance();
    }

    /// Everything below `up_to` is on disk.
    pub fn flushed(&mut self, up_to: Offset) {
        if let Some(first) = self.held_back_from
            && first < up_to
        {
            // Records behind the last due append wait for no flush: none was asked for.
            self.held_back_from = (up_to < self.held_back_to).then_some(up_to);
        }
        self.advance();
    }

    /// `follower` asks for `fetch_offset` in this epoch, so it holds everything below.
    pub fn follower_fetched(&mut self, follower: BrokerId, fetch_offset: Offset) {
        for (broker, progress) in &mut self.followers {
            if *broker == follower {
                *progress = Some(fetch_offset);
            }
        }
        self.advance();
    }

    /// End of what counts of this broker's own copy, exclusive.
    pub fn counts_up_to(&self) -> Offset {
        self.held_back_from.unwrap_or(self.log_end)
    }

    fn advance(&mut self) {
        let own = self.counts_up_to();
        // Every member of the maximal ISR must have fetched past it in this epoch, so one that has not
        // fetched yet holds the watermark where it is.
        let slowest = self
            .followers
            .iter()
            .map(|(_, progress)| progress.unwrap_or(Offset::ZERO))
            .fold(own, Offset::min);
        // The high watermark never goes back.
        self.high_watermark = self.high_watermark.max(slowest);
        assert!(self.high_watermark <= self.log_end, "the high watermark never passes the log end");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: BrokerId = BrokerId(1);

    fn alone() -> Leadership {
        Leadership::begin(LeaderEpoch(0), ME, &[ME], Offset(0), Offset(0))
    }

    #[test]
    fn alone_every_append_is_committed() {
        let mut leadership = alone();
        leadership.appended(Offset(0), Offset(5), false);
        assert_eq!(leadership.high_watermark(), Offset(5));
    }

    #[test]
    fn a_due_flush_holds_the_high_watermark_back() {
        let mut leadership = alone();
        leadership.appended(Offset(0), Offset(5), true);
        leadership.appended(Offset(5), Offset(9), true);
        assert_eq!(leadership.high_watermark(), Offset(0));
        leadership.flushed(Offset(5));
        assert_eq!(leadership.high_watermark(), Offset(5));
        leadership.flushed(Offset(9));
        assert_eq!(leadership.high_watermark(), Offset(9));
    }

    #[test]
    fn what_comes_behind_a_due_flush_does_not_wait_for_the_next() {
        let mut leadership = alone();
        leadership.appended(Offset(0), Offset(10), true);
        leadership.appended(Offset(10), Offset(11), false);
        assert_eq!(leadership.high_watermark(), Offset(0));
        leadership.flushed(Offset(10));
        assert_eq!(leadership.high_watermark(), Offset(11));
    }

    #[test]
    fn the_slowest_in_sync_follower_decides() {
        let isr = [ME, BrokerId(2), BrokerId(3)];
        let mut leadership = Leadership::begin(LeaderEpoch(4), ME, &isr, Offset(10), Offset(7));
        leadership.appended(Offset(10), Offset(20), false);
        leadership.follower_fetched(BrokerId(2), Offset(20));
        assert_eq!(leadership.high_watermark(), Offset(7), "broker 3 has not fetched in this epoch");
        leadership.follower_fetched(BrokerId(3), Offset(12));
        assert_eq!(leadership.high_watermark(), Offset(12));
        leadership.follower_fetched(BrokerId(3), Offset(11));
        assert_eq!(leadership.high_watermark(), Offset(12), "it never goes back");
        leadership.follower_fetched(BrokerId(9), Offset(99));
        assert_eq!(leadership.high_watermark(), Offset(12), "a stranger does not count");
    }
}
