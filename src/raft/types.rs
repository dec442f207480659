//! What openraft's parameters are in this crate. Its types stay inside `raft`.

use std::fmt;
use std::sync::Arc;

use openraft::vote::RaftLeaderId;
use openraft::{BasicNode, RaftTypeConfig};

use crate::controller::MetadataRecord;
use crate::protocol::ids::{BrokerId, LeaderEpoch, Offset};
use crate::raft::checkpoint::Checkpoint;

/// What one raft entry carries: the records of some commands, decided together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records(pub Arc<[MetadataRecord]>);

impl fmt::Display for Records {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} records", self.0.len())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeConfig;

impl RaftTypeConfig for TypeConfig {
    type D = Records;
    type R = ();
    type NodeId = BrokerId;
    type Node = BasicNode;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = openraft::impls::TokioRuntime;
    type Responder<T>
        = openraft::impls::OneshotResponder<Self, T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

/// One leader per term: a term is what Kafka calls a leader epoch.
pub type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, BrokerId>;
pub type CommittedLeaderId = <LeaderId as RaftLeaderId>::Committed;
pub type Vote = openraft::Vote<LeaderId>;
pub type LogId = openraft::LogId<CommittedLeaderId>;
pub type Payload = openraft::EntryPayload<Records, BrokerId, BasicNode>;
pub type Entry = openraft::Entry<CommittedLeaderId, Payload>;
pub type Membership = openraft::Membership<BrokerId, BasicNode>;
pub type StoredMembership = openraft::StoredMembership<CommittedLeaderId, BrokerId, BasicNode>;
pub type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, BrokerId, BasicNode>;
pub type Snapshot = openraft::Snapshot<CommittedLeaderId, BrokerId, BasicNode, Checkpoint>;

/// The position `index` in the term `term`.
pub fn log_id(term: u64, index: u64) -> LogId {
    LogId { leader_id: CommittedLeaderId::new(term), index }
}

/// A raft index is an offset of the metadata log.
pub fn offset(log_id: &LogId) -> Offset {
    Offset(log_id.index as i64)
}

/// A raft term is a leader epoch.
pub fn epoch(log_id: &LogId) -> LeaderEpoch {
    LeaderEpoch(log_id.leader_id.term as i32)
}
