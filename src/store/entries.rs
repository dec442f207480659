//! Entries: the last value of each key of a partition's log.

use super::{Family, PREFIX_SIZE, PartitionKey, prefix};

/// Where the entry of `record_key` stands; the beginning of all entries for an empty one.
pub(super) fn key(of: PartitionKey, record_key: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(PREFIX_SIZE + record_key.len());
    key.extend_from_slice(&prefix(Family::Entry, of));
    key.extend_from_slice(record_key);
    key
}

/// The record's key in an entry's.
pub(super) fn record_key(key: &[u8]) -> &[u8] {
    &key[PREFIX_SIZE..]
}

/// The first key behind all that begin with `prefix`.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ids::PartitionIndex;
    use crate::store::CoordinatorTopic;

    #[test]
    fn entries_of_a_partition_stand_together() {
        let of = |partition| PartitionKey {
            topic: CoordinatorTopic::ConsumerOffsets,
            partition: PartitionIndex(partition),
        };
        assert_eq!(record_key(&key(of(255), b"group")), b"group");
        let (begin, end) = (key(of(255), b""), end_of(&key(of(255), b"")));
        assert!(begin <= key(of(255), b"") && key(of(255), &[0xff; 9]) < end);
        assert!(key(of(254), &[0xff; 9]) < begin && end <= key(of(256), b""));
    }

    #[test]
    fn the_end_of_a_prefix_is_behind_all_that_begin_with_it() {
        assert_eq!(end_of(&[1, 2, 3]), [1, 2, 4]);
        assert_eq!(end_of(&[1, 0xff, 0xff]), [2]);
    }
}
