//! Any bytes go in; no panic and no unbounded memory come out.

use super::*;
use crate::fuzz::memory::allocated_by;
use crate::fuzz::smoke;

const MOST_DECOMPRESSED: usize = 64 * 1024;
/// The windows and tables of a codec, both ways; an LZ4 frame may ask for blocks of 4 MiB.
const CODEC_MEMORY: usize = 32 << 20;

/// Everything here is a few copies of what came in or was decompressed, each in a vector that grows.
fn memory_bound(input: &[u8]) -> usize {
    CODEC_MEMORY + 32 * (input.len() + MOST_DECOMPRESSED)
}

/// Rules that look at everything, chosen by a number.
fn some_rules(choice: u8) -> UpgradeRules {
    let level = Level::DEFAULT;
    UpgradeRules {
        compression: Compression::from_id(choice & 7).map(|codec| (codec, level)),
        max_message_bytes: 1 << 20,
        most_decompressed_bytes: MOST_DECOMPRESSED,
        compacted: choice & 8 != 0,
        timestamp_type: match choice & 16 {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        },
        ..plain_rules()
    }
}

/// The set with the CRC of each message as it should be, so that more of it is looked at.
fn with_right_crcs(set: &[u8]) -> Vec<u8> {
    let mut set = set.to_vec();
    let mut start = 0;
    while let Ok(Some((_, behind))) = Message::split_first(&set[start..]) {
        let end = set.len() - behind.len();
        let crc = crc32fast::hash(&set[start + 16..end]);
        set[start + 12..start + 16].copy_from_slice(&crc.to_be_bytes());
        start = end;
    }
    set
}

/// The batches with the CRC of each as it should be.
fn sealed(batches: &[u8]) -> Vec<u8> {
    let mut batches = batches.to_vec();
    let mut rest = &mut batches[..];
    while let Ok((mut batch, behind)) = BatchMut::split_first(rest) {
        batch.seal();
        rest = behind;
    }
    batches
}

#[test]
fn any_bytes_are_converted_up_or_refused_within_a_memory_bound() {
    let corpus: Vec<Vec<u8>> = java::corpus("up")
        .into_iter()
        .enumerate()
        .map(|(index, set)| [&[index as u8], &set[..]].concat())
        .collect();
    smoke("message_set_up", &corpus, 20_000, |input| {
        let Some((choice, set)) = input.split_first() else { return };
        let rules = some_rules(*choice);
        for set in [set.to_vec(), with_right_crcs(set)] {
            let (result, allocated) = allocated_by(|| upgrade(&set, &rules));
            assert!(allocated <= memory_bound(&set), "{allocated} bytes for a set of {}", set.len());
            let Ok(converted) = result else { continue };
            if converted.is_empty() {
                continue;
            }
            let (batch, rest) = Batch::split_first(&converted).expect("one whole batch");
            assert!(rest.is_empty() && batch.crc_matches() && batch.base_offset() == Offset::ZERO);
            // What an old producer has sent reads the same when an old consumer fetches it.
            if set[16] < 2 && batch.compression() != Some(Compression::Zstd) {
                assert!(batch.record_count() > 0);
                let down = downgrade(&converted, Magic::V1, Offset::ZERO, 0).expect("our own batch");
                let rules = UpgradeRules {
                    compression: Some((batch.compression().expect("our own batch"), Level::DEFAULT)),
                    most_decompressed_bytes: 10 * MOST_DECOMPRESSED,
                    ..plain_rules()
                };
                assert_eq!(upgrade(&down.messages, &rules).as_ref(), Ok(&converted));
            }
        }
    });
}

#[test]
fn any_bytes_are_converted_down_or_refused_within_a_memory_bound() {
    let corpus: Vec<Vec<u8>> = java::corpus("down")
        .into_iter()
        .enumerate()
        .map(|(index, set)| [&[index as u8], &set[..]].concat())
        .collect();
    smoke("message_set_down", &corpus, 20_000, |input| {
        let Some((choice, batches)) = input.split_first() else { return };
        let to = if choice & 1 == 0 { Magic::V0 } else { Magic::V1 };
        let from = Offset(i64::from(choice >> 1 & 7));
        let limit = usize::from(choice >> 4) * 100;
        for batches in [batches.to_vec(), sealed(batches)] {
            let most_bytes = |_: Batch<'_>| MOST_DECOMPRESSED;
            let (result, allocated) =
                allocated_by(|| downgrade_within(&batches, to, from, limit, most_bytes, &mut |_| true));
            // Batches are converted one by one, and each may have a codec's memory for a time.
            let most = (1 + batches.len() / 61) * memory_bound(&batches);
            assert!(allocated <= most, "{allocated} bytes for batches of {}", batches.len());
            let Ok(converted) = result else { continue };
            assert!(converted.source_size_bytes <= batches.len());
            assert!(messages(&converted.messages).iter().all(|message| message.magic() == Some(to)));
            assert!(skip_unseen(&batches, from).size_bytes <= converted.source_size_bytes);
        }
    });
}
