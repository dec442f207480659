//! What becomes due by itself. Time is advanced, and the flush thread is waited for.

use super::*;
use crate::log::dirs::OffsetCheckpoint;
use crate::protocol::ids::{Offset, PartitionIndex, Timestamp};
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};
use crate::replication::registry::tests::{TOPIC, registry};
use crate::replication::transactions::Verification;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const NEVER: Intervals = Intervals {
    retention_ms: i64::MAX,
    producer_expiration_ms: i64::MAX,
    checkpoint_ms: i64::MAX,
    flush_ms: i64::MAX,
};

#[test]
fn sealed_segments_are_behind_the_recovery_point_a_second_after_they_are_on_disk() {
    let root = tempfile::tempdir().unwrap();
    let (clock, signal) = (Clock::manual(NOW), Arc::new(Signal::default()));
    let registry = registry(root.path(), clock.clone(), signal.clone());
    let mut schedule = Schedule::begin(&registry, &clock, NEVER);
    let image = registry.image();
    let replica = registry.leader(image.topic_by_id(TOPIC).unwrap(), PartitionIndex(0)).unwrap();
    for _ in 0..2 {
        let mut builder = BatchBuilder::new(BatchHeader::default());
        builder.push(&NewRecord { timestamp: NOW, key: None, value: Some(&[7; 100]), headers: &[] });
        replica.append(&mut builder.build(), true, Verification::Off, NOW).unwrap();
    }
    // The first use of a partition is a call as well.
    let mut call_count = 0;
    while schedule.checkpoint_at == i64::MAX {
        assert!(call_count < 2, "nobody told that a segment is sealed and on disk");
        assert!(signal.wait(Some(Duration::from_secs(60))));
        schedule.do_what_is_due();
        call_count += 1;
    }
    let recovery_points =
        || registry.options.directories[0].read_offsets(OffsetCheckpoint::RecoveryPoint).unwrap();
    assert!(recovery_points().is_empty(), "several share a checkpoint");
    clock.advance_ms(SEALED_CHECKPOINT_MS);
    schedule.do_what_is_due();
    assert_eq!(recovery_points(), [(("t".to_owned(), PartitionIndex(0)), Offset(1))].into());
    assert_eq!(schedule.checkpoint_at, i64::MAX, "and then as often as before");
}
