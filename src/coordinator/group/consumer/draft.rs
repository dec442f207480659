//! A decision in the making: the group as its new records make it. Kafka's decisions look at the state before their records
//! and at what they have changed themselves; here both are one.

use std::sync::Arc;

use super::assignor::Assignor;
use super::group::{ConsumerGroup, GroupEvent};
use super::target::configured_assignors;
use super::topics::{ConsumerSettings, Topics, metadata_hash};
use crate::config::broker::GroupSettings;
use crate::coordinator::group::classic::{ClassicGroup, Draft as ClassicDraft, MemberEvent};
use crate::coordinator::group::command::{Response, Soft};
use crate::coordinator::group::records::Record;
use crate::coordinator::group::records::consumer::{ConsumerRecord, GroupEpoch, TargetEpoch};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::shard::{Event, Now, Outcome, RequestId};
use crate::protocol::ids::Timestamp;

pub(in crate::coordinator::group) struct Draft {
    pub group: ConsumerGroup,
    pub now: Now,
    pub settings: Arc<GroupSettings>,
    /// Those of the group.
    pub own: ConsumerSettings,
    pub topics: Arc<dyn Topics>,
    records: Vec<Record>,
    events: Vec<Soft>,
    /// Answers to requests that have waited.
    pub replies: Vec<(RequestId, Response)>,
    /// The group has become one of the classic protocol.
    classic: Option<ClassicDraft>,
}

impl Draft {
    /// `before` are records that make way for the group.
    pub fn new(shard: &GroupShard, group: ConsumerGroup, before: Vec<Record>, now: Now) -> Draft {
        Draft {
            now,
            settings: (shard.settings)(),
            own: (shard.surroundings.consumer_settings)(&group.id),
            topics: (shard.surroundings.topics)(),
            group,
            records: before,
            events: Vec::new(),
            replies: Vec::new(),
            classic: None,
        }
    }

    pub fn write(&mut self, record: ConsumerRecord) {
        self.group.replay(&record);
        self.records.push(Record::Consumer(self.group.id.clone(), record));
    }

    pub fn note(&mut self, event: GroupEvent) {
        self.group.replay_event(&event);
        self.events.push(Soft::Consumer { group: self.group.id.clone(), event });
    }

    /// A member was heard of: its session begins anew.
    pub fn heard(&mut self, member_id: &Arc<str>) {
        let member = self.group.members.get(member_id);
        let timeout_ms = member.map_or(0, |member| member.session_timeout_ms(self.own));
        let session_deadline_ms = self.now.uptime_ms + timeout_ms;
        let event = MemberEvent { member_id: member_id.clone(), session_deadline_ms };
        self.events.push(Soft::Member { group: self.group.id.clone(), event });
    }

    pub fn finish(self) -> Outcome<GroupShard> {
        let mut outcome = Outcome::nothing();
        outcome.events.extend(self.records.into_iter().map(Event::Durable));
        match self.classic {
            None => outcome.events.extend(self.events.into_iter().map(Event::Soft)),
            Some(classic) => {
                let become_classic = classic.finish();
                outcome.events.extend(become_classic.events);
                outcome.replies.extend(become_classic.replies);
            }
        }
        outcome.replies.extend(self.replies);
        outcome
    }

    /// The group ends with these records, and is this classic group from there on.
    pub(super) fn become_classic(&mut self, tombstones: Vec<Record>, group: ClassicGroup, rebalances: bool) {
        self.records.extend(tombstones);
        let record = Record::Group(group.id.clone(), Some(group.to_record(None)));
        let mut classic = ClassicDraft::new(group, self.now, self.settings.clone());
        classic.records.push(record);
        if rebalances {
            classic.prepare_rebalance();
        }
        self.classic = Some(classic);
    }

    /// The assignor that most members ask for; else the first that the broker is configured with.
    pub fn assignor(&self) -> Assignor {
        let preferred = self.group.preferred_assignor().and_then(|name| Assignor::parse(name));
        preferred.or_else(|| configured_assignors(&self.settings).next()).unwrap_or(Assignor::Uniform)
    }

    /// Begins a new group epoch when `bump` says so, or when the topics that the group reads differ from what they were
    /// when it last looked.
    pub fn refresh_subscription(&mut self, bump: bool) {
        let version = self.topics.version();
        if !bump && self.group.topics_seen == Some(version) {
            return;
        }
        let hash = self.metadata_hash();
        if bump || hash != self.group.metadata_hash {
            self.bump_epoch(hash);
        }
        self.note(GroupEvent::TopicsSeen { version });
        if self.group.has_partition_metadata {
            self.write(ConsumerRecord::PartitionMetadata(None));
        }
    }

    pub fn metadata_hash(&self) -> i64 {
        metadata_hash(self.group.subscribed_topics.keys(), &*self.topics)
    }

    pub fn bump_epoch(&mut self, metadata_hash: i64) {
        let epoch = self.group.epoch.saturating_add(1);
        self.write(ConsumerRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash })));
    }

    /// Takes members out of the group. Whoever is left gets new targets at the next heartbeat, or has a classic group
    /// if nobody else is left.
    pub fn fence(&mut self, member_ids: &[Arc<str>]) {
        // Bytes that cannot be read keep the group as it is.
        if self.is_to_downgrade(member_ids) && self.downgrade(member_ids, self.group.epoch, true).is_ok() {
            return;
        }
        let regex = |id| self.group.members.get(id).and_then(|member| member.metadata.regex()).cloned();
        let regexes: Vec<Arc<str>> = member_ids.iter().filter_map(regex).collect();
        member_ids.iter().for_each(|id| self.remove(id));
        regexes.iter().for_each(|regex| self.forget_unused(regex));
        self.bump_epoch(self.metadata_hash());
        if self.group.is_empty() {
            // Whoever comes next does not wait for the assignment interval.
            let target = TargetEpoch { epoch: self.group.epoch, timestamp: Timestamp(0) };
            self.write(ConsumerRecord::TargetEpoch(Some(target)));
        }
    }

    pub fn remove(&mut self, member_id: &Arc<str>) {
        self.write(ConsumerRecord::Current(member_id.clone(), None));
        self.write(ConsumerRecord::Target(member_id.clone(), None));
        self.write(ConsumerRecord::Member(member_id.clone(), None));
    }
}
