//! A group of either protocol, and what the rest of the shard asks of it. Kafka: `Group`.

use std::sync::Arc;

use super::classic::describe::ListedGroup;
use super::classic::{ClassicGroup, MemberEvent, OffsetExpiration};
use super::consumer::ConsumerGroup;
use super::consumer::commit::Commit;
use super::offsets::CommitRequest;
use super::records::Record;
use super::transactional::TransactionalCommitRequest;
use crate::coordinator::shard::Now;
use crate::protocol::errors::{ApiError, ErrorCode};

#[derive(Debug)]
pub enum Group {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

impl Group {
    pub fn id(&self) -> &Arc<str> {
        match self {
            Group::Classic(group) => &group.id,
            Group::Consumer(group) => &group.id,
        }
    }

    pub fn as_classic(&self) -> Option<&ClassicGroup> {
        match self {
            Group::Classic(group) => Some(group),
            Group::Consumer(_) => None,
        }
    }

    pub fn as_consumer(&self) -> Option<&ConsumerGroup> {
        match self {
            Group::Consumer(group) => Some(group),
            Group::Classic(_) => None,
        }
    }

    pub fn list(&self) -> ListedGroup {
        match self {
            Group::Classic(group) => group.list(),
            Group::Consumer(group) => group.list(),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Group::Classic(group) => group.is_empty(),
            Group::Consumer(group) => group.is_empty(),
        }
    }

    pub fn member_count(&self) -> usize {
        match self {
            Group::Classic(group) => group.members.len(),
            Group::Consumer(group) => group.members.len(),
        }
    }

    pub fn next_deadline(&self) -> Option<i64> {
        match self {
            Group::Classic(group) => group.next_deadline(),
            Group::Consumer(group) => group.next_deadline(),
        }
    }

    /// Where the shard's deadlines list the group.
    pub fn listed_ms(&self) -> Option<i64> {
        match self {
            Group::Classic(group) => group.listed_ms,
            Group::Consumer(group) => group.listed_ms,
        }
    }

    pub fn list_at(&mut self, deadline_ms: Option<i64>) {
        match self {
            Group::Classic(group) => group.listed_ms = deadline_ms,
            Group::Consumer(group) => group.listed_ms = deadline_ms,
        }
    }

    /// A member was heard of. `false` when there is no such member.
    pub fn heard(&mut self, event: &MemberEvent) -> bool {
        match self {
            Group::Classic(group) => match group.members.get_mut(&event.member_id) {
                Some(member) => {
                    member.session_deadline_ms = event.session_deadline_ms;
                    true
                }
                None => false,
            },
            Group::Consumer(group) => group.heard(&event.member_id, event.session_deadline_ms),
        }
    }

    /// Whether this member may commit offsets in this generation, or member epoch.
    pub fn validate_offset_commit(&self, request: &CommitRequest) -> Result<(), ApiError> {
        let commit = Commit {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            member_epoch: request.generation,
            topics: &request.topics,
        };
        match self {
            Group::Classic(group) => {
                group.validate_offset_commit(commit.member_id, commit.instance_id, request.generation)?;
                Ok(())
            }
            Group::Consumer(group) => group.validate_offset_commit(&commit, request.version),
        }
    }

    /// KIP-447: whether this member may commit offsets in its transaction.
    pub fn validate_transactional_commit(
        &self,
        request: &TransactionalCommitRequest,
    ) -> Result<(), ApiError> {
        let commit = Commit {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            member_epoch: request.generation,
            topics: &request.topics,
        };
        match self {
            Group::Classic(group) => {
                group.validate_transactional_commit(
                    commit.member_id,
                    commit.instance_id,
                    request.generation,
                )?;
                Ok(())
            }
            Group::Consumer(group) => group.validate_transactional_commit(&commit),
        }
    }

    /// What a commit tells of the life of its member. In a consumer group it tells nothing.
    pub fn session_touched(&self, member_id: &str, now: Now) -> Option<MemberEvent> {
        self.as_classic()?.session_touched(member_id, now)
    }

    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Group::Classic(group) => group.is_subscribed_to(topic),
            Group::Consumer(group) => group.is_subscribed_to(topic),
        }
    }

    pub fn offset_expiration(&self) -> OffsetExpiration {
        match self {
            Group::Classic(group) => group.offset_expiration(),
            Group::Consumer(_) => OffsetExpiration::SinceCommit,
        }
    }

    pub fn validate_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Group::Classic(group) => group.validate_delete(),
            Group::Consumer(group) => group.validate_delete(),
        }
    }

    /// Whether offsets of topics that nobody reads may be deleted.
    pub fn validate_offset_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Group::Classic(group) => group.validate_offset_delete(),
            Group::Consumer(_) => Ok(()),
        }
    }

    /// What deletes the group itself.
    pub fn tombstones(&self) -> Vec<Record> {
        match self {
            Group::Classic(group) => vec![Record::Group(group.id.clone(), None)],
            Group::Consumer(group) => group.tombstones(),
        }
    }
}
