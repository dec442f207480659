//! One partition of `__consumer_offsets`: its groups by id, and which file decides what. Kafka: `GroupCoordinatorShard`.
//!
//! Groups are in memory, one small entry each; their offsets are not: they are in the view, however many there are.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;

use super::census::Counts;
use super::classic::describe::{GroupDescription, ListedGroup};
use super::classic::heartbeat::heartbeat;
use super::classic::join::{JoinResponse, join};
use super::classic::leave::leave;
use super::classic::sync::{assignment_committed, assignment_failed, sync};
use super::classic::{ClassicGroup, Draft, MemberEvent};
use super::command::{Command, Response, Soft};
use super::consumer::describe::ConsumerGroupDescription;
use super::consumer::topics::Surroundings;
use super::consumer::{self, ConsumerGroup};
use super::expiration::{self, Cursor};
use super::groups::Group;
use super::offsets;
use super::pending::{Asked, PendingOffsets, Unstable};
use super::records::consumer::ConsumerRecord;
use super::records::{self, Record};
use super::transactional;
use crate::config::broker::GroupSettings;
use crate::coordinator::shard::{
    Event, KeyValue, MalformedRecord, Now, Outcome, RequestId, Scan, Shard, Stored, TransactionalProducer,
};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::Timestamp;

/// The settings of the moment: most `group.*` keys may change while the broker runs.
pub type CurrentSettings = Arc<dyn Fn() -> Arc<GroupSettings> + Send + Sync>;

/// How long a deadline waits whose records were refused.
const REFUSED_EXPIRY_PAUSE_MS: i64 = 1000;

/// State of one coordinator partition.
pub struct GroupShard {
    pub(super) groups: HashMap<Arc<str>, Group>,
    /// Every group that has a deadline, earliest first, at its `listed_ms`. A heartbeat moves a deadline back and
    /// leaves the entry where it is; when its time comes the true one is looked up.
    deadlines: BTreeSet<(i64, Arc<str>)>,
    /// When the offsets are looked through for expired ones; `None` while there is no group.
    pub(super) next_expiry_ms: Option<i64>,
    /// Where that look goes on; `None` begins a new round.
    pub(super) expiry_cursor: Option<Cursor>,
    /// What open transactions have committed.
    pub(super) pending: PendingOffsets,
    pub(super) settings: CurrentSettings,
    pub(super) surroundings: Surroundings,
    pub(super) counts: Counts,
}

impl GroupShard {
    pub fn new(settings: CurrentSettings, surroundings: Surroundings) -> GroupShard {
        GroupShard {
            groups: HashMap::new(),
            deadlines: BTreeSet::new(),
            next_expiry_ms: None,
            expiry_cursor: None,
            pending: PendingOffsets::default(),
            settings,
            surroundings,
            counts: Counts::default(),
        }
    }

    /// GROUP_ID_NOT_FOUND for a group that does not exist, or is of the other protocol.
    pub fn describe(&self, group: &str) -> Result<GroupDescription, ApiError> {
        match self.groups.get(group) {
            Some(Group::Classic(found)) => Ok(found.describe()),
            Some(Group::Consumer(_)) => Err(not_found(format!("Group {group} is not a classic group."))),
            None => Err(not_found(format!("Group {group} not found."))),
        }
    }

    /// GROUP_ID_NOT_FOUND for a group that does not exist, or is of the other protocol.
    pub fn describe_consumer(&self, group: &str) -> Result<ConsumerGroupDescription, ApiError> {
        match self.groups.get(group) {
            Some(Group::Consumer(found)) => Ok(found.describe(&(self.settings)())),
            Some(Group::Classic(_)) => Err(not_found(format!("Group {group} is not a consumer group."))),
            None => Err(not_found(format!("Group {group} not found."))),
        }
    }

    /// Whether this member may read the group's offsets. Whoever reads as nobody may.
    pub fn validate_offset_fetch(
        &self,
        group: &str,
        member_id: Option<&str>,
        member_epoch: i32,
    ) -> Result<(), ApiError> {
        match self.consumer(group) {
            Some(group) => group.validate_offset_fetch(member_id, member_epoch),
            None => Ok(()),
        }
    }

    pub fn list(&self) -> impl Iterator<Item = ListedGroup> {
        self.groups.values().map(Group::list)
    }

    /// `None` also for a group of the other protocol.
    pub(super) fn classic(&self, group: &str) -> Option<&ClassicGroup> {
        self.groups.get(group)?.as_classic()
    }

    /// `None` also for a group of the other protocol.
    pub(super) fn consumer(&self, group: &str) -> Option<&ConsumerGroup> {
        self.groups.get(group)?.as_consumer()
    }

    /// The partitions of a group whose offsets are to change when a transaction is committed (KIP-447).
    pub fn unstable(&self, group: &str) -> Unstable {
        self.pending.unstable(group)
    }

    /// Whether the transaction coordinator has to be asked before the producer commits offsets: see
    /// [`PendingOffsets::ask`].
    pub fn ask(&self, producer: TransactionalProducer) -> Asked {
        self.pending.ask(producer)
    }

    fn dispatch(
        &self,
        command: Command,
        request: RequestId,
        now: Now,
        stored: &dyn Stored,
    ) -> Result<Outcome<GroupShard>, ApiError> {
        match command {
            Command::Join(join_request) => Ok(join(self, join_request, request, now)),
            Command::Sync(sync_request) => Ok(sync(self, sync_request, request, now)),
            Command::Heartbeat(heartbeat_request) => Ok(heartbeat(self, heartbeat_request, request, now)),
            Command::Leave(leave_request) => Ok(leave(self, leave_request, request, now)),
            Command::ConsumerHeartbeat(heartbeat_request) => {
                consumer::heartbeat::heartbeat(self, heartbeat_request, request, now)
            }
            Command::AssignmentCommitted { group, generation } => {
                Ok(assignment_committed(self, &group, generation, now))
            }
            Command::AssignmentFailed { group, generation, error, leader_sync } => {
                Ok(assignment_failed(self, &group, generation, error, leader_sync, now))
            }
            Command::JoinFailed { request, member_id, error } => {
                Ok(Outcome::reply(request, Response::Join(JoinResponse::error(&member_id, error))))
            }
            Command::PutOff { group } => Ok(self.put_off(group, now)),
            Command::DeleteGroup { group } => self.delete_group(group, request, stored),
            Command::Commit(commit) => offsets::commit(self, commit, request, now),
            Command::CommitTransactional(commit) => transactional::commit(self, commit, request, now),
            Command::EndTransaction(marker) => Ok(transactional::end(marker, request)),
            Command::DeleteOffsets(delete) => offsets::delete(self, delete, request, stored),
            Command::TopicsDeleted { topics, from } => {
                offsets::topics_deleted(self, &topics, from, request, stored)
            }
        }
    }

    fn delete_group(
        &self,
        group: Arc<str>,
        id: RequestId,
        stored: &dyn Stored,
    ) -> Result<Outcome<GroupShard>, ApiError> {
        let Some(found) = self.groups.get(&group) else {
            return Err(ApiError::new(ErrorCode::GroupIdNotFound, format!("Group {group} not found.")));
        };
        found.validate_delete()?;
        let mut outcome = Outcome::nothing();
        let (tombstones, has_more) = offsets::tombstones_of_group(self, &group, stored)?;
        tombstones.into_iter().for_each(|tombstone| outcome.durable(tombstone));
        if !has_more {
            found.tombstones().into_iter().for_each(|tombstone| outcome.durable(tombstone));
        }
        outcome.replies.push((id, if has_more { Response::SomeDeleted } else { Response::Done }));
        Ok(outcome)
    }

    /// What was due was refused, and nothing has changed: the log may be full, or replicas away.
    fn put_off(&self, group: Option<Arc<str>>, now: Now) -> Outcome<GroupShard> {
        let until_ms = now.uptime_ms + REFUSED_EXPIRY_PAUSE_MS;
        let mut outcome = Outcome::nothing();
        outcome.soft(match group {
            Some(group) => Soft::PutOff { group, until_ms },
            None => Soft::ExpiryLooked { next_ms: Some(until_ms), cursor: self.expiry_cursor.clone() },
        });
        outcome
    }

    /// What is due in a group; `None` when nothing is.
    fn expire_group(&self, group: &Group, now: Now) -> Option<Outcome<GroupShard>> {
        match group {
            Group::Classic(group) => {
                let mut draft = Draft::new(group.clone(), now, (self.settings)());
                draft.expire().then(|| draft.finish())
            }
            Group::Consumer(group) => {
                let mut draft = consumer::Draft::new(self, group.clone(), Vec::new(), now);
                draft.expire().then(|| draft.finish())
            }
        }
    }

    /// Starts what a new coordinator starts for a classic group.
    fn load_classic(&self, group: &ClassicGroup, now: Now) -> ClassicGroup {
        let settings = (self.settings)();
        let limit = settings.group_max_size;
        let mut draft = Draft::new(group.clone(), now, settings);
        for member_id in draft.member_ids() {
            draft.update(&member_id, |member| member.restart_session(now));
        }
        if draft.group.members.len() > limit {
            // The limit was lowered. Nobody waits yet, so this asks for joins and writes nothing.
            draft.prepare_rebalance();
        }
        draft.group
    }

    /// Puts a group in the place of what it was, and its deadline in order.
    fn install(&mut self, mut group: Group) {
        self.unlist(group.id());
        group.list_at(group.next_deadline());
        if let Some(deadline_ms) = group.listed_ms() {
            self.deadlines.insert((deadline_ms, group.id().clone()));
        }
        self.groups.insert(group.id().clone(), group);
    }

    fn remove(&mut self, group: &str) {
        self.unlist(group);
        self.groups.remove(group);
    }

    fn unlist(&mut self, group: &str) {
        let listed = self.groups.get(group).and_then(|group| Some((group.listed_ms()?, group.id().clone())));
        if let Some(entry) = listed {
            self.deadlines.remove(&entry);
        }
    }

    fn heard(&mut self, group: &str, event: &MemberEvent) {
        let Some(found) = self.groups.get_mut(group) else { return };
        if found.heard(event) {
            self.list_before(group, event.session_deadline_ms);
        }
    }

    /// Something of the group is due then: it is listed by that time.
    fn list_before(&mut self, group: &str, deadline_ms: i64) {
        let listed_ms = self.groups.get(group).and_then(Group::listed_ms);
        if listed_ms.is_none_or(|listed_ms| listed_ms > deadline_ms) {
            self.relist(group);
        }
    }

    /// Where a group is listed.
    #[cfg(test)]
    pub(super) fn next_deadline_of(&self, group: &str) -> Option<i64> {
        self.groups.get(group).and_then(Group::listed_ms)
    }

    fn relist(&mut self, group: &str) {
        let deadline_ms = self.groups.get(group).and_then(Group::next_deadline);
        self.list_at(group, deadline_ms);
    }

    fn list_at(&mut self, group: &str, deadline_ms: Option<i64>) {
        self.unlist(group);
        let Some(found) = self.groups.get_mut(group) else { return };
        found.list_at(deadline_ms);
        if let Some(deadline_ms) = deadline_ms {
            self.deadlines.insert((deadline_ms, found.id().clone()));
        }
    }

    /// A group whose offsets are known, and nothing else: consumers that assign themselves, tools.
    pub(super) fn ensure_group(&mut self, group: &Arc<str>, created: Timestamp) {
        if !self.groups.contains_key(group) {
            self.install(Group::Classic(ClassicGroup::new(group.clone(), created)));
        }
    }

    fn replay_consumer(&mut self, group: &Arc<str>, record: &ConsumerRecord) {
        match self.groups.get_mut(group) {
            Some(Group::Consumer(_)) if *record == ConsumerRecord::Epoch(None) => self.remove(group),
            Some(Group::Consumer(found)) => found.replay(record),
            // Of a group that is gone, or has become another.
            Some(Group::Classic(_)) | None if record.is_tombstone() => {}
            // A group that was known by its offsets alone.
            Some(Group::Classic(_)) | None => {
                let mut created = ConsumerGroup::new(group.clone());
                created.replay(record);
                self.install(Group::Consumer(created));
            }
        }
    }

    fn replay_record(&mut self, record: &Record) {
        match record {
            Record::Group(group, Some(value)) => {
                self.install(Group::Classic(ClassicGroup::from_record(group.clone(), value)))
            }
            Record::Group(group, None) => {
                if self.classic(group).is_some() {
                    self.remove(group);
                }
            }
            Record::Consumer(group, record) => self.replay_consumer(group, record),
            Record::Offset(key, Some(value)) => self.ensure_group(&key.group, value.commit_timestamp),
            // The group stays until it is deleted itself.
            Record::Offset(key, None) => self.pending.forget(key),
        }
    }

    fn replay_soft(&mut self, event: &Soft) {
        match event {
            Soft::Group(group) => self.install(Group::Classic(ClassicGroup::clone(group))),
            Soft::Member { group, event } => self.heard(group, event),
            Soft::Consumer { group, event } => {
                let Some(Group::Consumer(found)) = self.groups.get_mut(group) else { return };
                found.replay_event(event);
                if let Some(deadline_ms) = event.deadline_ms() {
                    self.list_before(group, deadline_ms);
                }
            }
            Soft::DeadlineLooked { group } => self.relist(group),
            Soft::PutOff { group, until_ms } => self.list_at(group, Some(*until_ms)),
            Soft::ExpiryLooked { next_ms, cursor } => {
                self.next_expiry_ms = *next_ms;
                self.expiry_cursor = cursor.clone();
            }
        }
    }
}

fn not_found(message: String) -> ApiError {
    ApiError::new(ErrorCode::GroupIdNotFound, message)
}

fn retried_later(outcome: Outcome<GroupShard>, group: Option<Arc<str>>) -> Outcome<GroupShard> {
    Outcome { on_failed: Some(Box::new(move |_| Command::PutOff { group })), ..outcome }
}

impl Shard for GroupShard {
    type Command = Command;
    type Response = Response;
    type Record = Record;
    type Soft = Soft;
    type Effect = Infallible;

    fn encode(record: &Record) -> KeyValue {
        records::encode(record)
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, MalformedRecord> {
        records::decode(key, value)
    }

    fn decide(
        &self,
        command: Command,
        request: RequestId,
        now: Now,
        stored: &dyn Stored,
    ) -> Result<Outcome<GroupShard>, ApiError> {
        let mut outcome = self.dispatch(command, request, now, stored)?;
        if outcome.events.iter().any(|event| matches!(event, Event::Durable(_) | Event::Transactional(..))) {
            // The first group of the shard begins the looks through its offsets.
            outcome.events.extend(expiration::first_look(self, now).map(Event::Soft));
        }
        Ok(outcome)
    }

    fn expire(&self, now: Now, stored: &dyn Stored) -> Outcome<GroupShard> {
        let listed = self.deadlines.first().filter(|(deadline_ms, _)| *deadline_ms <= now.uptime_ms);
        if let Some((_, id)) = listed {
            return match self.expire_group(&self.groups[id], now) {
                Some(outcome) => retried_later(outcome, Some(id.clone())),
                None => {
                    let mut outcome = Outcome::nothing();
                    outcome.soft(Soft::DeadlineLooked { group: id.clone() });
                    outcome
                }
            };
        }
        match self.next_expiry_ms {
            Some(due_ms) if due_ms <= now.uptime_ms => {
                retried_later(expiration::look(self, now, stored), None)
            }
            Some(_) | None => Outcome::nothing(),
        }
    }

    fn replay(&mut self, event: &Event<Record, Soft>) {
        self.count(event);
        match event {
            Event::Durable(record) => self.replay_record(record),
            Event::Transactional(producer, record) => self.replay_transactional(*producer, record),
            Event::Marker(marker) => self.pending.end(marker.producer.id),
            Event::Soft(soft) => self.replay_soft(soft),
        }
    }

    fn next_deadline(&self) -> Option<i64> {
        let listed = self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms);
        listed.into_iter().chain(self.next_expiry_ms).min()
    }

    fn restore(&mut self, stored: &dyn Stored) -> Result<(), ApiError> {
        let mut found = Vec::new();
        for prefix in records::groups_prefixes() {
            let mut malformed = None;
            stored.scan(&prefix, &mut |key, value| match records::decode(key, Some(value)) {
                Ok(record) => {
                    found.extend(record);
                    Scan::Next
                }
                Err(error) => {
                    malformed = Some(error);
                    Scan::Stop
                }
            })?;
            if let Some(MalformedRecord(reason)) = malformed {
                // Only what was decoded once gets into the view.
                return Err(ApiError::new(ErrorCode::CoordinatorNotAvailable, reason));
            }
        }
        found.iter().for_each(|record| self.replay_record(record));
        offsets::groups_with_offsets(stored, &mut |group| {
            self.ensure_group(&Arc::from(group), Timestamp::NONE);
        })
    }

    fn loaded(&mut self, now: Now) -> Vec<Infallible> {
        self.counts = Counts::default();
        self.pending.begin_term(now.uptime_ms);
        if let Some(look) = expiration::first_look(self, now).filter(|_| !self.groups.is_empty()) {
            self.replay_soft(&look);
        }
        let ids: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for id in ids {
            let group = match &self.groups[&id] {
                Group::Classic(group) => Group::Classic(self.load_classic(group, now)),
                Group::Consumer(group) => {
                    let mut group = group.clone();
                    group.start_timers((self.surroundings.consumer_settings)(&id), now);
                    Group::Consumer(group)
                }
            };
            self.install(group);
        }
        Vec::new()
    }
}
