//! Coordinators: state machines over the partitions of Kafka's own topics.
//!
//! [`shard`] says what a coordinator is, [`runtime`] is the one shell that drives all of them (loads, replays,
//! appends, parks replies, fires deadlines), [`log`] is what it needs of a partition's log. The rules are pure and stand
//! in a folder each: [`group`] for consumer groups and committed offsets, [`transaction`] for transactional ids. Nothing here knows sockets, replication or
//! the log's files; RocksDB is reached through `store`. Kafka: `CoordinatorRuntime`.

pub mod group;
pub mod log;
pub mod runtime;
pub mod shard;
pub mod transaction;

use crate::protocol::ids::PartitionIndex;

/// The partition of a coordinator's topic that `key` (a group id, a transactional id) belongs to, of
/// `partition_count`: the magnitude of Java's `String.hashCode`, 0 for the least of all (`Utils.abs`), as every broker
/// must agree.
pub fn partition_for(key: &str, partition_count: usize) -> PartitionIndex {
    let hash =
        key.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    PartitionIndex(hash.checked_abs().unwrap_or(0) % partition_count as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_where_kafka_looks_for_it() {
        // Where Apache Kafka has put them, all but the first with a negative hash.
        assert_eq!(partition_for("group", 50), PartitionIndex(47));
        assert_eq!(partition_for("group-orders", 50), PartitionIndex(37));
        assert_eq!(partition_for("group-console", 50), PartitionIndex(47));
        assert_eq!(partition_for("group-simple", 50), PartitionIndex(32));
        // The least hash of all has no magnitude.
        assert_eq!(partition_for("polygenelubricants", 50), PartitionIndex(0));
    }
}
