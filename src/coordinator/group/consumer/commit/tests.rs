//! Who may commit and fetch, member by member.

use std::sync::Arc;

use super::*;
use crate::coordinator::group::offsets::CommitPartition;
use crate::coordinator::group::records::consumer::{
    ClassicMetadata, ConsumerRecord, CurrentAssignment, MemberMetadata, MemberState, OwnedPartitions,
};
use crate::protocol::ids::{LeaderEpoch, Offset};

const TOPIC: TopicId = TopicId(uuid::Uuid::from_u128(7));

/// A group with the member `m` in epoch 9: it has partition 0 since epoch 5, and is to give up partition 1, its own since
/// epoch 8.
fn group(classic: bool) -> ConsumerGroup {
    let mut group = ConsumerGroup::new(Arc::from("g"));
    let since = |index, epoch| OwnedPartitions::from([(TOPIC, [(PartitionIndex(index), epoch)].into())]);
    let current = CurrentAssignment {
        member_epoch: 9,
        previous_member_epoch: 8,
        state: MemberState::UnrevokedPartitions,
        assigned: since(0, 5),
        pending_revocation: since(1, 8),
    };
    let classic = classic.then(|| ClassicMetadata { session_timeout_ms: 1, protocols: Arc::from([]) });
    let metadata = MemberMetadata { classic, ..MemberMetadata::clone(&Member::unknown().metadata) };
    group.replay(&ConsumerRecord::Member(Arc::from("m"), Some(Arc::new(metadata))));
    group.replay(&ConsumerRecord::Current(Arc::from("m"), Some(Arc::new(current))));
    group
}

fn topics(partition: i32) -> Vec<CommitTopic> {
    let partition = CommitPartition {
        partition: PartitionIndex(partition),
        offset: Offset(1),
        leader_epoch: LeaderEpoch::NONE,
        commit_timestamp: None,
        metadata: String::new(),
    };
    vec![CommitTopic { name: Arc::from("t"), id: TOPIC, partitions: vec![partition] }]
}

fn commit(group: &ConsumerGroup, member_id: &str, member_epoch: i32, partition: i32) -> Result<(), ApiError> {
    let topics = topics(partition);
    let commit = Commit { member_id, instance_id: None, member_epoch, topics: &topics };
    let transactional = group.validate_transactional_commit(&commit);
    let plain = group.validate_offset_commit(&commit, 9);
    if !member_id.is_empty() {
        assert_eq!(plain, transactional);
    }
    plain
}

fn refusal(code: ErrorCode, message: &str) -> Result<(), ApiError> {
    Err(ApiError::new(code, message))
}

#[test]
fn a_member_commits_in_its_epoch_or_since_the_partition_is_its_own() {
    let group = group(false);
    assert_eq!(commit(&group, "m", 9, 7), Ok(()));
    assert_eq!(commit(&group, "m", 5, 0), Ok(()));
    assert_eq!(commit(&group, "m", 8, 1), Ok(()));
    let stale = ErrorCode::StaleMemberEpoch;
    let newer = "Received member epoch 10 is newer than current member epoch 9.";
    assert_eq!(commit(&group, "m", 10, 0), refusal(stale, newer));
    let older = "Received member epoch 4 is older than assignment epoch 5 for partition t-0.";
    assert_eq!(commit(&group, "m", 4, 0), refusal(stale, older));
    let other = "Partition t-2 is not assigned or pending revocation for member.";
    assert_eq!(commit(&group, "m", 8, 2), refusal(stale, other));
    let unknown = "Member n is not a member of group g.";
    assert_eq!(commit(&group, "n", 9, 0), refusal(ErrorCode::UnknownMemberId, unknown));
}

#[test]
fn a_member_of_the_classic_protocol_has_generations() {
    let group = group(true);
    assert_eq!(commit(&group, "m", 9, 7), Ok(()));
    assert_eq!(commit(&group, "m", 10, 0).unwrap_err().code, ErrorCode::IllegalGeneration);
    let older = "Received generation id 4 is older than assignment epoch 5 for partition t-0.";
    assert_eq!(commit(&group, "m", 4, 0), refusal(ErrorCode::IllegalGeneration, older));
}

#[test]
fn a_client_that_does_not_know_epochs_must_not_commit() {
    let topics = topics(0);
    let commit = Commit { member_id: "m", instance_id: None, member_epoch: 9, topics: &topics };
    let refused = group(false).validate_offset_commit(&commit, 8).unwrap_err();
    assert_eq!(refused.code, ErrorCode::UnsupportedVersion);
    assert_eq!(group(true).validate_offset_commit(&commit, 8), Ok(()));
}

#[test]
fn without_members_anybody_commits() {
    let empty = ConsumerGroup::new(Arc::from("g"));
    assert_eq!(commit(&empty, "", -1, 0), Ok(()));
    assert_eq!(commit(&empty, "m", 1, 0).unwrap_err().code, ErrorCode::UnknownMemberId);
    let topics = topics(0);
    let nobody = Commit { member_id: "", instance_id: None, member_epoch: -1, topics: &topics };
    assert_eq!(group(false).validate_offset_commit(&nobody, 9).unwrap_err().code, ErrorCode::UnknownMemberId);
    assert_eq!(group(false).validate_transactional_commit(&nobody), Ok(()));
}

#[test]
fn who_fetches_as_a_member_is_one() {
    let group = group(false);
    assert_eq!(group.validate_offset_fetch(None, -1), Ok(()));
    assert_eq!(group.validate_offset_fetch(Some("m"), 9), Ok(()));
    let stale = "The received member epoch 8 does not match the expected member epoch 9.";
    assert_eq!(group.validate_offset_fetch(Some("m"), 8), refusal(ErrorCode::StaleMemberEpoch, stale));
    assert_eq!(group.validate_offset_fetch(Some("n"), 9).unwrap_err().code, ErrorCode::UnknownMemberId);
}
