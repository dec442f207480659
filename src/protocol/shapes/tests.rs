use bytes::Bytes;

use super::codecs::{CODECS, Codec};
use super::generator::{Size, all_versions, generate};
use super::*;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const METADATA: i16 = 3;
const JOIN_GROUP: i16 = 11;
const API_VERSIONS: i16 = 18;
const CONSUMER_GROUP_HEARTBEAT: i16 = 68;
const DESCRIBE_TOPIC_PARTITIONS: i16 = 75;

fn shape(api_key: i16, version: i16, body: &[u8]) -> Result<Shape, ShapeError> {
    check(api_key, version, body, &Limits::default())
}

fn error(api_key: i16, version: i16, body: &[u8]) -> ShapeError {
    shape(api_key, version, body).expect_err("the body is malformed")
}

#[test]
fn every_default_request_of_the_codec_crate_is_accepted() {
    for codec in CODECS {
        for version in codec.versions() {
            let body = (codec.encode_default)(version).unwrap();
            let shape = shape(codec.key, version, &body);
            assert_eq!(shape.map(|shape| shape.body_size_bytes), Ok(body.len()), "{} v{version}", codec.name);
        }
    }
}

#[test]
fn table_and_codec_crate_agree_on_every_field_of_every_version() {
    let mut rng = fastrand::Rng::with_seed(1);
    for (api_key, version) in all_versions() {
        for round in 0..60 {
            let size = Size { elements: round % 5, unknown_tags: round % 2 == 1 };
            let body = Bytes::from(generate(api_key, version, size, &mut rng));
            let accepted = shape(api_key, version, &body).unwrap_or_else(|error| {
                panic!("key {api_key} v{version}: {error}: {body:02x?}");
            });
            assert_eq!(accepted.body_size_bytes, body.len(), "key {api_key} v{version}");
            let Some(codec) = Codec::find(api_key, version) else { continue };
            let mut rest = body.clone();
            let recoded = (codec.recode)(&mut rest, version).unwrap_or_else(|error| {
                panic!("{} v{version} does not decode: {error}: {body:02x?}", codec.name);
            });
            assert!(rest.is_empty(), "{} v{version} leaves {} bytes", codec.name, rest.len());
            // What the codec crate writes of a populated request is accepted too, and stands for the same value.
            let accepted = shape(api_key, version, &recoded);
            assert_eq!(accepted.map(|shape| shape.body_size_bytes), Ok(recoded.len()), "{}", codec.name);
            assert_eq!((codec.recode)(&mut recoded.clone(), version).unwrap(), recoded, "{}", codec.name);
        }
    }
}

#[test]
fn a_body_cut_at_any_byte_is_refused() {
    let mut rng = fastrand::Rng::with_seed(2);
    for (api_key, version) in all_versions() {
        let body = generate(api_key, version, Size { elements: 3, unknown_tags: true }, &mut rng);
        for size in 0..body.len() {
            assert!(
                shape(api_key, version, &body[..size]).is_err(),
                "key {api_key} v{version} cut at {size}"
            );
        }
    }
}

#[test]
fn bytes_after_the_body_are_ignored_as_kafka_does() {
    let accepted = shape(METADATA, 0, b"\0\0\0\0junk").unwrap();
    assert_eq!(accepted.body_size_bytes, 4);
}

#[test]
fn versions_and_keys_outside_the_definitions_are_unknown() {
    assert_eq!(error(999, 0, b""), ShapeError::UnknownKey(999));
    assert_eq!(error(-1, 0, b""), ShapeError::UnknownKey(-1));
    // SaslHandshake, which both releases have alike, and LeaderAndIsr, which only the older one has.
    assert_eq!(error(17, 2, b""), ShapeError::UnknownVersion { api_key: 17, version: 2 });
    assert_eq!(error(4, 8, b""), ShapeError::UnknownVersion { api_key: 4, version: 8 });
    for version in [-1, 14, 255, 256 + 3, i16::MAX, i16::MIN] {
        assert_eq!(
            error(PRODUCE, version, b"\0\0\0\0\0\0\0\0\0\0\0\0"),
            ShapeError::UnknownVersion { api_key: PRODUCE, version }
        );
    }
}

#[test]
fn eighteen_bytes_do_not_make_a_huge_array() {
    // A Metadata v9 frame: key, version, correlation id, client id, tags; then a compact count of 2^32-1.
    let frame = b"\0\x03\0\x09\0\0\0\x01\0\x02me\0\xff\xff\xff\xff\x0f";
    let header = check_header(true, frame).unwrap();
    assert_eq!(error(METADATA, 9, &frame[header.body_start..]), ShapeError::Truncated);
}

#[test]
fn counts_and_lengths_that_lie_are_refused() {
    assert_eq!(error(METADATA, 0, b"\0\0\0\x02\0\0"), ShapeError::Truncated);
    assert_eq!(error(METADATA, 0, b"\x7f\xff\xff\xff\0\0\0\0"), ShapeError::Truncated);
    assert_eq!(error(METADATA, 0, b"\xff\xff\xff\xff"), ShapeError::UnexpectedNull);
    assert_eq!(error(METADATA, 1, b"\xff\xff\xff\xfe"), ShapeError::NegativeLength(-2));
    assert!(shape(METADATA, 1, b"\xff\xff\xff\xff").is_ok());
    assert_eq!(error(METADATA, 0, b"\0\0\0\x01\0\x03ab"), ShapeError::Truncated);
    assert_eq!(error(METADATA, 0, b"\0\0\0\x01\xff\xff"), ShapeError::UnexpectedNull);
    assert_eq!(error(METADATA, 0, b"\0\0\0\x01\x80\0"), ShapeError::NegativeLength(-32768));
    assert_eq!(error(METADATA, 0, b"\0\0\0\x01\0\x01\xff"), ShapeError::BadUtf8);
    // JoinGroup v0: group, session timeout, member, protocol type, one protocol whose metadata is too long.
    let protocol = b"\0\x01g\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01r\x7f\0\0\0";
    assert_eq!(error(JOIN_GROUP, 0, protocol), ShapeError::Truncated);
}

#[test]
fn compact_strings_are_not_longer_than_old_ones() {
    let mut body = vec![0x81, 0x80, 0x02];
    body.extend(std::iter::repeat_n(b'a', 32768));
    body.extend_from_slice(b"\x02x\0");
    assert_eq!(error(API_VERSIONS, 3, &body), ShapeError::LongString(32768));
}

#[test]
fn varints_have_five_bytes_and_32_bits() {
    assert_eq!(error(METADATA, 9, b"\x80\x80\x80\x80\x80\x01"), ShapeError::BadVarint);
    assert_eq!(error(METADATA, 9, b"\x80\x80\x80\x80\x10"), ShapeError::BadVarint);
    assert_eq!(error(METADATA, 9, b"\x80\x80"), ShapeError::Truncated);
    // Zero in five bytes is wasteful, not wrong: a null array, three booleans, no tags.
    assert!(shape(METADATA, 9, b"\x80\x80\x80\x80\0\0\0\0\0").is_ok());
}

#[test]
fn tags_ascend_and_fit_their_size() {
    let tagged = |tags: &[u8]| shape(API_VERSIONS, 3, &[b"\x02n\x02v", tags].concat());
    assert_eq!(tagged(b"\x02\x05\x01a\x06\0").map(|shape| shape.unknown_tag_count), Ok(2));
    assert_eq!(tagged(b"\x02\x06\0\x05\0"), Err(ShapeError::BadTag(5)));
    assert_eq!(tagged(b"\x02\x05\0\x05\0"), Err(ShapeError::BadTag(5)));
    assert_eq!(tagged(b"\x01\x80\x80\x80\x80\x08\0"), Err(ShapeError::BadTag(1 << 31)));
    assert!(tagged(b"\x01\xff\xff\xff\xff\x07\0").is_ok());
    assert_eq!(tagged(b"\x01\x05\x02a"), Err(ShapeError::Truncated));
    assert_eq!(tagged(b"\xff\xff\xff\xff\x0f"), Err(ShapeError::Truncated));

    // Fetch v12: replica, wait, min, max, isolation, session, epoch, topics, forgotten, rack; then tag 0, the cluster id.
    let fetch = |tags: &[u8]| shape(FETCH, 12, &[&[0; 25][..], b"\x01\x01\x01", tags].concat());
    assert!(fetch(b"\x01\0\x03\x03id").is_ok());
    assert!(fetch(b"\x01\0\x01\0").is_ok());
    assert_eq!(fetch(b"\x01\0\x04\x03id!"), Err(ShapeError::BadTagSize(0)));
    assert_eq!(fetch(b"\x01\0\x02\x03id"), Err(ShapeError::Truncated));
    assert_eq!(fetch(b"\x01\x01\0"), Err(ShapeError::TagNotInVersion(1)));
}

#[test]
fn optional_structs_are_announced_by_minus_one_or_one() {
    let cursor = |bytes: &[u8]| shape(DESCRIBE_TOPIC_PARTITIONS, 0, &[b"\x01\0\0\0\x01", bytes].concat());
    assert!(cursor(b"\xff\0").is_ok());
    assert!(cursor(b"\x01\x02t\0\0\0\0\0\0").is_ok());
    assert_eq!(cursor(b"\x02\x02t\0\0\0\0\0\0"), Err(ShapeError::BadPresence(2)));
    assert_eq!(cursor(b"\0\x02t\0\0\0\0\0\0"), Err(ShapeError::BadPresence(0)));
}

#[test]
fn elements_and_unknown_tags_have_limits_over_the_whole_request() {
    let limits = Limits { element_count: 3, unknown_tag_count: 1 };
    let topics = |count: u8| [&[0, 0, 0, count][..], &vec![0; 2 * usize::from(count)]].concat();
    assert!(check(METADATA, 0, &topics(3), &limits).is_ok());
    assert_eq!(check(METADATA, 0, &topics(4), &limits), Err(ShapeError::TooManyElements));
    assert!(check(API_VERSIONS, 3, b"\x02n\x02v\x01\x05\0", &limits).is_ok());
    assert_eq!(check(API_VERSIONS, 3, b"\x02n\x02v\x02\x05\0\x06\0", &limits), Err(ShapeError::TooManyTags));

    let many = [&1_000_001_u32.to_be_bytes()[..], &vec![0; 2_000_002]].concat();
    assert_eq!(error(METADATA, 0, &many), ShapeError::TooManyElements);
}

#[test]
fn header_versions_follow_the_definitions() {
    assert!(is_flexible(PRODUCE, 9) && !is_flexible(PRODUCE, 8) && !is_flexible(999, 9));
    assert_eq!((request_header_version(METADATA, 8), request_header_version(METADATA, 9)), (1, 2));
    assert_eq!((response_header_version(METADATA, 8), response_header_version(METADATA, 9)), (0, 1));
    assert_eq!((request_header_version(API_VERSIONS, 99), response_header_version(API_VERSIONS, 99)), (2, 0));
    assert_eq!(request_header_version(CONSUMER_GROUP_HEARTBEAT, 0), 2);
    // WriteTxnMarkers v0 is older than the newest release; LeaderAndIsr only the older one has.
    assert_eq!((request_header_version(27, 0), response_header_version(27, 0)), (1, 0));
    assert_eq!((request_header_version(4, 3), request_header_version(4, 4)), (1, 2));
    assert_eq!((request_header_version(7, 0), request_header_version(7, 1)), (0, 1));
    // SaslHandshake has no flexible version at all.
    assert_eq!(request_header_version(17, i16::MAX), 1);
}

#[test]
fn headers_are_read_from_any_bytes() {
    let frame = b"\0\x12\0\x03\0\0\0\x07\0\x02me\x01\x05\x01xbody";
    let header = check_header(true, frame).unwrap();
    assert_eq!((header.api_key, header.api_version, header.correlation_id), (18, 3, 7));
    assert_eq!((header.client_id.as_deref(), &frame[header.body_start..]), (Some("me"), &b"body"[..]));
    for size in 0..header.body_start {
        assert!(check_header(true, &frame[..size]).is_err(), "cut at {size}");
    }
    let null = check_header(false, b"\0\x12\0\0\0\0\0\x07\xff\xff").unwrap();
    assert_eq!((null.client_id, null.body_start), (None, 10));
    assert_eq!(check_header(false, b"\0\x12\0\0\0\0\0\x07\xff\xfe"), Err(ShapeError::NegativeLength(-2)));
    let latin = check_header(false, b"\0\x12\0\0\0\0\0\x07\0\x01\xe9").unwrap();
    assert_eq!(latin.client_id.as_deref(), Some("\u{fffd}"));
}

#[test]
fn versions_that_kafka_4_dropped_are_of_the_older_release() {
    let requests = |rows: &'static [super::schema::RequestSchema]| rows.iter().map(|request| request.key);
    let newest: Vec<i16> = requests(&super::table::REQUESTS).collect();
    let only_old: Vec<i16> =
        requests(&super::table::OLD_REQUESTS).filter(|key| !newest.contains(key)).collect();
    assert_eq!(only_old, [4, 5, 6, 7], "messages of clusters with ZooKeeper");
    // ListOffsets: replica, one topic, one partition with a time and, in v0 only, a count of offsets.
    let list_offsets = b"\xff\xff\xff\xff\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
    assert!(shape(2, 1, list_offsets).is_ok());
    assert_eq!(error(2, 0, list_offsets), ShapeError::Truncated);
    assert!(shape(2, 0, &[list_offsets, &b"\0\0\0\x01"[..]].concat()).is_ok());
}

#[test]
fn each_version_is_in_one_table() {
    let versions = all_versions();
    let distinct: std::collections::BTreeSet<_> = versions.iter().copied().collect();
    assert_eq!(versions.len(), distinct.len());
}

#[test]
fn the_bounds_of_the_table_keep_the_promise() {
    let requests = || super::table::REQUESTS.iter().chain(&super::table::OLD_REQUESTS);
    for (index, schema) in super::table::STRUCTS.iter().enumerate() {
        let memory = usize::from(schema.memory_size_bytes);
        let is_body = requests().any(|request| usize::from(request.body) == index);
        let bound =
            if is_body { MEMORY_PER_REQUEST } else { MEMORY_PER_BYTE * usize::from(schema.least_size_bytes) };
        assert!(memory <= bound, "struct {index}: {schema:?}");
    }
}
