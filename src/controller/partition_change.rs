//! What one partition becomes when its replicas, its in-sync set or its leader shall change: who leads, who stays
//! eligible (KIP-966), whether a reassignment is complete (KIP-455). Kafka: `PartitionChangeBuilder`,
//! `PartitionReassignmentReplicas`. Pure; writes nothing.

use crate::controller::image::{ClusterImage, PartitionImage, TopicImage};
use crate::controller::placement;
use crate::controller::records::{MetadataRecord, PartitionChangeRecord};
use crate::protocol::ids::{BrokerId, PartitionIndex};

/// The feature whose level says whether eligible leader replicas are kept.
const ELR_FEATURE: &str = "eligible.leader.replicas.version";

pub(super) fn keeps_eligible_leaders(image: &ClusterImage) -> bool {
    image.features.get(ELR_FEATURE).is_some_and(|level| *level > 0)
}

/// Who may be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The first replica, when it is in sync.
    Preferred,
    /// The leader stays; without one, any replica in sync.
    Online,
    /// As [`Election::Online`], and at the worst any replica that runs.
    Unclean,
}

/// A change under way. The fields that are set last count; [`PartitionChange::build`] makes the record.
pub(super) struct PartitionChange<'a> {
    image: &'a ClusterImage,
    topic: &'a TopicImage,
    index: PartitionIndex,
    partition: &'a PartitionImage,
    pub election: Election,
    pub isr: Vec<BrokerId>,
    pub replicas: Vec<BrokerId>,
    pub removing: Vec<BrokerId>,
    pub adding: Vec<BrokerId>,
    /// May this broker lead? By default, whoever runs.
    pub may_lead: &'a dyn Fn(BrokerId) -> bool,
    pub min_insync_replicas: usize,
    elr: Vec<BrokerId>,
    last_known_elr: Vec<BrokerId>,
}

impl<'a> PartitionChange<'a> {
    /// Changes nothing yet, and elects only where nobody leads who can.
    pub fn of(
        image: &'a ClusterImage,
        topic: &'a TopicImage,
        index: PartitionIndex,
        partition: &'a PartitionImage,
        may_lead: &'a dyn Fn(BrokerId) -> bool,
    ) -> PartitionChange<'a> {
        PartitionChange {
            image,
            topic,
            index,
            partition,
            election: Election::Online,
            isr: partition.isr.clone(),
            replicas: partition.replicas.clone(),
            removing: partition.removing_replicas.clone(),
            adding: partition.adding_replicas.clone(),
            may_lead,
            min_insync_replicas: 1,
            elr: partition.elr.clone(),
            last_known_elr: partition.last_known_elr.clone(),
        }
    }

    /// The record, or `None` when the partition stays as it is.
    pub fn build(mut self) -> Option<MetadataRecord> {
        let keeps_elr = keeps_eligible_leaders(self.image);
        let unchanged = PartitionChangeRecord::new(self.topic.id, self.index);
        let mut record = unchanged.clone();
        self.complete_reassignment();
        if keeps_elr {
            self.keep_eligible();
        }
        self.elect(&mut record);
        // Who was a replica must hear of it: a new leader epoch fences it.
        if record.leader.is_none() && !contains_all(&self.replicas, &self.partition.replicas) {
            record.leader = Some(self.partition.leader);
        }
        self.record_in_sync(&mut record, keeps_elr);
        self.record_replicas(&mut record);
        (record != unchanged).then_some(MetadataRecord::PartitionChange(record))
    }

    /// Drops the replicas that shall go, once those that stay are all in sync.
    fn complete_reassignment(&mut self) {
        if self.removing.is_empty() && self.adding.is_empty() {
            return;
        }
        let stays = |broker: &BrokerId| !self.removing.contains(broker);
        let isr: Vec<BrokerId> = self.isr.iter().copied().filter(stays).collect();
        let replicas: Vec<BrokerId> = self.replicas.iter().copied().filter(stays).collect();
        if isr.is_empty() || replicas.is_empty() || !contains_all(&isr, &replicas) {
            return;
        }
        (self.isr, self.replicas) = (isr, replicas);
        (self.removing, self.adding) = (Vec::new(), Vec::new());
    }

    /// Below the least in-sync count, whoever leaves the in-sync set has all that is committed and may still lead.
    fn keep_eligible(&mut self) {
        if self.isr.len() >= self.min_insync_replicas.min(self.replicas.len()) {
            self.elr.clear();
            self.last_known_elr.clear();
            return;
        }
        let mut eligible: Vec<BrokerId> = self.elr.iter().chain(&self.partition.isr).copied().collect();
        eligible.retain(|broker| !self.isr.contains(broker));
        eligible.sort_unstable();
        eligible.dedup();
        self.elr = eligible;
    }

    fn elect(&mut self, record: &mut PartitionChangeRecord) {
        let (leader, is_unclean) = self.new_leader();
        if leader == self.partition.leader {
            return;
        }
        record.leader = Some(leader);
        if is_unclean {
            record.isr = Some(vec![leader]);
            if self.partition.leader_recovery_state == 0 {
                record.leader_recovery_state = Some(1);
            }
        } else if self.elr.contains(&leader) {
            self.isr = vec![leader];
            self.elr.retain(|broker| *broker != leader);
            self.last_known_elr.clear();
        }
    }

    /// Who leads, and whether records may be lost by it.
    fn new_leader(&self) -> (BrokerId, bool) {
        let is_valid = |broker: &BrokerId| {
            let in_sync = self.isr.contains(broker) || (self.isr.is_empty() && self.elr.contains(broker));
            in_sync && (self.may_lead)(*broker)
        };
        if self.election == Election::Preferred
            && let Some(preferred) = self.replicas.first().filter(|broker| is_valid(broker))
        {
            return (*preferred, false);
        }
        if is_valid(&self.partition.leader) {
            return (self.partition.leader, false);
        }
        if let Some(in_sync) = self.replicas.iter().find(|broker| is_valid(broker)) {
            return (*in_sync, false);
        }
        let any = self.replicas.iter().find(|broker| (self.may_lead)(**broker));
        match (self.election, any) {
            (Election::Unclean, Some(any)) => (*any, true),
            (Election::Unclean | Election::Online | Election::Preferred, _) => (BrokerId::NONE, false),
        }
    }

    fn record_in_sync(&mut self, record: &mut PartitionChangeRecord, keeps_elr: bool) {
        if record.isr.is_some() || !keeps_elr {
            self.elr.clear();
            self.last_known_elr.clear();
        }
        // Without eligible replicas the last one in sync stays in the set, for the set is all that is known of it.
        let may_be_set = keeps_elr || !self.isr.is_empty();
        if record.isr.is_none() && may_be_set && self.isr != self.partition.isr {
            record.isr = Some(self.isr.clone());
        }
        // KIP-966: of a partition whose in-sync set has just become empty, the last leader is remembered.
        if keeps_elr && record.isr.as_ref().is_some_and(Vec::is_empty) {
            self.last_known_elr = vec![self.partition.leader];
        }
        if self.elr != self.partition.elr {
            record.elr = Some(self.elr.clone());
        }
        if self.last_known_elr != self.partition.last_known_elr {
            record.last_known_elr = Some(self.last_known_elr.clone());
        }
    }

    fn record_replicas(&self, record: &mut PartitionChangeRecord) {
        if self.replicas != self.partition.replicas {
            let placed = placement::directories(self.image, self.topic.id, self.index, &self.replicas);
            let directories = self.replicas.iter().zip(placed);
            let kept =
                directories.map(|(broker, placed)| self.partition.directory_of(*broker).unwrap_or(placed));
            record.directories = Some(kept.collect());
            record.replicas = Some(self.replicas.clone());
        }
        if self.removing != self.partition.removing_replicas {
            record.removing_replicas = Some(self.removing.clone());
        }
        if self.adding != self.partition.adding_replicas {
            record.adding_replicas = Some(self.adding.clone());
        }
    }
}

fn contains_all(set: &[BrokerId], brokers: &[BrokerId]) -> bool {
    brokers.iter().all(|broker| set.contains(broker))
}
