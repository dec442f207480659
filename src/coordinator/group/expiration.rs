//! Expiry of committed offsets (KIP-211), and the end of groups that have neither members nor offsets.
//!
//! Every `offsets.retention.check.interval.ms` the offsets of a shard are looked through. A shard may hold millions, and
//! its requests wait while it is looked at, so one look visits few of them and the next goes on soon after, where a
//! [`Cursor`] says. Kafka: `OffsetExpirationConditionImpl`, `OffsetMetadataManager.cleanupExpiredOffsets`,
//! `GroupCoordinatorShard.cleanupGroupMetadata`.

use std::sync::Arc;

use super::classic::OffsetExpiration;
use super::command::Soft;
use super::offsets::{tombstone, unreadable};
use super::records::{self, OffsetValue};
use super::shard::GroupShard;
use crate::coordinator::shard::{Now, Outcome, Scan, Stored};
use crate::protocol::errors::ApiError;
use crate::protocol::ids::Timestamp;

/// Offsets and groups that one look visits, together; a fraction of a millisecond.
const VISITS_PER_LOOK: usize = 500;
/// Pause between two looks of one round, in which the requests of the shard have their turn.
const PAUSE_MS: i64 = 5;

/// Whether an offset has outlived its retention. An expiry that an old client has set counts alone.
pub fn has_expired(
    expiration: OffsetExpiration,
    value: &OffsetValue,
    now: Timestamp,
    retention_ms: i64,
) -> bool {
    let base = match expiration {
        // Members that do not say what they read may need all of them.
        OffsetExpiration::Never => return false,
        OffsetExpiration::SinceCommit => value.commit_timestamp,
        OffsetExpiration::Since(timestamp) => timestamp,
    };
    if value.expire_timestamp != Timestamp::NONE {
        return now >= value.expire_timestamp;
    }
    now.since(base) >= retention_ms
}

/// Where the next look goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The groups when the round began.
    groups: Arc<[Arc<str>]>,
    /// Index of the next one.
    at: usize,
    /// The key in its offsets to go on from; empty is the first.
    from: Vec<u8>,
}

/// Sets the first look of a shard that has had no group until now; `None` when one is due already.
pub fn first_look(shard: &GroupShard, now: Now) -> Option<Soft> {
    if shard.next_expiry_ms.is_some() {
        return None;
    }
    Some(Soft::ExpiryLooked { next_ms: Some(next_round(shard, now)), cursor: None })
}

/// Deletes some of what has expired. Ends with [`Soft::ExpiryLooked`], which says when and where to go on.
pub fn look(shard: &GroupShard, now: Now, stored: &dyn Stored) -> Outcome<GroupShard> {
    let mut look = Look {
        shard,
        now,
        stored,
        retention_ms: i64::from((shard.settings)().offsets_retention_minutes) * 60_000,
        visits_left: VISITS_PER_LOOK,
        ended_group_count: 0,
        outcome: Outcome::nothing(),
    };
    let cursor = shard.expiry_cursor.clone().unwrap_or_else(|| Cursor {
        groups: shard.groups.keys().cloned().collect(),
        at: 0,
        from: Vec::new(),
    });
    let cursor = look.go_on(cursor).unwrap_or(None); // The view cannot be read: the next round tries again.
    let next_ms = match &cursor {
        Some(_) => Some(now.uptime_ms + PAUSE_MS),
        None if look.ended_group_count == shard.groups.len() => None,
        None => Some(next_round(shard, now)),
    };
    look.outcome.soft(Soft::ExpiryLooked { next_ms, cursor });
    look.outcome
}

fn next_round(shard: &GroupShard, now: Now) -> i64 {
    now.uptime_ms.saturating_add((shard.settings)().offsets_retention_check_interval_ms)
}

struct Look<'a> {
    shard: &'a GroupShard,
    now: Now,
    stored: &'a dyn Stored,
    retention_ms: i64,
    visits_left: usize,
    ended_group_count: usize,
    outcome: Outcome<GroupShard>,
}

impl Look<'_> {
    /// Visits what one look may; `None` when the round is over.
    fn go_on(&mut self, mut cursor: Cursor) -> Result<Option<Cursor>, ApiError> {
        while let Some(group) = cursor.groups.get(cursor.at) {
            if self.visits_left == 0 {
                return Ok(Some(cursor));
            }
            self.visits_left -= 1;
            if let Some(from) = self.visit_group(group, &cursor.from)? {
                return Ok(Some(Cursor { from, ..cursor }));
            }
            cursor.at += 1;
            cursor.from.clear();
        }
        Ok(None)
    }

    /// Deletes the expired offsets of a group from a key on, and the group with the last of them. Returns the key to
    /// go on from when there are more than one look may visit.
    fn visit_group(&mut self, id: &Arc<str>, from: &[u8]) -> Result<Option<Vec<u8>>, ApiError> {
        let GroupShard { groups, pending, .. } = self.shard;
        let Some(group) = groups.get(id) else { return Ok(None) };
        let expiration = group.offset_expiration();
        if expiration == OffsetExpiration::Never {
            return Ok(None);
        }
        let (wall, retention_ms) = (self.now.wall, self.retention_ms);
        let (mut goes_on, mut failure) = (None, Ok(()));
        let mut survivors = false;
        let (visits_left, outcome) = (&mut self.visits_left, &mut self.outcome);
        self.stored.scan(&records::group_offsets_prefix(id), &mut |key, value| {
            if key < from {
                // Came after this part was looked through.
                survivors = true;
                return Scan::SkipTo(from.to_vec());
            }
            if *visits_left == 0 {
                goes_on = Some(key.to_vec());
                return Scan::Stop;
            }
            *visits_left -= 1;
            let read = records::parts_of_offset_key(key)
                .and_then(|parts| Ok((parts, records::decode_offset(value)?)));
            let ((_, topic, partition), value) = match read {
                Ok(read) => read,
                Err(cause) => {
                    failure = Err(unreadable(cause));
                    return Scan::Stop;
                }
            };
            if group.is_subscribed_to(topic) {
                survivors = true;
                return Scan::SkipTo(records::behind_prefix(&records::topic_offsets_prefix(id, topic)));
            }
            // What an open transaction may replace has not come to its end.
            let is_pending = pending.contains(id, topic, partition);
            if !is_pending && has_expired(expiration, &value, wall, retention_ms) {
                outcome.durable(tombstone(id, topic, partition));
            } else {
                survivors = true;
            }
            Scan::Next
        })?;
        failure?;
        if goes_on.is_none() && !survivors && group.is_empty() && !pending.contains_group(id) {
            group.tombstones().into_iter().for_each(|record| self.outcome.durable(record));
            self.ended_group_count += 1;
        }
        Ok(goes_on)
    }
}

#[cfg(test)]
mod tests;
