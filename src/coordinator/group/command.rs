//! What the group coordinator can be asked for, and what it answers. Each struct stands where its rules are.

use std::sync::Arc;

use super::classic::join::{JoinRequest, JoinResponse};
use super::classic::leave::{LeaveRequest, LeaveResponse};
use super::classic::sync::{SyncRequest, SyncResponse};
use super::classic::{ClassicGroup, HeartbeatRequest, MemberEvent};
use super::consumer::group::GroupEvent;
use super::consumer::{
    HeartbeatRequest as ConsumerHeartbeatRequest, HeartbeatResponse as ConsumerHeartbeatResponse,
};
use super::expiration::Cursor;
use super::offsets::{CommitRequest, CommitResponse, DeleteOffsetsRequest, DeleteOffsetsResponse};
use super::transactional::TransactionalCommitRequest;
use crate::coordinator::shard::{RequestId, TransactionMarker};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::TopicId;

#[derive(Debug)]
pub enum Command {
    Join(JoinRequest),
    Sync(SyncRequest),
    Heartbeat(HeartbeatRequest),
    Leave(LeaveRequest),
    /// ConsumerGroupHeartbeat (KIP-848).
    ConsumerHeartbeat(ConsumerHeartbeatRequest),
    /// The group record of this generation is committed: members may have their assignments.
    AssignmentCommitted {
        group: Arc<str>,
        generation: i32,
    },
    /// It was refused, or its fate is unknown. The leader's SyncGroup has to be answered as well.
    AssignmentFailed {
        group: Arc<str>,
        generation: i32,
        error: ErrorCode,
        leader_sync: RequestId,
    },
    /// The first record of a new group was refused: whoever joined is told.
    JoinFailed {
        request: RequestId,
        member_id: Arc<str>,
        error: ErrorCode,
    },
    /// What a deadline came to was refused: it is due again, but not at once. `None`: the look through the offsets.
    PutOff {
        group: Option<Arc<str>>,
    },
    /// DeleteGroups, one group: its offsets, as many as fit, and with the last of them its record.
    DeleteGroup {
        group: Arc<str>,
    },
    Commit(CommitRequest),
    CommitTransactional(TransactionalCommitRequest),
    /// A marker of the transaction coordinator, for all groups of the shard.
    EndTransaction(TransactionMarker),
    DeleteOffsets(DeleteOffsetsRequest),
    /// Topics are gone, and what was committed for them goes too: a part of it, from this key on. Empty is the first.
    TopicsDeleted {
        topics: Arc<[(TopicId, Arc<str>)]>,
        from: Vec<u8>,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Response {
    Join(JoinResponse),
    Sync(SyncResponse),
    Heartbeat(Result<(), ErrorCode>),
    Leave(LeaveResponse),
    ConsumerHeartbeat(ConsumerHeartbeatResponse),
    /// DeleteGroups, markers, internal commands.
    Done,
    /// DeleteGroups: there are more offsets, which the same command deletes.
    SomeDeleted,
    /// OffsetCommit, TxnOffsetCommit.
    Commit(CommitResponse),
    DeleteOffsets(DeleteOffsetsResponse),
    /// Where the next part begins; `None` when all is done.
    TopicsDeleted {
        next: Option<Vec<u8>>,
    },
}

/// What changes a shard without a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Soft {
    /// A classic group as it becomes: joins, phases, deadlines. Copies of a group share what has not changed.
    Group(Box<ClassicGroup>),
    /// A member was heard of: the one event that comes all the time.
    Member { group: Arc<str>, event: MemberEvent },
    /// What changes in a consumer group besides.
    Consumer { group: Arc<str>, event: GroupEvent },
    /// The group's listed deadline had passed and nothing was due, because members were heard of since.
    DeadlineLooked { group: Arc<str> },
    /// What is due in the group waits until this uptime.
    PutOff { group: Arc<str>, until_ms: i64 },
    /// Offsets of the shard were looked through; the next look is due at this uptime, there. `None`: no group is left.
    ExpiryLooked { next_ms: Option<i64>, cursor: Option<Cursor> },
}
