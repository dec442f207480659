//! How a raft entry stands in the metadata log: one record batch that holds exactly one record, so that the
//! offset is the raft index; the batch's leader epoch is the term; the record's value is the kind of entry and
//! what it carries.

use openraft::EntryPayload;
use openraft::entry::RaftEntry;

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::{Malformed, MetadataRecord, Reader, Write};
use crate::protocol::batch::{Batch, Compression};
use crate::protocol::ids::{BrokerId, Timestamp};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord, RecordIter};
use crate::raft::types::{Entry, LogId, Membership, Records, epoch, log_id, offset};

/// Version of an entry's value.
const VERSION: i8 = 0;
const BLANK: i8 = 0;
const RECORDS: i8 = 1;
const MEMBERSHIP: i8 = 2;

/// An entry as a batch.
pub fn encode(entry: &Entry, now: Timestamp) -> Vec<u8> {
    let log_id = entry.log_id();
    let mut value = vec![VERSION as u8];
    match &entry.payload {
        EntryPayload::Blank => value.put_i8(BLANK),
        EntryPayload::Normal(records) => {
            value.put_i8(RECORDS);
            for record in records.0.iter() {
                record.encode(&mut value);
            }
        }
        EntryPayload::Membership(membership) => {
            value.put_i8(MEMBERSHIP);
            encode_membership(membership, &mut value);
        }
    }
    let header =
        BatchHeader { base_offset: offset(&log_id), leader_epoch: epoch(&log_id), ..BatchHeader::default() };
    let mut batch = BatchBuilder::new(header);
    batch.push(&NewRecord { timestamp: now, value: Some(&value), ..NewRecord::default() });
    batch.build()
}

/// Where a batch of the metadata log stands.
pub fn position(batch: Batch<'_>) -> LogId {
    log_id(batch.leader_epoch().0.max(0) as u64, batch.base_offset().0.max(0) as u64)
}

/// Reads what [`encode`] writes.
pub fn decode(batch: Batch<'_>) -> Result<Entry, Malformed> {
    let (kind, mut reader) = open(batch)?;
    let payload = match kind {
        BLANK => EntryPayload::Blank,
        RECORDS => {
            let mut records = Vec::new();
            while reader.remaining() > 0 {
                records.push(MetadataRecord::decode(&mut reader)?);
            }
            EntryPayload::Normal(Records(records.into()))
        }
        MEMBERSHIP => EntryPayload::Membership(decode_membership(&mut reader)?),
        kind => return Err(malformed(format!("entry kind {kind}"))),
    };
    if reader.remaining() > 0 {
        return Err(malformed(format!("{} bytes after the entry", reader.remaining())));
    }
    Ok(Entry::new(position(batch), payload))
}

/// The membership that an entry sets, if it sets one; other entries are not decoded.
pub fn membership(batch: Batch<'_>) -> Result<Option<Membership>, Malformed> {
    let (kind, mut reader) = open(batch)?;
    if kind == MEMBERSHIP { decode_membership(&mut reader).map(Some) } else { Ok(None) }
}

/// The kind of an entry, and what it carries.
fn open(batch: Batch<'_>) -> Result<(i8, Reader<'_>), Malformed> {
    if batch.compression() != Some(Compression::None) {
        return Err(malformed("a compressed entry"));
    }
    let mut records = RecordIter::of(batch);
    let value = match (records.next(), records.next()) {
        (Some(Ok(record)), None) => record.value.ok_or_else(|| malformed("an entry without value"))?,
        (Some(Err(error)), _) | (_, Some(Err(error))) => return Err(malformed(format!("{error:?}"))),
        (None, _) | (Some(Ok(_)), Some(Ok(_))) => {
            return Err(malformed("a batch that does not hold one entry"));
        }
    };
    let mut reader = Reader::new(value);
    let version = reader.i8()?;
    if version != VERSION {
        return Err(malformed(format!("entry version {version}")));
    }
    let kind = reader.i8()?;
    Ok((kind, reader))
}

/// Who votes (several sets while the voters change), and where the members are reached.
pub fn encode_membership(membership: &Membership, out: &mut Vec<u8>) {
    let sets = membership.get_joint_config();
    out.put_count(sets.len());
    for voters in sets {
        let voters: Vec<BrokerId> = voters.iter().copied().collect();
        out.put_broker_ids(&voters);
    }
    let nodes: Vec<_> = membership.nodes().collect();
    out.put_count(nodes.len());
    for (id, node) in nodes {
        out.put_i32(id.0);
        out.put_string(&node.addr);
    }
}

/// Reads what [`encode_membership`] writes.
pub fn decode_membership(reader: &mut Reader<'_>) -> Result<Membership, Malformed> {
    let sets = reader.list(1, |set| Ok(BTreeSet::from_iter(set.broker_ids()?)))?;
    let nodes =
        reader.list(5, |node| Ok((BrokerId(node.i32()?), openraft::BasicNode { addr: node.string()? })))?;
    let nodes = BTreeMap::from_iter(nodes);
    // openraft asserts this later on.
    if sets.iter().flatten().any(|voter| !nodes.contains_key(voter)) {
        return Err(malformed("a voter that is no member"));
    }
    if sets.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(sets, nodes).map_err(|error| malformed(error.to_string()))
}

fn malformed(what: impl Into<String>) -> Malformed {
    Malformed(what.into())
}
