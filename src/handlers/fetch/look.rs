//! One look at the partitions a fetch watches: what each has for the client, within the size limits.
//! Kafka: `ReplicaManager.readFromLog`.

use std::sync::Arc;

use super::session::{FetchSession, Wanted, Watched};
use crate::env::fs::FileRegion;
use crate::handlers::services::Services;
use crate::protocol::errors::ErrorCode;
use crate::protocol::fetch::{EpochAndOffset, IsolationLevel, PartitionAnswer, TopicKey};
use crate::protocol::ids::LeaderEpoch;
use crate::replication::replica::Replica;
use crate::replication::subscription::Slot;

/// Limits of one fetch.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of the whole answer, in bytes of records; only its first batch may go beyond.
    pub max_bytes: usize,
    pub isolation: IsolationLevel,
}

/// What one partition has for the client.
pub struct News {
    pub slot: Slot,
    pub answer: PartitionAnswer,
    pub records: Option<FileRegion>,
    /// There are records that this answer has no room for: the next look must see the partition again.
    pub has_more: bool,
}

impl News {
    /// Size of its records.
    pub fn size_bytes(&self) -> usize {
        self.records.as_ref().map_or(0, |region| region.size_bytes)
    }

    /// Whether a waiting client must be told at once, however few bytes there are.
    pub fn is_urgent(&self) -> bool {
        self.answer.error != ErrorCode::None || self.answer.tags.diverging_epoch.is_some()
    }

    /// Whether the client was told all of this before, so that a session need not repeat it (KIP-227).
    pub fn is_known_to(&self, watched: &Watched) -> bool {
        !self.is_urgent()
            && self.records.is_none()
            && self.answer.high_watermark == watched.told_high_watermark
            && self.answer.log_start_offset == watched.told_log_start
    }
}

/// Looks at `slots` in order and appends to `all_news`; forgotten ones are passed over.
pub fn look(
    services: &Services,
    session: &mut FetchSession,
    slots: &[Slot],
    limits: Limits,
    all_news: &mut Vec<News>,
) {
    let mut remaining = limits.max_bytes;
    let mut found_any = false;
    for slot in slots {
        let Some(replica) = find_replica(services, session, *slot) else { continue };
        let Some(watched) = session.watched(*slot) else { continue };
        let (answer, records) = match &replica {
            Ok(replica) => read(replica, &watched.wanted, remaining, !found_any, limits.isolation),
            Err(error) => refused(&watched.wanted, *error),
        };
        let has_more = records.is_none()
            && replica
                .is_ok_and(|replica| watched.wanted.at.fetch_offset < replica.read_limit(limits.isolation));
        let news = News { slot: *slot, answer, records, has_more };
        found_any |= news.records.is_some();
        remaining = remaining.saturating_sub(news.size_bytes());
        all_news.push(news);
    }
}

/// The replica behind a slot, found again when it was closed. `None` for a forgotten slot.
pub fn find_replica(
    services: &Services,
    session: &mut FetchSession,
    slot: Slot,
) -> Option<Result<Arc<Replica>, ErrorCode>> {
    let watched = session.watched(slot)?;
    if let Some(replica) = &watched.replica
        && !replica.is_closed()
    {
        return Some(Ok(replica.clone()));
    }
    let partition = watched.wanted.at.partition;
    let found = match &watched.wanted.topic {
        TopicKey::Name(name) => services.leader_by_name(name, partition),
        TopicKey::Id(id) => services.leader_by_id(*id, partition),
    };
    if let Ok(replica) = &found {
        session.resolve(slot, replica);
    }
    Some(found)
}

fn refused(wanted: &Wanted, error: ErrorCode) -> (PartitionAnswer, Option<FileRegion>) {
    (PartitionAnswer::refused(wanted.at.partition, error), None)
}

fn read(
    replica: &Replica,
    wanted: &Wanted,
    remaining: usize,
    at_least_one: bool,
    isolation: IsolationLevel,
) -> (PartitionAnswer, Option<FileRegion>) {
    let at = &wanted.at;
    if let Err(code) = replica.check_epoch(at.current_leader_epoch) {
        return refused(wanted, code);
    }
    let mut answer = PartitionAnswer {
        high_watermark: replica.high_watermark(),
        last_stable_offset: replica.last_stable_offset(),
        log_start_offset: replica.log_start_offset(),
        aborted_transactions: None,
        ..PartitionAnswer::refused(at.partition, ErrorCode::None)
    };
    match find_divergence(replica, wanted) {
        Ok(None) => {}
        Ok(diverging) => {
            answer.tags.diverging_epoch = diverging;
            return (answer, None);
        }
        Err(code) => return refused(wanted, code),
    }
    let max_bytes = remaining.min(at.max_bytes.max(0) as usize);
    let records = match isolation {
        IsolationLevel::ReadUncommitted => replica.read(at.fetch_offset, max_bytes, isolation, at_least_one),
        IsolationLevel::ReadCommitted => {
            replica.read_committed(at.fetch_offset, max_bytes, at_least_one).map(|read| {
                let (records, aborted) = read.unzip();
                // Never null, as in Kafka.
                answer.aborted_transactions = Some(aborted.unwrap_or_default());
                records
            })
        }
    };
    match records {
        Ok(records) => (answer, records),
        Err(code) => refused(wanted, code),
    }
}

/// KIP-595: where the client's log, known by the epoch of its last record, leaves ours.
fn find_divergence(replica: &Replica, wanted: &Wanted) -> Result<Option<EpochAndOffset>, ErrorCode> {
    let last_fetched = wanted.at.last_fetched_epoch;
    if last_fetched == LeaderEpoch::NONE {
        return Ok(None);
    }
    let end = replica.epoch_end(last_fetched).ok_or(ErrorCode::OffsetOutOfRange)?;
    let diverges = end.epoch < last_fetched || end.end_offset < wanted.at.fetch_offset;
    Ok(diverges.then_some(EpochAndOffset { epoch: end.epoch, end_offset: end.end_offset }))
}
