//! Offsets that are committed in a transaction, and its end. Kafka: `OffsetMetadataManager.commitTransactionalOffset`,
//! `replayEndTransactionMarker`. KIP-98, KIP-447 (who may commit), KIP-890 (no commit outside of its transaction).
//!
//! What a transaction commits is no committed offset until its marker says so: until then it is
//! [pending](super::pending). Whether the producer is the one it says to be, and in this epoch, the log knows, which
//! refuses the append.

use std::sync::Arc;

use super::command::Response;
use super::offsets::{self, CommitResponse, CommitTopic};
use super::pending::Asked;
use super::records::Record;
use super::shard::GroupShard;
use crate::coordinator::shard::{Event, Now, Outcome, RequestId, TransactionMarker, TransactionalProducer};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::Timestamp;

/// From this version of TxnOffsetCommit on an unknown group is called so.
const GROUP_ID_NOT_FOUND_SINCE_VERSION: i16 = 6;

/// A TxnOffsetCommit of partitions that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionalCommitRequest {
    pub group: Arc<str>,
    pub producer: TransactionalProducer,
    /// Empty for producers that do not tell of their group.
    pub member_id: String,
    pub group_instance_id: Option<String>,
    /// -1 for producers that do not tell of their group.
    pub generation: i32,
    /// Version of the request: newer clients know more errors.
    pub version: i16,
    /// What [`PendingOffsets::ask`](super::pending::PendingOffsets::ask) gave, before the transaction coordinator was
    /// asked if that had to be; `None` while partitions of transactions are not verified.
    pub asked: Option<Asked>,
    pub topics: Vec<CommitTopic>,
}

/// Adds what fits to the transaction, and says of each partition whether it did.
///
/// Errors, which concern all partitions: GROUP_ID_NOT_FOUND or ILLEGAL_GENERATION for a group that does not exist, those
/// of [`Group::validate_transactional_commit`](super::groups::Group::validate_transactional_commit),
/// INVALID_TXN_STATE for a transaction that has ended meanwhile, COORDINATOR_NOT_AVAILABLE while too much is pending.
pub fn commit(
    shard: &GroupShard,
    request: TransactionalCommitRequest,
    id: RequestId,
    now: Now,
) -> Result<Outcome<GroupShard>, ApiError> {
    match shard.groups.get(&request.group) {
        Some(group) => group.validate_transactional_commit(&request)?,
        // The replay of the first record makes a simple group.
        None if request.generation < 0 => {}
        None if request.version >= GROUP_ID_NOT_FOUND_SINCE_VERSION => {
            return Err(offsets::group_not_found(&request.group));
        }
        None => return Err(ErrorCode::IllegalGeneration.into()),
    }
    if request.asked.is_some_and(|asked| !shard.pending.may_be_open(request.producer.id, asked)) {
        // A late commit would begin a transaction that nobody ends.
        return Err(ErrorCode::InvalidTxnState.into());
    }
    let limit = (shard.settings)().offset_metadata_max_bytes;
    let (records, results) =
        offsets::records_of(&request.group, request.topics, now.wall, Timestamp::NONE, limit);
    if !shard.pending.has_room_for(&records) {
        let message = "Too many offsets of open transactions.";
        return Err(ApiError::new(ErrorCode::CoordinatorNotAvailable, message.to_owned()));
    }
    let mut outcome = Outcome::reply(id, Response::Commit(CommitResponse { results }));
    let producer = request.producer;
    outcome.events.extend(records.into_iter().map(|record| Event::Transactional(producer, record)));
    Ok(outcome)
}

/// Writes the marker of a transaction, whether anything of it is pending or not: the log has to know of its end.
pub fn end(marker: TransactionMarker, id: RequestId) -> Outcome<GroupShard> {
    let mut outcome = Outcome::reply(id, Response::Done);
    outcome.events.push(Event::Marker(marker));
    outcome
}

impl GroupShard {
    pub(super) fn replay_transactional(&mut self, producer: TransactionalProducer, record: &Record) {
        match record {
            Record::Offset(key, Some(value)) => {
                self.ensure_group(&key.group, value.commit_timestamp);
                self.pending.insert(producer, key, value);
            }
            // Coordinators write nothing else in transactions.
            Record::Offset(_, None) | Record::Group(..) | Record::Consumer(..) => {}
        }
    }
}

#[cfg(test)]
mod tests;
