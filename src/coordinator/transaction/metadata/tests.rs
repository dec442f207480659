//! Epochs and ids from step to step.

use super::*;
use crate::protocol::ids::PartitionIndex;

const NOW: Timestamp = Timestamp(5_000);
const LATER: Timestamp = Timestamp(6_000);

fn at_epoch(epoch: i16, state: State) -> TransactionMetadata {
    TransactionMetadata {
        producer: TransactionalProducer { id: ProducerId(1), epoch: ProducerEpoch(epoch) },
        state,
        ..TransactionMetadata::new(ProducerId(1), 60_000, NOW)
    }
}

fn id_and_epoch(metadata: &TransactionMetadata) -> (i64, i16) {
    (metadata.producer.id.0, metadata.producer.epoch.0)
}

#[test]
fn a_new_producer_forgets_the_last_epoch_and_one_that_goes_on_keeps_it() {
    let current = at_epoch(4, State::CompleteCommit);
    let new = current.bumped(None, 1_000, LATER).unwrap();
    assert_eq!((id_and_epoch(&new), new.last_epoch, new.state), ((1, 5), NO_EPOCH, State::Empty));
    let goes_on = current.bumped(Some(ProducerEpoch(4)), 1_000, LATER).unwrap();
    assert_eq!((id_and_epoch(&goes_on), goes_on.last_epoch), ((1, 5), ProducerEpoch(4)));
    let again = goes_on.bumped(Some(ProducerEpoch(4)), 1_000, LATER).unwrap();
    assert_eq!((id_and_epoch(&again), again.last_epoch), ((1, 5), ProducerEpoch(4)), "a repeated request");
    for stranger in [3, 6] {
        let refusal = goes_on.bumped(Some(ProducerEpoch(stranger)), 1_000, LATER).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::ProducerFenced);
    }
}

#[test]
fn the_last_epoch_is_followed_by_another_id() {
    let last = at_epoch(i16::MAX - 1, State::Empty);
    assert!(last.is_epoch_exhausted() && !at_epoch(i16::MAX - 2, State::Empty).is_epoch_exhausted());
    let next = last.rotated(ProducerId(2), Some(ProducerEpoch(i16::MAX - 1)), 1_000, LATER);
    assert_eq!((id_and_epoch(&next), next.previous_id), ((2, 0), ProducerId(1)));
    assert_eq!(next.last_epoch, ProducerEpoch(i16::MAX - 1));
    assert!(next.knows(last.producer), "it may not have heard of the other id");
    assert!(!next.knows(TransactionalProducer { epoch: ProducerEpoch(7), ..last.producer }));
    let ended =
        at_epoch(i16::MAX - 1, State::Ongoing).prepared_with_bump(Ending::Commit, Some(ProducerId(2)), LATER);
    assert_eq!((id_and_epoch(&ended), ended.after_completion().id), ((1, i16::MAX), ProducerId(2)));
    let completed = ended.completed(LATER);
    assert_eq!((id_and_epoch(&completed), completed.previous_id), ((2, 0), ProducerId(1)));
    assert_eq!((completed.next_id, completed.last_epoch), (ProducerId::NONE, ProducerEpoch(i16::MAX - 1)));
}

#[test]
fn the_epoch_that_fences_is_given_to_nobody() {
    for version in [0, 1, 2] {
        let fenced = at_epoch(i16::MAX - 1, State::Ongoing).fenced(version, None, LATER);
        assert_eq!((id_and_epoch(&fenced), fenced.state), ((1, i16::MAX), State::PrepareAbort));
        let aborted = fenced.completed(LATER);
        let refusal = aborted.bumped(Some(ProducerEpoch(i16::MAX - 1)), 1_000, LATER).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::ProducerFenced);
    }
}

#[test]
fn only_the_end_of_version_2_bumps_the_epoch() {
    let ongoing = at_epoch(4, State::Empty).with_partitions(&[("t".into(), PartitionIndex(0))], 0, LATER);
    assert_eq!((ongoing.start, ongoing.state), (LATER, State::Ongoing));
    let plain = ongoing.prepared(Ending::Commit, LATER);
    assert_eq!((id_and_epoch(&plain), plain.client_version), ((1, 4), 0));
    let bumped = ongoing.prepared_with_bump(Ending::Abort, None, LATER);
    assert_eq!((id_and_epoch(&bumped), bumped.client_version), ((1, 5), 2));
    assert_eq!(bumped.last_epoch, ProducerEpoch(4));
    assert_eq!(id_and_epoch(&ongoing.fenced(1, None, LATER)), (1, 5));
    let completed = bumped.completed(LATER);
    assert_eq!((id_and_epoch(&completed), completed.partitions.len()), ((1, 5), 0));
}
