//! The targets of the wire: what a stranger sends before anything of it is trusted.

use bytes::Bytes;

use super::memory::allocated_by;
use super::smoke;
use crate::protocol::batch::Batch;
use crate::protocol::shapes::codecs::Codec;
use crate::protocol::shapes::generator::{Size, all_versions, generate};
use crate::protocol::shapes::{
    Limits, MEMORY_PER_BYTE, MEMORY_PER_REQUEST, MEMORY_PER_TAG, check, check_header, is_flexible,
};

/// Valid bodies of each key, each behind a byte with its version.
fn request_corpus() -> Vec<(i16, Vec<Vec<u8>>)> {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut by_key: Vec<(i16, Vec<Vec<u8>>)> = Vec::new();
    for (api_key, version) in all_versions() {
        if by_key.last().is_none_or(|(key, _)| *key != api_key) {
            by_key.push((api_key, Vec::new()));
        }
        for elements in [0, 1, 2, 2, 4] {
            let mut input = vec![version as u8];
            input.extend(generate(api_key, version, Size { elements, unknown_tags: elements > 1 }, &mut rng));
            by_key.last_mut().expect("a key has been pushed").1.push(input);
        }
    }
    by_key
}

/// What the walker accepts decodes without an error, to where the walker says, within the stated memory. The
/// walker itself allocates nothing, whatever it is given.
fn walk_and_decode(api_key: i16, version: i16, body: &[u8]) {
    let (shape, allocated) = allocated_by(|| check(api_key, version, body, &Limits::default()));
    assert_eq!(allocated, 0, "the walker allocated");
    let Ok(shape) = shape else { return };
    let stated = MEMORY_PER_BYTE * shape.body_size_bytes
        + MEMORY_PER_TAG * shape.unknown_tag_count
        + MEMORY_PER_REQUEST;
    assert!(shape.decoded_size_bytes <= stated, "{} > {stated}", shape.decoded_size_bytes);

    let Some(decode) = Codec::decoder(api_key, version) else { return };
    let mut bytes = Bytes::copy_from_slice(body);
    let (decoded, allocated) = allocated_by(|| decode(&mut bytes, version));
    if let Err(error) = decoded {
        panic!("accepted, but key {api_key} v{version} does not decode: {error}");
    }
    assert_eq!(body.len() - bytes.len(), shape.body_size_bytes, "walker and decoder end at different bytes");
    assert!(
        allocated <= shape.decoded_size_bytes,
        "decoding allocated {allocated} bytes, the walker said {}",
        shape.decoded_size_bytes
    );
}

#[test]
fn requests() {
    for (api_key, corpus) in request_corpus() {
        smoke(&format!("request/{api_key}"), &corpus, 60_000, |input| {
            let Some((version, body)) = input.split_first() else { return };
            walk_and_decode(api_key, i16::from(*version), body);
        });
    }
}

#[test]
fn frames() {
    let mut corpus = Vec::new();
    for (api_key, bodies) in request_corpus() {
        for input in bodies {
            let version = i16::from(input[0]);
            let mut frame =
                [&api_key.to_be_bytes()[..], &version.to_be_bytes(), b"\0\0\0\x01\0\x02me"].concat();
            if is_flexible(api_key, version) {
                frame.push(0);
            }
            frame.extend_from_slice(&input[1..]);
            corpus.push(frame);
        }
    }
    smoke("frame", &corpus, 2_000_000, |frame| {
        let Some((key_and_version, _)) = frame.split_first_chunk::<4>() else { return };
        let api_key = i16::from_be_bytes([key_and_version[0], key_and_version[1]]);
        let version = i16::from_be_bytes([key_and_version[2], key_and_version[3]]);
        let (header, allocated) = allocated_by(|| check_header(is_flexible(api_key, version), frame));
        // Only a client id that is not UTF-8 is copied: three bytes for each bad one, while the copy doubles.
        assert!(allocated <= 16 * frame.len(), "the header allocated {allocated} bytes");
        let Ok(header) = header else { return };
        assert_eq!((header.api_key, header.api_version), (api_key, version));
        walk_and_decode(api_key, version, &frame[header.body_start..]);
    });
}

/// A batch of a few records, uncompressed, with a valid CRC.
fn sample_batch(record_count: i32) -> Vec<u8> {
    let records: Vec<u8> =
        (0..record_count as u8).flat_map(|delta| [16, 0, 0, 2 * delta, 1, 4, b'h', b'i', 0]).collect();
    let mut batch = Vec::new();
    batch.extend_from_slice(&0_i64.to_be_bytes());
    batch.extend_from_slice(&(49 + records.len() as i32).to_be_bytes());
    batch.extend_from_slice(&7_i32.to_be_bytes());
    batch.push(2);
    batch.extend_from_slice(&0_u32.to_be_bytes());
    batch.extend_from_slice(&0_i16.to_be_bytes());
    batch.extend_from_slice(&(record_count - 1).to_be_bytes());
    batch.extend_from_slice(&1_700_000_000_000_i64.to_be_bytes());
    batch.extend_from_slice(&1_700_000_000_000_i64.to_be_bytes());
    batch.extend_from_slice(&(-1_i64).to_be_bytes());
    batch.extend_from_slice(&(-1_i16).to_be_bytes());
    batch.extend_from_slice(&(-1_i32).to_be_bytes());
    batch.extend_from_slice(&record_count.to_be_bytes());
    batch.extend_from_slice(&records);
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

#[test]
fn batch_headers() {
    let corpus = [sample_batch(1), sample_batch(5), [sample_batch(2), sample_batch(3)].concat()];
    for batch in &corpus {
        assert!(Batch::split_first(batch).is_ok_and(|(batch, _)| batch.crc_matches()));
    }
    smoke("batch_header", &corpus, 1_000_000, |input| {
        let ((), allocated) = allocated_by(|| {
            let mut rest = input;
            while let Ok((batch, after)) = Batch::split_first(rest) {
                assert_eq!(batch.size() + after.len(), rest.len());
                std::hint::black_box((batch.compression(), batch.timestamp_type(), batch.crc_matches()));
                std::hint::black_box((batch.last_offset(), batch.next_offset(), batch.last_sequence()));
                std::hint::black_box((batch.first_timestamp(), batch.max_timestamp(), batch.records()));
                rest = after;
            }
        });
        assert_eq!(allocated, 0, "reading batches allocated");
    });
}

/// A count plus one as a varint of three bytes, as compact arrays begin.
fn compact_count(count: usize) -> [u8; 3] {
    let value = count + 1;
    [value as u8 | 0x80, (value >> 7) as u8 | 0x80, (value >> 14) as u8]
}

#[test]
fn the_densest_requests_keep_the_memory_bound() {
    const METADATA: i16 = 3;
    const LEAVE_GROUP: i16 = 13;
    const API_VERSIONS: i16 = 18;
    let members = [&b"\x02g"[..], &compact_count(50_000), &b"\x01\x00\x00".repeat(50_000), b"\0"].concat();
    assert!(check(LEAVE_GROUP, 4, &members, &Limits::default()).is_ok());
    walk_and_decode(LEAVE_GROUP, 4, &members);

    let tagged_topics = [&compact_count(9_000)[..], &b"\x01\x01\x05\0".repeat(9_000), b"\0\0\0\0"].concat();
    assert!(check(METADATA, 9, &tagged_topics, &Limits::default()).is_ok());
    walk_and_decode(METADATA, 9, &tagged_topics);

    let mut tags = [&b"\x01\x01"[..], &compact_count(9_999)].concat();
    (200..10_200_u16).for_each(|tag| tags.extend([tag as u8 | 0x80, (tag >> 7) as u8, 0]));
    assert!(check(API_VERSIONS, 3, &tags, &Limits::default()).is_ok());
    walk_and_decode(API_VERSIONS, 3, &tags);
}
