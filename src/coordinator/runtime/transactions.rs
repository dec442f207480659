//! Records of open transactions: what they are until a marker decides, and what they become then. Pure.
//!
//! A pending record is among the partition's entries under a key of its own, behind a prefix that no coordinator sees.
//! So a view is as of one position of the log whatever is open there, and a marker is a change set like any other:
//! the pending records of its producer move to their own keys, or go. Of records of one key the one counts that stands
//! last in the log, whenever it was committed, as compaction has it; so what is pending is always newer than what is
//! committed, and goes when a newer record of its key is. Kafka: `OffsetMetadataManager.replayEndTransactionMarker`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, bail};
use bytes::Bytes;

use crate::coordinator::shard::{KeyValue, Scan, TransactionMarker, TransactionalProducer};
use crate::protocol::ids::{Offset, ProducerEpoch, ProducerId};
use crate::store::PartitionKey;
use crate::store::view::{Tier, View, ViewError};

/// Where keys of pending records begin: `prefix producerId key`. Keys of coordinators begin with their type, which is
/// not negative.
const PREFIX: [u8; 2] = [0xff, 0xff];
const PREFIX_SIZE: usize = 10;

/// Before the value of a pending record: `format producerEpoch baseOffset hasValue`.
const FORMAT: u8 = 0;
const HEADER_SIZE: usize = 12;

/// What a batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Durable,
    Transactional(TransactionalProducer),
    Marker(TransactionMarker),
}

/// A record of an open transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    epoch: ProducerEpoch,
    /// Of its batch, which has one producer: enough to tell what stands behind it.
    base_offset: Offset,
    value: Option<Bytes>,
}

/// A pending record that the view has kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub producer: TransactionalProducer,
    pub record: KeyValue,
}

/// The pending records of a partition, also of those that are in the view: an open transaction is short, and few keys.
#[derive(Debug, Default)]
pub(super) struct OpenTransactions {
    by_producer: HashMap<ProducerId, BTreeMap<Bytes, Pending>>,
    by_key: HashMap<Bytes, BTreeSet<ProducerId>>,
}

impl OpenTransactions {
    /// What `view` holds of `of`, and the records in the order of the log.
    pub fn restored(view: &dyn View, of: PartitionKey) -> Result<(OpenTransactions, Vec<Kept>), ViewError> {
        let mut open = OpenTransactions::default();
        let mut kept = Vec::new();
        let mut broken = None;
        view.scan(of, &PREFIX, Tier::Disk, &mut |key, value| match decode(key, value) {
            Ok((id, key, pending)) => {
                let producer = TransactionalProducer { id, epoch: pending.epoch };
                let record =
                    KeyValue { key: key.to_vec(), value: pending.value.as_deref().map(<[u8]>::to_vec) };
                kept.push((pending.base_offset, Kept { producer, record }));
                open.insert(id, Bytes::copy_from_slice(key), pending);
                Scan::Next
            }
            Err(error) => {
                broken = Some(error);
                Scan::Stop
            }
        })?;
        if let Some(error) = broken {
            return Err(ViewError::Failed(error.context("read a pending record")));
        }
        kept.sort_by_key(|(base_offset, _)| *base_offset);
        Ok((open, kept.into_iter().map(|(_, kept)| kept).collect()))
    }

    /// What the batch at `base_offset` changes among the partition's entries; `records` are its own.
    pub fn take_in(
        &mut self,
        content: Content,
        base_offset: Offset,
        records: Vec<KeyValue>,
    ) -> Vec<KeyValue> {
        match content {
            Content::Durable => self.write(records, base_offset),
            Content::Transactional(producer) => {
                records.into_iter().map(|record| self.add(producer, base_offset, record)).collect()
            }
            Content::Marker(marker) => self.end(marker),
        }
    }

    fn write(&mut self, mut records: Vec<KeyValue>, base_offset: Offset) -> Vec<KeyValue> {
        if !self.by_key.is_empty() {
            let superseded: Vec<KeyValue> =
                records.iter().flat_map(|record| self.supersede(&record.key, base_offset)).collect();
            records.extend(superseded);
        }
        records
    }

    fn add(&mut self, producer: TransactionalProducer, base_offset: Offset, record: KeyValue) -> KeyValue {
        let value = record.value.map(Bytes::from);
        let pending = Pending { epoch: producer.epoch, base_offset, value };
        let entry = KeyValue { key: pending_key(producer.id, &record.key), value: Some(encode(&pending)) };
        self.insert(producer.id, record.key.into(), pending);
        entry
    }

    fn insert(&mut self, id: ProducerId, key: Bytes, pending: Pending) {
        let earlier = self.by_producer.entry(id).or_default().insert(key.clone(), pending);
        if earlier.is_none() {
            self.by_key.entry(key).or_default().insert(id);
        }
    }

    fn end(&mut self, marker: TransactionMarker) -> Vec<KeyValue> {
        let id = marker.producer.id;
        let mut changes = Vec::new();
        for (key, pending) in self.by_producer.remove(&id).unwrap_or_default() {
            self.forget_producer_of(&key, id);
            changes.push(KeyValue { key: pending_key(id, &key), value: None });
            if marker.is_commit {
                changes.extend(self.supersede(&key, pending.base_offset));
                changes.push(KeyValue { key: key.into(), value: pending.value.map(Vec::from) });
            }
        }
        changes
    }

    /// A record of `key` that stands at `offset` is committed: the pending ones before it never count.
    fn supersede(&mut self, key: &[u8], offset: Offset) -> Vec<KeyValue> {
        let ids = self.by_key.get(key).cloned().unwrap_or_default();
        let mut changes = Vec::new();
        for id in ids {
            let records =
                self.by_producer.get_mut(&id).expect("who has a pending record is an open producer");
            if records.get(key).is_some_and(|pending| pending.base_offset < offset) {
                records.remove(key);
                if records.is_empty() {
                    self.by_producer.remove(&id);
                }
                self.forget_producer_of(key, id);
                changes.push(KeyValue { key: pending_key(id, key), value: None });
            }
        }
        changes
    }

    fn forget_producer_of(&mut self, key: &[u8], id: ProducerId) {
        let ids = self.by_key.get_mut(key).expect("a pending record is known by its key");
        ids.remove(&id);
        if ids.is_empty() {
            self.by_key.remove(key);
        }
    }
}

/// Whether no record of the log may have this key.
pub(super) fn is_reserved(key: &[u8]) -> bool {
    key.starts_with(&PREFIX)
}

/// Whether keys that begin with `prefix` may be those of pending records.
pub(super) fn may_meet_reserved(prefix: &[u8]) -> bool {
    PREFIX.starts_with(prefix) || is_reserved(prefix)
}

fn pending_key(id: ProducerId, key: &[u8]) -> Vec<u8> {
    let mut entry_key = Vec::with_capacity(PREFIX_SIZE + key.len());
    entry_key.extend_from_slice(&PREFIX);
    entry_key.extend_from_slice(&id.0.to_be_bytes());
    entry_key.extend_from_slice(key);
    entry_key
}

fn encode(pending: &Pending) -> Vec<u8> {
    let value = pending.value.as_deref();
    let mut bytes = Vec::with_capacity(HEADER_SIZE + value.map_or(0, <[u8]>::len));
    bytes.push(FORMAT);
    bytes.extend_from_slice(&pending.epoch.0.to_be_bytes());
    bytes.extend_from_slice(&pending.base_offset.0.to_be_bytes());
    bytes.push(value.is_some().into());
    bytes.extend_from_slice(value.unwrap_or_default());
    bytes
}

fn decode<'a>(entry_key: &'a [u8], value: &[u8]) -> anyhow::Result<(ProducerId, &'a [u8], Pending)> {
    let after_prefix = entry_key.strip_prefix(&PREFIX).context("its key has no prefix")?;
    let (id, key) = after_prefix.split_first_chunk().context("its key has no producer id")?;
    let (header, value) = value.split_first_chunk::<HEADER_SIZE>().context("its header is cut off")?;
    let &[format, e0, e1, o0, o1, o2, o3, o4, o5, o6, o7, has_value] = header;
    if format != FORMAT || has_value > 1 {
        bail!("format {format} with {has_value} values is unknown");
    }
    let pending = Pending {
        epoch: ProducerEpoch(i16::from_be_bytes([e0, e1])),
        base_offset: Offset(i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7])),
        value: (has_value == 1).then(|| Bytes::copy_from_slice(value)),
    };
    Ok((ProducerId(i64::from_be_bytes(*id)), key, pending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::runtime::tests::{bench::OF, stamp};
    use crate::store::memory::MemoryView;
    use crate::store::view::{Change, Patience};

    fn producer(id: i64) -> TransactionalProducer {
        TransactionalProducer { id: ProducerId(id), epoch: ProducerEpoch(3) }
    }

    fn marker(id: i64, is_commit: bool) -> Content {
        let producer = producer(id);
        Content::Marker(TransactionMarker {
            producer,
            coordinator_epoch: 0,
            is_commit,
            transaction_version: 2,
        })
    }

    fn record(key: &[u8], value: Option<&[u8]>) -> KeyValue {
        KeyValue { key: key.to_vec(), value: value.map(<[u8]>::to_vec) }
    }

    /// Entries by key after batches at offsets 0, 1, 2, ..
    fn entries(
        open: &mut OpenTransactions,
        batches: &[(Content, Vec<KeyValue>)],
    ) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut entries = BTreeMap::new();
        for (offset, (content, records)) in batches.iter().enumerate() {
            for change in open.take_in(*content, Offset(offset as i64), records.clone()) {
                match change.value {
                    Some(value) => entries.insert(change.key, value),
                    None => entries.remove(&change.key),
                };
            }
        }
        entries
    }

    #[track_caller]
    fn check(batches: &[(Content, Vec<KeyValue>)], expected: &[(&[u8], &[u8])]) {
        let mut open = OpenTransactions::default();
        let left = entries(&mut open, batches);
        let left: Vec<(&[u8], &[u8])> = left.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        assert_eq!(left, expected);
        assert!(open.by_key.is_empty() && open.by_producer.is_empty(), "{open:?}");
    }

    #[test]
    fn a_commit_moves_what_is_pending_and_an_abort_deletes_it() {
        let written =
            || (Content::Transactional(producer(1)), vec![record(b"a", Some(b"1")), record(b"b", None)]);
        let before = || (Content::Durable, vec![record(b"b", Some(b"0"))]);
        check(&[before(), written(), (marker(1, true), vec![])], &[(b"a", b"1")]);
        check(&[before(), written(), (marker(1, false), vec![])], &[(b"b", b"0")]);
        check(&[(marker(1, true), vec![])], &[]);
    }

    #[test]
    fn of_records_of_one_key_the_last_in_the_log_counts() {
        let pending = |id, value: &'static [u8]| {
            (Content::Transactional(producer(id)), vec![record(b"a", Some(value))])
        };
        let durable = |value| (Content::Durable, vec![record(b"a", value)]);
        let commit = |id| (marker(id, true), vec![]);
        let abort = |id| (marker(id, false), vec![]);
        check(&[pending(1, b"1"), durable(Some(b"2")), commit(1)], &[(b"a", b"2")]);
        check(&[pending(1, b"1"), durable(None), commit(1)], &[]);
        check(&[pending(1, b"1"), pending(2, b"2"), commit(2), commit(1)], &[(b"a", b"2")]);
        check(&[pending(1, b"1"), pending(2, b"2"), commit(1), commit(2)], &[(b"a", b"2")]);
        check(&[pending(1, b"1"), pending(2, b"2"), abort(2), commit(1)], &[(b"a", b"1")]);
        check(&[pending(1, b"1"), pending(2, b"2"), pending(1, b"3"), commit(2), commit(1)], &[(b"a", b"3")]);
    }

    #[test]
    fn what_is_pending_comes_back_from_the_view_in_the_order_of_the_log() {
        let mut open = OpenTransactions::default();
        let batches = [
            (Content::Transactional(producer(2)), vec![record(b"a", Some(b"1"))]),
            (Content::Transactional(producer(1)), vec![record(b"a", Some(b"")), record(b"b", None)]),
        ];
        let entries = entries(&mut open, &batches);
        assert!(entries.keys().all(|key| is_reserved(key)));
        let view = MemoryView::default();
        let mut changes = entries.iter().map(|(key, value)| Change { key, value: Some(value) });
        view.apply(OF, &mut changes, &stamp(2), Patience::Wait).unwrap();
        let (restored, kept) = OpenTransactions::restored(&view, OF).unwrap();
        assert_eq!(restored.by_producer, open.by_producer);
        assert_eq!(restored.by_key.len(), open.by_key.len());
        let expected = batches.into_iter().flat_map(|(content, records)| {
            let Content::Transactional(producer) = content else { panic!("{content:?}") };
            records.into_iter().map(move |record| Kept { producer, record })
        });
        assert_eq!(kept, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_pending_record_that_cannot_be_read_is_a_damaged_view() {
        let valid = encode(&Pending { epoch: ProducerEpoch(0), base_offset: Offset(0), value: None });
        for (key, value) in [
            (&PREFIX[..], &valid[..]),
            (&pending_key(ProducerId(1), b"a"), &valid[1..]),
            (&pending_key(ProducerId(1), b"a"), &[9; HEADER_SIZE]),
        ] {
            let view = MemoryView::default();
            let mut changes = [Change { key, value: Some(value) }].into_iter();
            view.apply(OF, &mut changes, &stamp(1), Patience::Wait).unwrap();
            assert!(matches!(OpenTransactions::restored(&view, OF), Err(ViewError::Failed(_))));
        }
    }
}
