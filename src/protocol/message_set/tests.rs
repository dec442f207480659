//! What the conversions promise, against bytes of Kafka's own classes and against each other.

use crate::protocol::batch::{Batch, BatchMut, Compression, TimestampType};
use crate::protocol::compression::{self, Level};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp};
use crate::protocol::message_set::downgrade::downgrade_within;
use crate::protocol::message_set::message::{Contents, Message, NewMessage};
use crate::protocol::message_set::*;
use crate::protocol::records::{BatchBuilder, BatchHeader, NewRecord};
use crate::protocol::validate::{ProduceError, ProduceRules, validate_produce};

mod fuzzing;
mod java;
mod refusals;
mod round_trips;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const OLD_CODECS: [Compression; 4] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4];

/// With no one to stop it.
fn downgrade(batches: &[u8], to: Magic, from: Offset, limit: usize) -> Result<Downgraded, DowngradeError> {
    super::downgrade(batches, to, from, limit, &mut |_| true)
}

/// A topic that demands nothing.
fn plain_rules() -> UpgradeRules {
    UpgradeRules {
        compression: None,
        max_message_bytes: 1_000_000,
        most_decompressed_bytes: 1 << 20,
        compacted: false,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        now: NOW,
    }
}

/// With nothing else in the request.
fn upgrade(set: &[u8], rules: &UpgradeRules) -> Result<Vec<u8>, ProduceError> {
    crate::protocol::message_set::upgrade(set, rules, &mut { usize::MAX })
}

/// What the log gets: converted, then validated like any batch. Empty when there is nothing to append.
fn append(set: &[u8], rules: &UpgradeRules) -> Result<Vec<u8>, ErrorCode> {
    let mut batch = upgrade(set, rules).map_err(|refused| refused.error.code)?;
    if batch.is_empty() {
        return Ok(batch);
    }
    let rules = ProduceRules {
        api_version: 7,
        topic: "t",
        partition: PartitionIndex(0),
        compacted: rules.compacted,
        compression: rules.compression,
        max_message_bytes: rules.max_message_bytes,
        max_decompressed_message_bytes: rules.most_decompressed_bytes,
        segment_size_bytes: 1 << 30,
        timestamp_type: rules.timestamp_type,
        timestamp_before_max_ms: rules.timestamp_before_max_ms,
        timestamp_after_max_ms: rules.timestamp_after_max_ms,
        now: rules.now,
    };
    let validated = validate_produce(&mut batch, &rules).map_err(|refused| refused.error.code)?;
    assert_eq!(validated.size_bytes, batch.len());
    let mut appended = validated.replacement.unwrap_or(batch);
    // Whatever a batch of format 2 says, the log writes its own.
    let (mut batch, _) = BatchMut::split_first(&mut appended).unwrap();
    batch.set_leader_epoch(LeaderEpoch::NONE);
    Ok(appended)
}

/// A message with an offset of 0, made [`NOW`].
fn message(magic: Magic, key: Option<&str>, value: Option<&str>) -> Vec<u8> {
    let contents = Contents { key: key.map(str::as_bytes), value: value.map(str::as_bytes) };
    put(NewMessage { contents, ..empty_message(magic) })
}

fn empty_message(magic: Magic) -> NewMessage<'static> {
    NewMessage {
        magic,
        offset: Offset::ZERO,
        compression: Compression::None,
        timestamp_type: TimestampType::CreateTime,
        timestamp: NOW,
        contents: Contents { key: None, value: None },
    }
}

fn put(message: NewMessage<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.put(&mut out).unwrap();
    out
}

fn wrapper(magic: Magic, compression: Compression, offset: i64, inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let wrapper = NewMessage { compression, offset: Offset(offset), ..empty_message(magic) };
    wrapper::put(wrapper, inner, &mut out).unwrap();
    out
}

/// The messages of a set that must be whole.
fn messages(set: &[u8]) -> Vec<Message<'_>> {
    let mut messages = Vec::new();
    let mut rest = set;
    while let Some((message, behind)) = Message::split_first(rest).unwrap() {
        assert!(message.crc_matches());
        messages.push(message);
        rest = behind;
    }
    assert!(rest.is_empty(), "a message set of ours ends with a whole message");
    messages
}

fn offsets(set: &[u8]) -> Vec<i64> {
    messages(set).iter().map(|message| message.offset().0).collect()
}

/// The inner set of a wrapper, offsets as they stand.
fn inner_set(wrapper: &Message<'_>) -> Vec<u8> {
    let codec = wrapper.compression().unwrap();
    wrapper::open(wrapper, wrapper.magic().unwrap(), codec, 1 << 20).unwrap()
}

/// A batch of format 2 with a record for each value, without keys, made [`NOW`].
fn batch(base_offset: i64, compression: Compression, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchHeader {
        base_offset: Offset(base_offset),
        compression,
        ..BatchHeader::default()
    });
    for value in values {
        builder.push(&NewRecord { timestamp: NOW, value: Some(value.as_bytes()), ..NewRecord::default() });
    }
    builder.build()
}

#[test]
fn records_below_the_fetched_offset_are_left_out_of_a_batch_that_is_not_compressed() {
    let set = batch(10, Compression::None, &["a", "b", "c"]);
    let converted = downgrade(&set, Magic::V1, Offset(11), usize::MAX).unwrap();
    assert_eq!(offsets(&converted.messages), [11, 12]);
    let set = batch(10, Compression::Gzip, &["a", "b", "c"]);
    let converted = downgrade(&set, Magic::V1, Offset(11), usize::MAX).unwrap();
    let wrapper = messages(&converted.messages)[0];
    assert_eq!((wrapper.offset(), offsets(&inner_set(&wrapper))), (Offset(12), vec![0, 1, 2]));
}

#[test]
fn a_wrapper_of_format_0_has_absolute_offsets() {
    let converted = downgrade(&batch(10, Compression::Snappy, &["a", "b"]), Magic::V0, Offset(0), 1).unwrap();
    let wrapper = messages(&converted.messages)[0];
    assert_eq!((wrapper.offset(), offsets(&inner_set(&wrapper))), (Offset(11), vec![10, 11]));
}

#[test]
fn conversion_down_stops_at_the_limit_but_not_before_the_first_batch() {
    let batches = [batch(0, Compression::None, &["a", "b"]), batch(2, Compression::None, &["c"])];
    let both = batches.concat();
    let whole = downgrade(&both, Magic::V0, Offset(0), usize::MAX).unwrap();
    assert_eq!((whole.source_size_bytes, whole.next_offset), (both.len(), Offset(3)));
    let exact = downgrade(&both, Magic::V0, Offset(0), whole.messages.len()).unwrap();
    assert_eq!(exact, whole);
    for limit in [0, whole.messages.len() - 1] {
        let first = downgrade(&both, Magic::V0, Offset(0), limit).unwrap();
        assert_eq!((first.source_size_bytes, first.next_offset), (batches[0].len(), Offset(2)));
        assert!(whole.messages.starts_with(&first.messages));
        assert_eq!(offsets(&first.messages), [0, 1]);
    }
}

#[test]
fn skipped_batches_count_as_consumed() {
    let control = BatchBuilder::new(BatchHeader { control: true, ..BatchHeader::default() });
    let mut emptied = BatchBuilder::new(BatchHeader { base_offset: Offset(1), ..BatchHeader::default() });
    emptied.set_last_offset_delta(6);
    let mut control = control;
    control.push(&NewRecord { key: Some(b"\0\0\0\x01"), ..NewRecord::default() });
    let (control, emptied) = (control.build(), emptied.build());
    let batches = [control.as_slice(), &emptied].concat();
    let converted = downgrade(&batches, Magic::V1, Offset(0), 1).unwrap();
    let expected =
        Downgraded { messages: Vec::new(), source_size_bytes: batches.len(), next_offset: Offset(8) };
    assert_eq!(converted, expected);
}

#[test]
fn a_batch_cut_at_the_end_is_left_alone() {
    let whole = batch(0, Compression::None, &["a"]);
    for size in 0..whole.len() {
        let nothing = Downgraded { messages: Vec::new(), source_size_bytes: 0, next_offset: Offset(5) };
        assert_eq!(downgrade(&whole[..size], Magic::V1, Offset(5), 100), Ok(nothing));
        let followed = [&whole, &whole[..size]].concat();
        let converted = downgrade(&followed, Magic::V1, Offset(0), usize::MAX).unwrap();
        assert_eq!((converted.source_size_bytes, converted.next_offset), (whole.len(), Offset(1)));
    }
}

#[test]
fn what_cannot_be_converted_down_is_an_error_only_without_messages_before_it() {
    let good = batch(0, Compression::None, &["a"]);
    let zstd = batch(1, Compression::Zstd, &["b"]);
    let mut torn = batch(1, Compression::None, &["b"]);
    torn[60] = 9;
    let mut old = batch(1, Compression::None, &["b"]);
    old[16] = 1;
    let cases = [
        (zstd, DowngradeError::UnsupportedCompression),
        (torn, DowngradeError::Corrupt),
        (old, DowngradeError::Corrupt),
    ];
    for (bad, error) in cases {
        assert_eq!(downgrade(&bad, Magic::V1, Offset(0), usize::MAX), Err(error));
        let converted = downgrade(&[good.as_slice(), &bad].concat(), Magic::V1, Offset(0), usize::MAX);
        let converted = converted.unwrap();
        assert_eq!((offsets(&converted.messages), converted.next_offset), (vec![0], Offset(1)));
    }
}

#[test]
fn a_batch_that_decompresses_beyond_the_bound_is_not_converted() {
    let value = "v".repeat(1_000);
    let bomb = batch(0, Compression::Gzip, &[&value]);
    assert!(bomb.len() < 150);
    let convert =
        |most: fn(Batch<'_>) -> usize| downgrade_within(&bomb, Magic::V1, Offset(0), 1, most, &mut |_| true);
    assert_eq!(convert(|_| 1_000), Err(DowngradeError::TooLarge));
    assert!(convert(|_| 1_100).is_ok());
}

#[test]
fn a_batch_whose_messages_pass_the_bound_is_not_converted() {
    let tiny = batch(0, Compression::Gzip, &[""; 1_000]);
    let plain = batch(0, Compression::None, &[""; 1_000]);
    for batch in [tiny, plain] {
        // A record takes 8 bytes at most here, a message of format 1 takes 34.
        let convert = |most: fn(Batch<'_>) -> usize| {
            downgrade_within(&batch, Magic::V1, Offset(0), 1, most, &mut |_| true)
        };
        assert_eq!(convert(|_| 33_999), Err(DowngradeError::TooLarge));
        assert!(convert(|_| 34_000).is_ok());
    }
}

#[test]
fn conversion_down_stops_between_batches_when_it_is_told_to() {
    let value = "v".repeat(1_000);
    let both = [batch(0, Compression::Gzip, &[&value]), batch(1, Compression::None, &["a"])].concat();
    let mut unpacked = Vec::new();
    let mut goes_on = |size_bytes| {
        unpacked.push(size_bytes);
        false
    };
    let converted = super::downgrade(&both, Magic::V1, Offset(0), usize::MAX, &mut goes_on).unwrap();
    assert_eq!((offsets(&converted.messages), converted.next_offset), (vec![0], Offset(1)));
    assert!(unpacked.len() == 1 && unpacked[0] > 1_000, "{unpacked:?}");
}

#[test]
fn a_bit_that_has_changed_gets_no_new_checksum() {
    let mut flipped = batch(0, Compression::None, &["value"]);
    let at = flipped.len() - 2;
    flipped[at] ^= 1;
    assert_eq!(downgrade(&flipped, Magic::V1, Offset(0), 1), Err(DowngradeError::Corrupt));
}

#[test]
fn a_compressed_batch_without_a_record_that_is_left_to_see_is_skipped() {
    let mut compacted = BatchBuilder::new(BatchHeader {
        base_offset: Offset(10),
        compression: Compression::Gzip,
        ..BatchHeader::default()
    });
    compacted.push(&NewRecord { value: Some(b"a"), ..NewRecord::default() });
    compacted.set_last_offset_delta(5);
    let compacted = compacted.build();
    let skipped = downgrade(&compacted, Magic::V1, Offset(11), 1).unwrap();
    assert_eq!((skipped.messages.len(), skipped.next_offset), (0, Offset(16)));
    let followed = [compacted.as_slice(), &batch(16, Compression::None, &["b"])].concat();
    let converted = downgrade(&followed, Magic::V1, Offset(11), 1).unwrap();
    assert_eq!(offsets(&converted.messages), [16]);
}

#[test]
fn offsets_inside_a_compressed_batch_are_not_taken_on_trust() {
    // Lengths and attributes, then the deltas: of time, and of the offset, zigzag.
    let records = |deltas: [u8; 2]| deltas.map(|delta| [12, 0, 0, 2 * delta, 1, 1, 0]).concat();
    let with_deltas = |deltas, last_offset_delta: i32| {
        let mut sent = batch(0, Compression::None, &["a", "b"]);
        sent.truncate(61);
        sent.extend(compression::compress(Compression::Gzip, Level::DEFAULT, &records(deltas)));
        let length = sent.len() as i32 - 12;
        sent[8..12].copy_from_slice(&length.to_be_bytes());
        sent[22] = Compression::Gzip.id();
        sent[23..27].copy_from_slice(&last_offset_delta.to_be_bytes());
        BatchMut::split_first(&mut sent).unwrap().0.seal();
        downgrade(&sent, Magic::V0, Offset(0), 1)
            .map(|converted| offsets(&inner_set(&messages(&converted.messages)[0])))
    };
    for wrong in [[0, 0], [1, 0], [5, 9]] {
        assert_eq!(with_deltas(wrong, 1), Ok(vec![0, 1]), "{wrong:?}: the records are all there");
    }
    assert_eq!(with_deltas([2, 5], 7), Ok(vec![2, 5]));
    for wrong in [[2, 2], [2, 1], [2, 8]] {
        assert_eq!(with_deltas(wrong, 7), Err(DowngradeError::Corrupt), "{wrong:?}");
    }
}

#[test]
fn what_cannot_be_seen_is_skipped_up_to_what_can() {
    let marker = |offset| {
        let header = BatchHeader { control: true, base_offset: Offset(offset), ..BatchHeader::default() };
        let mut marker = BatchBuilder::new(header);
        marker.push(&NewRecord { key: Some(b"\0\0\0\x01"), ..NewRecord::default() });
        marker.build()
    };
    let markers = [marker(3), marker(4)].concat();
    let seen = [markers.as_slice(), &batch(5, Compression::None, &["a"])].concat();
    let skipped = Skipped { size_bytes: markers.len(), next_offset: Offset(5) };
    for batches in [&markers, &seen, &[&markers, &seen[markers.len()..][..20]].concat()] {
        assert_eq!(skip_unseen(batches, Offset(3)), skipped);
    }
    let mut torn = markers.clone();
    *torn.last_mut().unwrap() ^= 1;
    assert_eq!(skip_unseen(&torn, Offset(3)).next_offset, Offset(4));
    assert_eq!(skip_unseen(&seen[markers.len()..], Offset(5)).size_bytes, 0);
}

#[test]
fn format_0_gets_the_header_checksum_that_its_java_readers_expect() {
    let set = batch(0, Compression::Lz4, &["a"]);
    let value_of = |magic| {
        let converted = downgrade(&set, magic, Offset(0), 1).unwrap();
        messages(&converted.messages)[0].contents().unwrap().value.unwrap().to_vec()
    };
    // The bytes that Lz4BlockOutputStream of Kafka writes for blocks of 64 KiB.
    assert_eq!(value_of(Magic::V0)[..7], [4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x1a]);
    assert_eq!(value_of(Magic::V1)[..7], [4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
}

#[test]
fn any_header_checksum_is_read_in_format_0_and_only_the_right_one_in_format_1() {
    for (magic, is_read) in [(Magic::V0, true), (Magic::V1, false)] {
        let mut frame =
            compression::compress(Compression::Lz4, Level::DEFAULT, &message(magic, Some("k"), Some("v")));
        frame[6] ^= 1;
        let contents = Contents { key: None, value: Some(&frame) };
        let set = put(NewMessage { compression: Compression::Lz4, contents, ..empty_message(magic) });
        assert_eq!(upgrade(&set, &plain_rules()).is_ok(), is_read, "{magic:?}");
    }
}

#[test]
fn the_topic_decides_on_the_codec() {
    let set = wrapper(Magic::V1, Compression::Snappy, 0, &message(Magic::V1, None, Some("v")));
    for (asked, given) in [
        (None, Compression::Snappy),
        (Some(Compression::None), Compression::None),
        (Some(Compression::Zstd), Compression::Zstd),
    ] {
        let compression = asked.map(|codec| (codec, Level::DEFAULT));
        let converted = upgrade(&set, &UpgradeRules { compression, ..plain_rules() }).unwrap();
        assert_eq!(Batch::split_first(&converted).unwrap().0.compression(), Some(given));
    }
}
