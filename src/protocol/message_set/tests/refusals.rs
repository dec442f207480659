//! A case for each reason to refuse what an old producer sends; `java.rs` has the same from Kafka's side.

use super::*;

const BOTH: [Magic; 2] = [Magic::V0, Magic::V1];

fn refusal(set: &[u8], rules: &UpgradeRules) -> ErrorCode {
    upgrade(set, rules).expect_err("the set is refused").error.code
}

fn gzip(magic: Magic, inner: &[u8]) -> Vec<u8> {
    wrapper(magic, Compression::Gzip, 9, inner)
}

/// With a byte changed that only the CRC can tell: the last of the value.
fn corrupted(mut message: Vec<u8>) -> Vec<u8> {
    *message.last_mut().unwrap() ^= 1;
    message
}

#[test]
fn a_message_whose_crc_does_not_match_is_corrupt() {
    for magic in BOTH {
        let good = message(magic, Some("k"), Some("v"));
        let bad = corrupted(good.clone());
        for set in [bad.clone(), [good.clone(), bad.clone()].concat(), gzip(magic, &bad)] {
            assert_eq!(refusal(&set, &plain_rules()), ErrorCode::CorruptMessage);
        }
        assert_eq!(refusal(&corrupted(gzip(magic, &good)), &plain_rules()), ErrorCode::CorruptMessage);
    }
}

#[test]
fn a_size_below_the_least_and_an_unknown_magic_are_corrupt() {
    for magic in BOTH {
        let good = message(magic, Some("k"), Some("v"));
        let zeroes_behind = [good.as_slice(), &[0; 12]].concat();
        assert_eq!(refusal(&zeroes_behind, &plain_rules()), ErrorCode::CorruptMessage);
        assert_eq!(refusal(&gzip(magic, &zeroes_behind), &plain_rules()), ErrorCode::CorruptMessage);
        let mut no_magic = good;
        no_magic[16] = 3;
        assert_eq!(refusal(&no_magic, &plain_rules()), ErrorCode::CorruptMessage);
    }
}

#[test]
fn a_wrapper_is_alone() {
    for magic in BOTH {
        let plain = message(magic, Some("k"), Some("v"));
        let wrapped = gzip(magic, &plain);
        for pair in [[&wrapped, &wrapped], [&wrapped, &plain], [&plain, &wrapped]] {
            let set = pair.map(Vec::as_slice).concat();
            assert_eq!(refusal(&set, &plain_rules()), ErrorCode::InvalidRecord);
        }
    }
}

#[test]
fn formats_are_not_mixed() {
    let sets = BOTH.map(|magic| message(magic, Some("k"), Some("v")));
    let batch = batch(0, Compression::None, &["v"]);
    for pair in [[&sets[0], &sets[1]], [&sets[1], &sets[0]], [&sets[1], &batch], [&batch, &sets[1]]] {
        assert_eq!(refusal(&pair.map(Vec::as_slice).concat(), &plain_rules()), ErrorCode::InvalidRecord);
    }
    let inner = gzip(Magic::V1, &sets.concat());
    assert_eq!(refusal(&inner, &plain_rules()), ErrorCode::InvalidRecord);
}

#[test]
fn a_wrapper_holds_inner_messages_that_are_not_wrappers() {
    for magic in BOTH {
        let plain = message(magic, Some("k"), Some("v"));
        let no_value = put(NewMessage { compression: Compression::Gzip, ..empty_message(magic) });
        let contents = Contents { key: None, value: Some(b"no gzip") };
        let no_gzip = put(NewMessage { compression: Compression::Gzip, contents, ..empty_message(magic) });
        let cut_inside = gzip(magic, &plain[..plain.len() - 1]);
        for set in [no_value, no_gzip, cut_inside, gzip(magic, &[]), gzip(magic, &gzip(magic, &plain))] {
            assert_eq!(refusal(&set, &plain_rules()), ErrorCode::InvalidRecord);
        }
    }
}

#[test]
fn zstd_does_not_wrap_messages_of_old_formats() {
    for magic in BOTH {
        let set = wrapper(magic, Compression::Zstd, 0, &message(magic, Some("k"), Some("v")));
        assert_eq!(refusal(&set, &plain_rules()), ErrorCode::InvalidRecord);
    }
}

#[test]
fn a_codec_that_does_not_exist_is_not_supported() {
    for magic in BOTH {
        let mut set = message(magic, Some("k"), Some("v"));
        set[17] = 5;
        let crc = crc32fast::hash(&set[16..]);
        set[12..16].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(refusal(&set, &plain_rules()), ErrorCode::UnsupportedCompressionType);
    }
}

#[test]
fn a_wrapper_offset_below_that_of_the_last_inner_message_is_invalid_unless_it_is_0() {
    let inner = put(NewMessage { offset: Offset(3), ..empty_message(Magic::V1) });
    let outcome = |offset| {
        let result = upgrade(&wrapper(Magic::V1, Compression::Gzip, offset, &inner), &plain_rules());
        result.err().map(|refused| refused.error.code)
    };
    assert_eq!(outcome(2), Some(ErrorCode::InvalidRecord));
    assert_eq!(outcome(-1), Some(ErrorCode::InvalidRecord));
    assert_eq!((outcome(0), outcome(3), outcome(1_000)), (None, None, None));
}

#[test]
fn a_message_larger_than_the_topic_allows_is_too_large() {
    for magic in BOTH {
        let set = message(magic, Some("k"), Some("v"));
        let rules = |max_message_bytes| UpgradeRules { max_message_bytes, ..plain_rules() };
        assert_eq!(refusal(&set, &rules(set.len() - 1)), ErrorCode::MessageTooLarge);
        let batch_size = upgrade(&set, &plain_rules()).unwrap().len();
        assert!(batch_size > set.len());
        assert_eq!(refusal(&set, &rules(batch_size - 1)), ErrorCode::MessageTooLarge);
        assert!(append(&set, &rules(batch_size)).is_ok());
        // The limit is of each message, not of the set.
        let many = set.repeat(10);
        let batch_size = upgrade(&many, &plain_rules()).unwrap().len();
        assert!(batch_size < many.len());
        assert!(append(&many, &rules(batch_size)).is_ok());
    }
}

#[test]
fn a_batch_larger_than_the_topic_allows_is_refused_when_all_else_is_in_order() {
    for magic in BOTH {
        let many = message(magic, None, Some(&"v".repeat(1_000))).repeat(100);
        let early = put(NewMessage { timestamp: Timestamp(1), ..empty_message(Magic::V1) });
        for compression in [None, Some((Compression::None, Level::DEFAULT))] {
            let rules = UpgradeRules { compression, max_message_bytes: 5_000, ..plain_rules() };
            let outcome = upgrade(&gzip(magic, &many), &rules).map_err(|refused| refused.error.code);
            match compression {
                None => assert!(outcome.is_ok_and(|batch| batch.len() < 5_000)),
                Some(_) => assert_eq!(outcome, Err(ErrorCode::MessageTooLarge)),
            }
            let broken = [many.clone(), corrupted(message(magic, None, Some("v")))].concat();
            assert_eq!(refusal(&gzip(magic, &broken), &rules), ErrorCode::CorruptMessage);
        }
        if magic == Magic::V1 {
            let rules = UpgradeRules {
                compression: Some((Compression::None, Level::DEFAULT)),
                max_message_bytes: 5_000,
                timestamp_before_max_ms: 1_000,
                ..plain_rules()
            };
            let untimely = gzip(magic, &[many, early].concat());
            assert_eq!(refusal(&untimely, &rules), ErrorCode::InvalidTimestamp);
        }
    }
}

#[test]
fn what_all_sets_of_a_request_decompress_to_is_bounded() {
    use crate::protocol::message_set::upgrade;
    for magic in BOTH {
        let inner = message(magic, None, Some(&"v".repeat(1_000)));
        let (wrapped, plain) = (gzip(magic, &inner), message(magic, None, Some("v")));
        let mut left_bytes = inner.len() + 1;
        assert!(upgrade(&wrapped, &plain_rules(), &mut left_bytes).is_ok());
        assert_eq!(left_bytes, 1);
        assert!(upgrade(&wrapped, &plain_rules(), &mut left_bytes).is_ok(), "it uses up what is left");
        let refused =
            upgrade(&wrapped, &plain_rules(), &mut left_bytes).map_err(|refused| refused.error.code);
        assert_eq!(refused, Err(ErrorCode::MessageTooLarge));
        assert!(upgrade(&plain, &plain_rules(), &mut left_bytes).is_ok(), "nothing is to be decompressed");

        // What is refused half way counts too.
        let mut left_bytes = 500;
        let rules = UpgradeRules { most_decompressed_bytes: 500, ..plain_rules() };
        assert!(upgrade(&wrapped, &rules, &mut left_bytes).is_err());
        assert_eq!(left_bytes, 0);
    }
}

#[test]
fn a_wrapper_that_decompresses_beyond_the_bound_is_refused() {
    for magic in BOTH {
        let set = gzip(magic, &message(magic, None, Some(&"v".repeat(1_000))));
        let rules = |most_decompressed_bytes| UpgradeRules { most_decompressed_bytes, ..plain_rules() };
        assert_eq!(refusal(&set, &rules(1_000)), ErrorCode::InvalidRecord);
        assert!(upgrade(&set, &rules(1_100)).is_ok());
    }
}

#[test]
fn a_compacted_topic_wants_keys() {
    for magic in BOTH {
        let rules = UpgradeRules { compacted: true, ..plain_rules() };
        let no_key = message(magic, None, Some("v"));
        assert_eq!(refusal(&no_key, &rules), ErrorCode::InvalidRecord);
        assert_eq!(refusal(&gzip(magic, &no_key), &rules), ErrorCode::InvalidRecord);
        assert!(upgrade(&gzip(magic, &message(magic, Some(""), None)), &rules).is_ok());
    }
}

#[test]
fn times_out_of_bounds_and_below_none_are_invalid() {
    let at = |timestamp| put(NewMessage { timestamp: Timestamp(timestamp), ..empty_message(Magic::V1) });
    let rules = UpgradeRules { timestamp_before_max_ms: 100, timestamp_after_max_ms: 10, ..plain_rules() };
    for bad in [NOW.0 - 101, NOW.0 + 11, -2] {
        assert_eq!(refusal(&at(bad), &rules), ErrorCode::InvalidTimestamp);
        assert_eq!(refusal(&gzip(Magic::V1, &at(bad)), &rules), ErrorCode::InvalidTimestamp);
    }
    for good in [NOW.0 - 100, NOW.0 + 10, -1] {
        assert!(upgrade(&gzip(Magic::V1, &at(good)), &rules).is_ok());
    }
    assert_eq!(refusal(&at(-2), &plain_rules()), ErrorCode::InvalidTimestamp);
    // A time below none is told last of all.
    let compacted = UpgradeRules { compacted: true, ..plain_rules() };
    let contents = Contents { key: Some(b"k"), value: None };
    let negative = NewMessage { timestamp: Timestamp(-2), contents, ..empty_message(Magic::V1) };
    let set = [put(negative), at(NOW.0)].concat();
    assert_eq!(refusal(&gzip(Magic::V1, &set), &compacted), ErrorCode::InvalidRecord);
}

#[test]
fn a_producer_does_not_say_log_append_time() {
    let timestamp_type = TimestampType::LogAppendTime;
    let stamped = put(NewMessage { timestamp_type, ..empty_message(Magic::V1) });
    let rules = UpgradeRules { timestamp_type, ..plain_rules() };
    assert_eq!(refusal(&stamped, &rules), ErrorCode::InvalidTimestamp);
    // Kafka looks only where the topic's own clock counts, or where the message has no time.
    assert!(upgrade(&stamped, &plain_rules()).is_ok());
    let no_time = put(NewMessage { timestamp_type, timestamp: Timestamp::NONE, ..empty_message(Magic::V1) });
    assert_eq!(refusal(&no_time, &plain_rules()), ErrorCode::InvalidTimestamp);
}

#[test]
fn the_wrong_time_is_told_before_the_missing_key_of_the_same_wrapper() {
    let no_key = message(Magic::V1, None, Some("v"));
    let contents = Contents { key: Some(b"k"), value: None };
    let future = put(NewMessage { timestamp: Timestamp(NOW.0 + 1), contents, ..empty_message(Magic::V1) });
    let set = [no_key, future].concat();
    let rules = UpgradeRules { compacted: true, timestamp_after_max_ms: 0, ..plain_rules() };
    assert_eq!(refusal(&gzip(Magic::V1, &set), &rules), ErrorCode::InvalidTimestamp);
    // Without a wrapper each message is judged by itself.
    assert_eq!(refusal(&set, &rules), ErrorCode::InvalidRecord);
}

#[test]
fn a_key_that_passes_the_end_of_its_message_is_invalid() {
    for (magic, key_size_at) in [(Magic::V0, 18), (Magic::V1, 26)] {
        let mut set = message(magic, Some("k"), Some("v"));
        set[key_size_at + 3] = 99;
        let crc = crc32fast::hash(&set[16..]);
        set[12..16].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(refusal(&set, &plain_rules()), ErrorCode::InvalidRecord);
    }
}

#[test]
fn one_batch_of_format_2_comes_back_as_it_is_and_two_do_not() {
    let one = batch(0, Compression::Zstd, &["a"]);
    assert_eq!(upgrade(&one, &plain_rules()), Ok(one.clone()));
    assert_eq!(upgrade(&[one.as_slice(), &one[..40]].concat(), &plain_rules()), Ok(one.clone()));
    assert_eq!(refusal(&one.repeat(2), &plain_rules()), ErrorCode::InvalidRecord);
    assert_eq!(refusal(&batch(1, Compression::None, &["a"]), &plain_rules()), ErrorCode::InvalidRecord);
    let short = [&1_i64.to_be_bytes()[..], &[0, 0, 0, 14, 0, 0, 0, 0, 2], &[0; 9]].concat();
    assert_eq!(refusal(&short, &plain_rules()), ErrorCode::InvalidRecord);
    assert_eq!(refusal(&[&[0; 8][..], &short[8..]].concat(), &plain_rules()), ErrorCode::CorruptMessage);
    let small = UpgradeRules { max_message_bytes: one.len() - 1, ..plain_rules() };
    assert_eq!(refusal(&one, &small), ErrorCode::MessageTooLarge);
    let mut bad = one;
    bad[20] ^= 1;
    assert_eq!(refusal(&bad, &plain_rules()), ErrorCode::CorruptMessage);
}

#[test]
fn a_set_without_a_whole_message_is_no_error() {
    let whole = message(Magic::V1, Some("k"), Some("v"));
    for size in 0..whole.len() {
        assert_eq!(upgrade(&whole[..size], &plain_rules()), Ok(Vec::new()));
    }
}
