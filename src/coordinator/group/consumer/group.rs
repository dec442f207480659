//! The state of one consumer group, and the questions that rules ask of it. Kafka: `ConsumerGroup`, `ModernGroup`,
//! `ConsumerGroupMember`.
//!
//! Records make the group, and nothing else but [`GroupEvent`]s changes what a restart may forget. Maps are persistent: a
//! decision copies the group for a few pointers, and replays its own records on the copy.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;

use super::assignment::Assignment;
use super::topics::ConsumerSettings;
use crate::coordinator::group::records::Record;
use crate::coordinator::group::records::consumer::{
    ConsumerRecord, CurrentAssignment, GroupEpoch, MemberMetadata, OwnedPartitions, ResolvedRegex,
    TargetEpoch,
};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{PartitionIndex, Timestamp, TopicId};

/// Epoch of a member whose assignment was deleted, and of one that leaves.
pub const LEAVE_EPOCH: i32 = -1;
/// Epoch of a static member that leaves and wants to come back.
pub const STATIC_LEAVE_EPOCH: i32 = -2;

/// A member is what two of its records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub metadata: Arc<MemberMetadata>,
    pub current: Arc<CurrentAssignment>,
}

impl GroupEvent {
    /// When something is due that was not before.
    pub fn deadline_ms(&self) -> Option<i64> {
        match self {
            GroupEvent::Rebalancing { timer, .. } => timer.map(|timer| timer.deadline_ms),
            GroupEvent::Owes { deadline_ms, .. } => *deadline_ms,
            GroupEvent::TopicsSeen { .. } => None,
        }
    }
}

impl Member {
    /// One that has not told anything.
    pub fn unknown() -> Member {
        let metadata = MemberMetadata {
            instance_id: None,
            rack_id: None,
            client_id: Arc::from(""),
            client_host: Arc::from(""),
            subscribed_topics: BTreeSet::new(),
            subscribed_regex: None,
            rebalance_timeout_ms: -1,
            server_assignor: None,
            classic: None,
        };
        Member { metadata: Arc::new(metadata), current: Arc::new(CurrentAssignment::new()) }
    }

    /// How long it may be silent: a member of the classic protocol says so itself.
    pub fn session_timeout_ms(&self, own: ConsumerSettings) -> i64 {
        let classic = self.metadata.classic.as_ref();
        classic.map_or(own.session_timeout_ms, |classic| i64::from(classic.session_timeout_ms))
    }

    pub fn epoch(&self) -> i32 {
        self.current.member_epoch
    }

    /// Everything that others must not have: what is assigned, and what is still to be given up.
    fn owned(&self) -> impl Iterator<Item = (TopicId, PartitionIndex)> {
        let of = |owned: &OwnedPartitions| -> Vec<(TopicId, PartitionIndex)> {
            let of_topic = owned.iter().map(|(topic, partitions)| (*topic, partitions.keys()));
            of_topic.flat_map(|(topic, partitions)| partitions.map(move |index| (topic, *index))).collect()
        };
        of(&self.current.assigned).into_iter().chain(of(&self.current.pending_revocation))
    }
}

/// Until when a member must be heard of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timers {
    pub session_deadline_ms: Option<i64>,
    pub rebalance: Option<RebalanceTimer>,
    /// Of a member of the classic protocol that was told to join again.
    pub join_deadline_ms: Option<i64>,
    /// Of one that has joined, and is to send SyncGroup.
    pub sync_deadline_ms: Option<i64>,
}

/// Until when a member must have given partitions up; void when it has another epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebalanceTimer {
    pub deadline_ms: i64,
    pub member_epoch: i32,
}

/// What a member of the classic protocol is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    Join,
    Sync,
}

/// What changes in memory only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// A member has to give partitions up by then, or has done so.
    Rebalancing { member_id: Arc<str>, timer: Option<RebalanceTimer> },
    /// A member of the classic protocol owes a request until then, or not any more.
    Owes { member_id: Arc<str>, owed: Owed, deadline_ms: Option<i64> },
    /// The group has looked at this version of the topics.
    TopicsSeen { version: i64 },
}

/// `ConsumerGroupState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    Empty,
    /// The target assignment is not made yet.
    Assigning,
    /// Members are on the way to their targets.
    Reconciling,
    Stable,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroup {
    pub id: Arc<str>,
    pub epoch: i32,
    pub metadata_hash: i64,
    /// A release before 4.1 has left its record of the topics.
    pub has_partition_metadata: bool,
    /// Its epoch is -1 after a tombstone.
    pub target_epoch: TargetEpoch,
    pub members: OrdMap<Arc<str>, Member>,
    /// Member id by instance id.
    pub static_members: OrdMap<Arc<str>, Arc<str>>,
    pub targets: OrdMap<Arc<str>, Arc<Assignment>>,
    /// The member that has a partition, or is still to give it up.
    pub owners: OrdMap<(TopicId, PartitionIndex), Arc<str>>,
    /// How many members name a topic, and regular expressions come to it.
    pub subscribed_topics: OrdMap<Arc<str>, usize>,
    /// How many members read by a regular expression.
    pub subscribed_regexes: OrdMap<Arc<str>, usize>,
    pub regexes: OrdMap<Arc<str>, Arc<ResolvedRegex>>,
    /// How many members ask for an assignor.
    pub assignors: OrdMap<Arc<str>, usize>,
    pub timers: OrdMap<Arc<str>, Timers>,
    /// `None` until a heartbeat has looked.
    pub topics_seen: Option<i64>,
    /// Where the shard's deadlines list this group: at [`ConsumerGroup::next_deadline`] or earlier.
    pub listed_ms: Option<i64>,
}

impl ConsumerGroup {
    pub fn new(id: Arc<str>) -> ConsumerGroup {
        ConsumerGroup {
            id,
            // Assignments are made for it even if the first member reads nothing.
            epoch: 1,
            metadata_hash: 0,
            has_partition_metadata: false,
            target_epoch: TargetEpoch { epoch: 0, timestamp: Timestamp(0) },
            members: OrdMap::new(),
            static_members: OrdMap::new(),
            targets: OrdMap::new(),
            owners: OrdMap::new(),
            subscribed_topics: OrdMap::new(),
            subscribed_regexes: OrdMap::new(),
            regexes: OrdMap::new(),
            assignors: OrdMap::new(),
            timers: OrdMap::new(),
            topics_seen: None,
            listed_ms: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn member(&self, member_id: &str) -> Result<&Member, ApiError> {
        self.members.get(member_id).ok_or_else(|| {
            let message = format!("Member {member_id} is not a member of group {}.", self.id);
            ApiError::new(ErrorCode::UnknownMemberId, message)
        })
    }

    /// Id and state of the member that has the instance id.
    pub fn static_member(&self, instance_id: &str) -> Option<(&Arc<str>, &Member)> {
        self.members.get_key_value(self.static_members.get(instance_id)?)
    }

    /// The assignor that most members ask for, if any does.
    pub fn preferred_assignor(&self) -> Option<&Arc<str>> {
        // Of equal ones the last in the order of names, which for Kafka's two is what its hash table comes to.
        self.assignors.iter().max_by_key(|(_, count)| **count).map(|(name, _)| name)
    }

    /// What the member reads, by name and by its resolved regular expression.
    pub fn topics_of<'a>(&'a self, metadata: &'a MemberMetadata) -> impl Iterator<Item = &'a Arc<str>> {
        let regex = metadata.regex().and_then(|regex| self.regexes.get(regex));
        metadata.subscribed_topics.iter().chain(regex.into_iter().flat_map(|resolved| resolved.topics.iter()))
    }

    pub fn state(&self) -> GroupState {
        let target_epoch = self.target_epoch.epoch;
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.epoch > target_epoch {
            GroupState::Assigning
        } else if self.members.values().all(|member| member.current.is_reconciled_to(target_epoch)) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// The earliest time at which [`super::timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<i64> {
        self.timers.keys().filter_map(|member_id| self.deadline_of(member_id)).min()
    }

    /// When the member is late.
    pub fn deadline_of(&self, member_id: &str) -> Option<i64> {
        let timers = self.timers.get(member_id)?;
        let epoch = self.members.get(member_id)?.epoch();
        let rebalance = timers.rebalance.filter(|timer| timer.member_epoch == epoch);
        let owed = [timers.session_deadline_ms, timers.join_deadline_ms, timers.sync_deadline_ms];
        owed.into_iter().flatten().chain(rebalance.map(|timer| timer.deadline_ms)).min()
    }

    /// What deletes the group, in Kafka's order.
    pub fn tombstones(&self) -> Vec<Record> {
        let mut records = Vec::new();
        records.extend(self.members.keys().map(|id| ConsumerRecord::Current(id.clone(), None)));
        records.extend(self.targets.keys().map(|id| ConsumerRecord::Target(id.clone(), None)));
        records.push(ConsumerRecord::TargetEpoch(None));
        records.extend(self.members.keys().map(|id| ConsumerRecord::Member(id.clone(), None)));
        records.extend(self.regexes.keys().map(|regex| ConsumerRecord::Regex(regex.clone(), None)));
        if self.has_partition_metadata {
            records.push(ConsumerRecord::PartitionMetadata(None));
        }
        records.push(ConsumerRecord::Epoch(None));
        records.into_iter().map(|record| Record::Consumer(self.id.clone(), record)).collect()
    }

    /// Takes in a record. The tombstone of the group is the shard's business.
    pub fn replay(&mut self, record: &ConsumerRecord) {
        match record {
            ConsumerRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash })) => {
                (self.epoch, self.metadata_hash) = (*epoch, *metadata_hash);
            }
            ConsumerRecord::Epoch(None) => {}
            ConsumerRecord::PartitionMetadata(value) => self.has_partition_metadata = value.is_some(),
            ConsumerRecord::Member(id, Some(metadata)) => {
                let member = self.members.get(id).cloned().unwrap_or_else(Member::unknown);
                self.set_member(id, Some(Member { metadata: metadata.clone(), ..member }));
            }
            ConsumerRecord::Member(id, None) => self.set_member(id, None),
            ConsumerRecord::TargetEpoch(value) => {
                let deleted = TargetEpoch { epoch: -1, timestamp: Timestamp(0) };
                self.target_epoch = value.unwrap_or(deleted);
            }
            ConsumerRecord::Target(id, Some(target)) => {
                self.targets.insert(id.clone(), target.clone());
            }
            ConsumerRecord::Target(id, None) => {
                self.targets.remove(id);
            }
            ConsumerRecord::Current(id, Some(current)) => {
                let member = self.members.get(id).cloned().unwrap_or_else(Member::unknown);
                self.set_member(id, Some(Member { current: current.clone(), ..member }));
            }
            ConsumerRecord::Current(id, None) => {
                if let Some(member) = self.members.get(id).cloned() {
                    let current = CurrentAssignment {
                        member_epoch: LEAVE_EPOCH,
                        previous_member_epoch: LEAVE_EPOCH,
                        ..CurrentAssignment::new()
                    };
                    self.set_member(id, Some(Member { current: Arc::new(current), ..member }));
                }
            }
            ConsumerRecord::Regex(regex, resolved) => self.set_regex(regex, resolved.as_ref()),
        }
    }

    pub fn replay_event(&mut self, event: &GroupEvent) {
        match event {
            GroupEvent::Rebalancing { member_id, timer } => {
                if self.members.contains_key(member_id) {
                    self.timers.entry(member_id.clone()).or_default().rebalance = *timer;
                }
            }
            GroupEvent::Owes { member_id, owed, deadline_ms } => {
                if self.members.contains_key(member_id) {
                    let timers = self.timers.entry(member_id.clone()).or_default();
                    match owed {
                        Owed::Join => timers.join_deadline_ms = *deadline_ms,
                        Owed::Sync => timers.sync_deadline_ms = *deadline_ms,
                    }
                }
            }
            GroupEvent::TopicsSeen { version } => self.topics_seen = Some(*version),
        }
    }

    /// The member was heard of. `false` when there is no such member.
    pub fn heard(&mut self, member_id: &Arc<str>, session_deadline_ms: i64) -> bool {
        let is_member = self.members.contains_key(member_id);
        if is_member {
            self.timers.entry(member_id.clone()).or_default().session_deadline_ms = Some(session_deadline_ms);
        }
        is_member
    }

    /// Puts a member in the place of what it was, and keeps what is counted over all members.
    fn set_member(&mut self, id: &Arc<str>, after: Option<Member>) {
        let before = match &after {
            Some(member) => self.members.insert(id.clone(), member.clone()),
            None => self.members.remove(id),
        };
        let metadata = |member: &Option<Member>| member.as_ref().map(|member| member.metadata.clone());
        let (old, new) = (metadata(&before), metadata(&after));
        if old != new {
            self.count_metadata(id, old.as_deref(), new.as_deref());
        }
        let current = |member: &Option<Member>| member.as_ref().map(|member| member.current.clone());
        if current(&before) != current(&after) {
            for partition in before.iter().flat_map(Member::owned) {
                // After compaction somebody else may have taken it before this one gives it up.
                if self.owners.get(&partition) == Some(id) {
                    self.owners.remove(&partition);
                }
            }
            for partition in after.iter().flat_map(Member::owned) {
                self.owners.insert(partition, id.clone());
            }
        }
        if after.is_none() {
            self.timers.remove(id);
        }
    }

    fn count_metadata(&mut self, id: &Arc<str>, old: Option<&MemberMetadata>, new: Option<&MemberMetadata>) {
        if let Some(old) = old {
            uncount(&mut self.subscribed_topics, &old.subscribed_topics);
            uncount(&mut self.subscribed_regexes, old.regex());
            uncount(&mut self.assignors, &old.server_assignor);
            let instance_id = old.instance_id.as_ref();
            if let Some(instance_id) =
                instance_id.filter(|instance_id| self.static_members.get(*instance_id) == Some(id))
            {
                self.static_members.remove(instance_id);
            }
        }
        if let Some(new) = new {
            count(&mut self.subscribed_topics, &new.subscribed_topics);
            count(&mut self.subscribed_regexes, new.regex());
            count(&mut self.assignors, &new.server_assignor);
            if let Some(instance_id) = &new.instance_id {
                self.static_members.insert(instance_id.clone(), id.clone());
            }
        }
    }

    fn set_regex(&mut self, regex: &Arc<str>, resolved: Option<&Arc<ResolvedRegex>>) {
        let before = match resolved {
            Some(resolved) => self.regexes.insert(regex.clone(), resolved.clone()),
            None => self.regexes.remove(regex),
        };
        if let Some(before) = before {
            uncount(&mut self.subscribed_topics, &before.topics);
        }
        if let Some(resolved) = resolved {
            count(&mut self.subscribed_topics, &resolved.topics);
        }
    }
}

fn count<'a>(counts: &mut OrdMap<Arc<str>, usize>, names: impl IntoIterator<Item = &'a Arc<str>>) {
    for name in names {
        *counts.entry(name.clone()).or_default() += 1;
    }
}

fn uncount<'a>(counts: &mut OrdMap<Arc<str>, usize>, names: impl IntoIterator<Item = &'a Arc<str>>) {
    for name in names {
        match counts.get_mut(name) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                counts.remove(name);
            }
        }
    }
}
