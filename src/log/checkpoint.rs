//! Kafka's checkpoint files: a version line, a count line, then one line per entry. Pure text in and out.
//!
//! A checkpoint that is torn or damaged is worth nothing: readers get `None` and fall back to what the logs tell.
//! Kafka: `CheckpointFile`, `OffsetCheckpointFile`, `LeaderEpochCheckpointFile`, `PartitionMetadataFile`.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::log::epochs::EpochCache;
use crate::protocol::ids::{Offset, PartitionIndex, TopicId, parse_uuid_text};

pub const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
pub const PARTITION_METADATA: &str = "partition.metadata";

/// An offset for each partition of a log directory.
pub type PartitionOffsets = BTreeMap<(String, PartitionIndex), Offset>;

/// The lines after version and count, when the count is right.
fn entries(text: &str) -> Option<impl Iterator<Item = &str>> {
    // The last line must be whole, or a number in it may have lost digits.
    let body = text.strip_suffix('\n')?;
    let mut lines = body.split('\n');
    let (version, count) = (lines.next()?, lines.next()?.parse::<usize>().ok()?);
    (version == "0" && lines.clone().count() == count).then_some(lines)
}

pub fn encode_offsets(offsets: &PartitionOffsets) -> String {
    let mut text = format!("0\n{}\n", offsets.len());
    for ((topic, partition), offset) in offsets {
        writeln!(text, "{topic} {partition} {offset}").expect("a String takes everything");
    }
    text
}

pub fn decode_offsets(text: &str) -> Option<PartitionOffsets> {
    let mut offsets = PartitionOffsets::new();
    for line in entries(text)? {
        let mut fields = line.split(' ');
        let (topic, partition, offset) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() {
            return None;
        }
        let key = (topic.to_owned(), PartitionIndex(partition.parse().ok()?));
        offsets.insert(key, Offset(offset.parse().ok()?));
    }
    Some(offsets)
}

/// `leader-epoch-checkpoint`; as [`EpochCache::from_text`], and the last number must be known to be whole.
pub fn decode_epochs(bytes: &[u8]) -> Option<EpochCache> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.ends_with('\n').then(|| EpochCache::from_text(text)).flatten()
}

pub fn encode_partition_metadata(topic_id: TopicId) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

pub fn decode_partition_metadata(text: &str) -> Option<TopicId> {
    let mut lines = text.lines();
    let version = lines.next()?.strip_prefix("version: ")?;
    let topic_id = lines.next()?.strip_prefix("topic_id: ")?;
    (version == "0").then(|| parse_uuid_text(topic_id).map(TopicId)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ids::Uuid;

    #[test]
    fn offsets_keep_kafkas_text_form() {
        let mut offsets = PartitionOffsets::new();
        offsets.insert(("b".into(), PartitionIndex(0)), Offset(7));
        offsets.insert(("a.topic".into(), PartitionIndex(12)), Offset(0));
        let text = encode_offsets(&offsets);
        assert_eq!(text, "0\n2\na.topic 12 0\nb 0 7\n");
        assert_eq!(decode_offsets(&text), Some(offsets));
    }

    #[test]
    fn a_torn_or_damaged_checkpoint_is_none() {
        let text = b"0\n2\n3 100\n5 250\n";
        assert_eq!(decode_epochs(text).expect("whole").entries().len(), 2);
        for size in 0..text.len() {
            assert_eq!(decode_epochs(&text[..size]), None, "cut at {size}");
        }
        assert_eq!(decode_offsets("1\n0\n"), None, "another version");
        assert_eq!(decode_offsets("0\n1\na 0 1 2\n"), None, "a field too many");
    }

    #[test]
    fn partition_metadata_is_read_back() {
        let topic_id = TopicId(Uuid::from_u128(77));
        assert_eq!(decode_partition_metadata(&encode_partition_metadata(topic_id)), Some(topic_id));
        assert_eq!(decode_partition_metadata("version: 1\ntopic_id: x"), None);
    }
}
