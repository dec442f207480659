//! What every member should have: the target assignment of a group epoch, made by an assignor. Kafka:
//! `TargetAssignmentBuilder`, `maybeUpdateTargetAssignment`. KIP-1263: not too often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assignment::Assignment;
use super::assignor::{Assignor, AssignorError, MemberSpec, assign};
use super::draft::Draft;
use super::group::Member;
use super::topics::topic_ids;
use crate::config::broker::GroupSettings;
use crate::coordinator::group::records::consumer::{ConsumerRecord, TargetEpoch};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::TopicId;

/// Where Kafka's own assignors stand, for configurations that name their classes.
const KAFKAS_PACKAGE: &str = "org.apache.kafka.coordinator.group.assignor.";

/// `group.consumer.assignors`, by name or by Kafka's class.
pub(in crate::coordinator::group) fn configured_assignors(
    settings: &GroupSettings,
) -> impl Iterator<Item = Assignor> {
    settings.group_consumer_assignors.iter().filter_map(|name| match name.strip_prefix(KAFKAS_PACKAGE) {
        Some("UniformAssignor") => Some(Assignor::Uniform),
        Some("RangeAssignor") => Some(Assignor::Range),
        Some(_) | None => Assignor::parse(name),
    })
}

impl Draft {
    /// Makes the targets of the group's epoch, unless they are made, or the last ones are too young: then a later heartbeat
    /// makes them.
    pub(super) fn update_targets(&mut self) -> Result<(), ApiError> {
        let epoch = self.group.epoch;
        if self.group.target_epoch.epoch >= epoch || !self.may_assign() {
            return Ok(());
        }
        let targets = self.targets().map_err(|cause| {
            let message = format!("Failed to compute a new target assignment for epoch {epoch}: {cause}");
            ApiError::new(ErrorCode::UnknownServerError, message)
        })?;
        for (member_id, target) in targets {
            if self.group.targets.get(&member_id).is_none_or(|before| **before != target) {
                self.write(ConsumerRecord::Target(member_id, Some(Arc::new(target))));
            }
        }
        let made = TargetEpoch { epoch, timestamp: self.now.wall };
        self.write(ConsumerRecord::TargetEpoch(Some(made)));
        Ok(())
    }

    /// `consumer.assignment.interval.ms`
    fn may_assign(&self) -> bool {
        let (made, interval_ms) = (self.group.target_epoch.timestamp, self.own.assignment_interval_ms);
        made.0 == 0 || interval_ms == 0 || self.now.wall.since(made) >= interval_ms
    }

    fn targets(&self) -> Result<BTreeMap<Arc<str>, Assignment>, AssignorError> {
        let group = &self.group;
        // Most members of a group read the same, and then its topics are looked up once.
        type Subscription<'a> = (&'a BTreeSet<Arc<str>>, Option<&'a Arc<str>>);
        let mut known: BTreeMap<Subscription<'_>, BTreeSet<TopicId>> = BTreeMap::new();
        let mut spec = |id: &Arc<str>, member: &Member| {
            let metadata = &group.members[id].metadata;
            let subscription = (&metadata.subscribed_topics, metadata.regex());
            let topics = known
                .entry(subscription)
                .or_insert_with(|| topic_ids(group.topics_of(metadata), &*self.topics))
                .clone();
            MemberSpec {
                instance_id: member.metadata.instance_id.clone(),
                rack: member.metadata.rack_id.clone(),
                topics,
                assigned: group.targets.get(id).map(|target| Assignment::clone(target)).unwrap_or_default(),
            }
        };
        let members = group.members.iter().map(|(id, member)| (id.clone(), spec(id, member))).collect();
        assign(self.assignor(), &members, &&*self.topics)
    }
}
