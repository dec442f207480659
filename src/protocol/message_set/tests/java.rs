//! The conversions against what Kafka 3.9.2's LogValidator and RecordsUtil made of the same bytes.

use super::*;

/// A line of `java-message-sets.txt`, which `MessageSets.java` has written.
struct Line<'a> {
    name: &'a str,
    fields: Vec<&'a str>,
}

impl Line<'_> {
    fn bytes(&self, index: usize) -> Vec<u8> {
        from_hex(self.fields[index])
    }

    fn number(&self, index: usize) -> i64 {
        self.fields[index].parse().unwrap()
    }

    fn result(&self) -> &str {
        self.fields.last().unwrap()
    }

    /// Whether Kafka refuses, by the name of its error.
    fn is_refused(&self) -> bool {
        self.result().bytes().any(|byte| byte.is_ascii_uppercase())
    }

    /// Of an `up` line.
    fn rules(&self) -> UpgradeRules {
        let compression = match self.fields[2] {
            "-" => None,
            id => Some((Compression::from_id(id.parse().unwrap()).unwrap(), Level::DEFAULT)),
        };
        UpgradeRules {
            compression,
            max_message_bytes: self.number(5) as usize,
            compacted: self.fields[1] == "true",
            timestamp_type: match self.fields[0] {
                "append" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: self.number(3),
            timestamp_after_max_ms: self.number(4),
            ..plain_rules()
        }
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let hex = if text == "-" { "" } else { text };
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn lines(kind: &str) -> Vec<Line<'static>> {
    let lines = include_str!("java-message-sets.txt").lines();
    let lines = lines.filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
    let lines: Vec<Line<'_>> = lines
        .map(|line| {
            let (name, fields) = line.split_once(' ').unwrap();
            Line { name, fields: fields.split(' ').collect() }
        })
        .collect();
    assert!(lines.len() > 50);
    lines
}

/// Inputs to begin from.
pub(super) fn corpus(kind: &str) -> Vec<Vec<u8>> {
    let set_of = |line: &Line<'_>| line.bytes(line.fields.len() - 2);
    lines(kind).iter().map(set_of).filter(|set| !set.is_empty()).collect()
}

/// The code of a refusal that Kafka has a name for; it calls a set UNKNOWN_SERVER_ERROR when a decoder of its
/// throws, which Klamm tells apart.
fn code(name: &str) -> Option<ErrorCode> {
    match name {
        "CORRUPT_MESSAGE" => Some(ErrorCode::CorruptMessage),
        "INVALID_RECORD" => Some(ErrorCode::InvalidRecord),
        "INVALID_TIMESTAMP" => Some(ErrorCode::InvalidTimestamp),
        "MESSAGE_TOO_LARGE" => Some(ErrorCode::MessageTooLarge),
        "UNKNOWN_SERVER_ERROR" => None,
        _ => panic!("{name}"),
    }
}

/// That two batches are the same, byte for byte where they are not compressed.
fn assert_same_batch(ours: &[u8], java: &[u8], name: &str) {
    if java.is_empty() || ours == java {
        assert_eq!(ours, java, "{name}");
        return;
    }
    let (ours, rest) = Batch::split_first(ours).unwrap();
    let (java, _) = Batch::split_first(java).unwrap();
    assert!(rest.is_empty() && ours.crc_matches(), "{name}");
    let codec = java.compression().unwrap();
    assert_ne!(codec, Compression::None, "{name}: {:02x?}\n{:02x?}", ours.bytes(), java.bytes());
    // Base offset, then all from the epoch to the count, but not the CRC.
    for range in [0..8, 12..17, 21..61] {
        assert_eq!(ours.bytes()[range.clone()], java.bytes()[range], "{name}");
    }
    let records = |batch: Batch<'_>| compression::decompress(codec, batch.records(), 1 << 20).unwrap();
    assert_eq!(records(ours), records(java), "{name}");
}

/// That two message sets are the same, byte for byte where they are not compressed. Kafka sends also the wrappers in
/// which there is nothing at or above `from`.
fn assert_same_set(ours: &[u8], java: &[u8], from: Offset, name: &str) {
    let (ours, mut java) = (messages(ours), messages(java));
    java.retain(|message| message.compression() == Some(Compression::None) || message.offset() >= from);
    assert_eq!(ours.len(), java.len(), "{name}");
    for (ours, java) in ours.iter().zip(&java) {
        let facts = |message: &Message<'_>| {
            let time = (message.timestamp_type(), message.timestamp());
            (message.offset(), message.magic(), message.compression(), time)
        };
        assert_eq!(facts(ours), facts(java), "{name}");
        if java.compression() == Some(Compression::None) {
            assert_eq!(ours.contents(), java.contents(), "{name}");
            assert!(ours.bytes() == java.bytes(), "{name}");
        } else {
            assert_eq!(inner_set(ours), inner_set(java), "{name}");
        }
    }
}

#[test]
fn message_sets_are_appended_as_kafka_appends_them() {
    for line in lines("up") {
        let ours = append(&line.bytes(6), &line.rules());
        match (ours, line.is_refused()) {
            (Ok(ours), false) => assert_same_batch(&ours, &line.bytes(7), line.name),
            (Err(ours), true) => match code(line.result()) {
                Some(java) => assert_eq!(ours, java, "{}", line.name),
                None => assert_ne!(ours, ErrorCode::UnknownServerError, "{}", line.name),
            },
            (ours, _) => panic!("{}: we {ours:02x?}, Kafka {}", line.name, line.result()),
        }
    }
}

#[test]
fn batches_are_fetched_as_kafka_converts_them() {
    for line in lines("down") {
        let to = Magic::from_id(line.number(0) as u8).unwrap();
        let (from, batches) = (Offset(line.number(1)), line.bytes(2));
        let ours = downgrade(&batches, to, from, usize::MAX);
        if !line.is_refused() {
            let ours = ours.unwrap_or_else(|error| panic!("{}: {error:?}", line.name));
            assert_eq!(ours.source_size_bytes, batches.len(), "{}", line.name);
            assert_same_set(&ours.messages, &line.bytes(3), from, line.name);
            continue;
        }
        // Kafka converts a chunk of batches as a whole or not at all; what precedes the zstd batch is ours.
        assert_eq!(line.result(), "UNSUPPORTED_COMPRESSION_TYPE", "{}", line.name);
        match ours {
            Ok(before) => assert!(before.source_size_bytes < batches.len(), "{}", line.name),
            Err(error) => assert_eq!(error, DowngradeError::UnsupportedCompression, "{}", line.name),
        }
    }
}
