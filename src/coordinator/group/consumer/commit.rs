//! What committed offsets ask of a consumer group: who may commit and fetch, what members read, what may be deleted.
//! Kafka: `ConsumerGroup.validateOffsetCommit`, `validateOffsetFetch`, `createAssignmentEpochValidator`.

use super::group::{ConsumerGroup, Member};
use crate::coordinator::group::offsets::CommitTopic;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{PartitionIndex, TopicId};

/// The first version of OffsetCommit that knows member epochs.
const MEMBER_EPOCH_SINCE_VERSION: i16 = 9;

/// Who commits what.
pub struct Commit<'a> {
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
    pub member_epoch: i32,
    pub topics: &'a [CommitTopic],
}

impl ConsumerGroup {
    /// Whether this member may commit. Tools and consumers without a group commit with epoch -1 while nobody is a member.
    pub fn validate_offset_commit(&self, commit: &Commit<'_>, version: i16) -> Result<(), ApiError> {
        if commit.member_epoch < 0 && self.is_empty() {
            return Ok(());
        }
        let member = self.member(commit.member_id)?;
        if member.metadata.classic.is_none() && version < MEMBER_EPOCH_SINCE_VERSION {
            return Err(ApiError::new(
                ErrorCode::UnsupportedVersion,
                "OffsetCommit version 9 or above must be used by members using the consumer group protocol",
            ));
        }
        check_epoch(member, commit)
    }

    /// KIP-447: whether this member may commit in its transaction. Producers that tell nothing of their group are taken
    /// at their word.
    pub fn validate_transactional_commit(&self, commit: &Commit<'_>) -> Result<(), ApiError> {
        let tells_nothing =
            commit.member_epoch == -1 && commit.member_id.is_empty() && commit.instance_id.is_none();
        if tells_nothing || (commit.member_epoch < 0 && self.is_empty()) {
            return Ok(());
        }
        check_epoch(self.member(commit.member_id)?, commit)
    }

    /// Whether this member may read the group's offsets. Whoever names no member may.
    pub fn validate_offset_fetch(&self, member_id: Option<&str>, member_epoch: i32) -> Result<(), ApiError> {
        if member_id.is_none() && member_epoch < 0 {
            return Ok(());
        }
        let member = self.member(member_id.unwrap_or(""))?;
        let known = member.epoch();
        if member_epoch == known {
            return Ok(());
        }
        Err(stale(member, |epoch| {
            format!("The received {epoch} {member_epoch} does not match the expected member epoch {known}.")
        }))
    }

    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribed_topics.contains_key(topic)
    }

    /// DeleteGroups takes groups without members.
    pub fn validate_delete(&self) -> Result<(), ErrorCode> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(ErrorCode::NonEmptyGroup),
        }
    }
}

/// KIP-1251: a member that has not heard of its last epoch may commit for what it has had since the one it knows.
fn check_epoch(member: &Member, commit: &Commit<'_>) -> Result<(), ApiError> {
    let (received, known) = (commit.member_epoch, member.epoch());
    if received == known {
        return Ok(());
    }
    if received > known {
        return Err(stale(member, |epoch| {
            format!("Received {epoch} {received} is newer than current member epoch {known}.")
        }));
    }
    for topic in commit.topics {
        for partition in topic.partitions.iter().map(|partition| partition.partition) {
            let name = &topic.name;
            let assigned = assigned_at(member, topic.id, partition).ok_or_else(|| {
                stale(member, |_| {
                    format!("Partition {name}-{partition} is not assigned or pending revocation for member.")
                })
            })?;
            if received < assigned {
                return Err(stale(member, |epoch| {
                    format!(
                        "Received {epoch} {received} is older than assignment epoch {assigned} for partition \
                         {name}-{partition}."
                    )
                }));
            }
        }
    }
    Ok(())
}

fn assigned_at(member: &Member, topic: TopicId, partition: PartitionIndex) -> Option<i32> {
    let both = [&member.current.assigned, &member.current.pending_revocation];
    both.into_iter().find_map(|owned| owned.get(&topic)?.get(&partition).copied())
}

/// A refusal in the words of the protocol that the member uses: `text` is told what an epoch is called there.
fn stale(member: &Member, text: impl FnOnce(&str) -> String) -> ApiError {
    match member.metadata.classic {
        Some(_) => ApiError::new(ErrorCode::IllegalGeneration, text("generation id")),
        None => ApiError::new(ErrorCode::StaleMemberEpoch, text("member epoch")),
    }
}

#[cfg(test)]
mod tests;
