//! ListOffsets v0: offsets at which segments begin, the newest first, as they were asked for before timestamps stood in
//! messages. By hand, because the codec crate has no such version.
//!
//! A segment is as old as its file. KIP-79 has replaced it (v1). Kafka 3.9: `KafkaApis.handleListOffsetRequestV0`,
//! `UnifiedLog.legacyFetchOffsetsBefore`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use bytes::BufMut;

use super::{CONSUMER, EARLIEST, LATEST};
use crate::handlers::context::RequestContext;
use crate::handlers::reply::{Handled, Output};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{Offset, PartitionIndex, Timestamp};
use crate::protocol::wire::{self, Malformed, Reader, text};

/// Offsets of one answer. Kafka has no limit; a request that names a partition of many segments again and again would
/// have it answer with many times its own size. Each list keeps its newest offset.
const MOST_OFFSETS: usize = 1_000_000;

/// A request; `frame` holds the names.
struct OldRequest {
    frame: Vec<u8>,
    replica_id: i32,
    topics: Vec<(Range<usize>, Vec<Wanted>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    partition: PartitionIndex,
    timestamp: i64,
    max_count: i32,
}

/// Segments of a partition, the oldest first, and the high watermark.
struct Segments {
    /// Where each begins, and when the one of it and those behind it was last written that has rested longest.
    starts: Vec<(Offset, Timestamp)>,
    high_watermark: Offset,
}

impl Segments {
    /// `times` is what `LogView::segment_times` gives.
    fn new(mut times: Vec<(Offset, Timestamp)>, high_watermark: Offset) -> Segments {
        let mut oldest = Timestamp(i64::MAX);
        for (_, modified) in times.iter_mut().rev() {
            oldest = oldest.min(*modified);
            *modified = oldest;
        }
        Segments { starts: times, high_watermark }
    }
}

/// Answers when the segments have been looked at, which is done off the worker. The body begins at `body_start` of
/// `frame`.
pub fn handle(context: &RequestContext, frame: &[u8], body_start: usize) -> Handled {
    match parse(frame, body_start) {
        Ok(request) => Handled::Wait(Box::pin(serve(context.clone(), request))),
        Err(_) => Handled::Close("a list of offsets that cannot be read"),
    }
}

async fn serve(context: RequestContext, request: OldRequest) -> Output {
    let mut known = HashMap::new();
    let mut all_wanted = request.topics.iter().flat_map(|(_, partitions)| partitions);
    let asks_for_times = all_wanted.any(|wanted| !matches!(wanted.timestamp, LATEST | EARLIEST));
    for (name, partitions) in &request.topics {
        for wanted in partitions {
            let key = (text(&request.frame, name.clone()), wanted.partition);
            if let Entry::Vacant(unknown) = known.entry(key) {
                unknown.insert(look(&context, key, asks_for_times).await);
            }
        }
    }
    let mut output = Output::default();
    let mut remaining = MOST_OFFSETS;
    context.respond(&mut output, |out| {
        wire::put_count(&mut out.bytes, false, request.topics.len());
        for (name, partitions) in &request.topics {
            let name = text(&request.frame, name.clone());
            wire::put_string(&mut out.bytes, false, Some(name));
            wire::put_count(&mut out.bytes, false, partitions.len());
            for wanted in partitions {
                let segments = known[&(name, wanted.partition)].as_ref().map_err(|code| *code);
                let most = remaining.max(1);
                let (code, offsets) = match find(segments, request.replica_id, *wanted, most) {
                    Ok(offsets) => (ErrorCode::None, offsets),
                    Err(code) => (code, Vec::new()),
                };
                if code != ErrorCode::None {
                    context.failed(code);
                }
                remaining = remaining.saturating_sub(offsets.len());
                out.bytes.put_i32(wanted.partition.0);
                out.bytes.put_i16(code.code());
                wire::put_count(&mut out.bytes, false, offsets.len());
                offsets.iter().for_each(|offset| out.bytes.put_i64(offset.0));
            }
        }
    });
    context.throttle(&mut output);
    output
}

async fn look(
    context: &RequestContext,
    (topic, partition): (&str, PartitionIndex),
    asks_for_times: bool,
) -> Result<Segments, ErrorCode> {
    let replica = context.services.leader_by_name(topic, partition)?;
    let now = context.services.clock.now();
    let looked = tokio::task::spawn_blocking(move || {
        let times = replica.segment_times(asks_for_times.then_some(now))?;
        Ok(Segments::new(times, replica.high_watermark()))
    });
    // The pool refuses work only while the broker stops.
    looked.await.map_err(|_| ErrorCode::NotLeaderOrFollower)?
}

fn parse(frame: &[u8], body_start: usize) -> Result<OldRequest, Malformed> {
    let mut reader = Reader::new(frame, body_start, false);
    let replica_id = reader.i32()?;
    let mut topics = Vec::new();
    for _ in 0..reader.array_count(6)? {
        let name = reader.string()?;
        let mut partitions = Vec::new();
        for _ in 0..reader.array_count(16)? {
            let partition = PartitionIndex(reader.i32()?);
            let (timestamp, max_count) = (reader.i64()?, reader.i32()?);
            partitions.push(Wanted { partition, timestamp, max_count });
        }
        topics.push((name, partitions));
    }
    Ok(OldRequest { frame: frame.to_vec(), replica_id, topics })
}

/// Offsets of segments from the newest on that was last written at the wanted time or before, the newest first.
fn find(
    segments: Result<&Segments, ErrorCode>,
    replica_id: i32,
    wanted: Wanted,
    most: usize,
) -> Result<Vec<Offset>, ErrorCode> {
    if wanted.timestamp < EARLIEST {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let Segments { starts, high_watermark } = segments?;
    let count = match wanted.timestamp {
        LATEST => starts.len(),
        EARLIEST => starts.len().min(1),
        timestamp => starts.partition_point(|(_, oldest)| oldest.0 <= timestamp),
    };
    // Kafka fails on a negative number.
    let max_count = usize::try_from(wanted.max_count).map_err(|_| ErrorCode::UnknownServerError)?;
    let newest_first = starts[..count].iter().rev().map(|(offset, _)| *offset);
    let mut offsets: Vec<Offset> = newest_first.take(max_count.min(most)).collect();
    // A consumer sees nothing beyond the high watermark.
    if replica_id == CONSUMER && offsets.first().is_some_and(|newest| newest > high_watermark) {
        let beyond = offsets.iter().take_while(|offset| *offset > high_watermark).count();
        offsets.splice(..beyond, [*high_watermark]);
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three segments, the last of which ends at 30, and a high watermark of 25.
    fn segments() -> Segments {
        let times = [(0, 100), (10, 200), (20, 300), (30, 400)];
        Segments::new(times.map(|(offset, time)| (Offset(offset), Timestamp(time))).to_vec(), Offset(25))
    }

    fn check(replica_id: i32, timestamp: i64, max_count: i32, expected: Result<&[i64], ErrorCode>) {
        let wanted = Wanted { partition: PartitionIndex(0), timestamp, max_count };
        let found = find(Ok(&segments()), replica_id, wanted, usize::MAX);
        let found = found.map(|offsets| offsets.iter().map(|offset| offset.0).collect::<Vec<_>>());
        assert_eq!(found.as_deref().map_err(|code| *code), expected, "{timestamp} {max_count}");
    }

    #[test]
    fn segments_are_told_newest_first() {
        const DEBUGGING: i32 = -2;
        check(DEBUGGING, LATEST, 10, Ok(&[30, 20, 10, 0]));
        check(DEBUGGING, LATEST, 2, Ok(&[30, 20]));
        check(DEBUGGING, EARLIEST, 10, Ok(&[0]));
        check(DEBUGGING, 299, 10, Ok(&[10, 0]));
        check(DEBUGGING, 300, 1, Ok(&[20]));
        check(DEBUGGING, 99, 10, Ok(&[]));
        check(DEBUGGING, LATEST, 0, Ok(&[]));
    }

    #[test]
    fn the_newest_segment_that_is_old_enough_counts_whatever_is_older() {
        let times = [(0, 500), (10, 100), (20, 300), (30, 200), (40, 400)];
        let segments =
            Segments::new(times.map(|(at, time)| (Offset(at), Timestamp(time))).to_vec(), Offset(40));
        for (timestamp, expected) in
            [(99, None), (100, Some(10)), (199, Some(10)), (250, Some(30)), (400, Some(40))]
        {
            let wanted = Wanted { partition: PartitionIndex(0), timestamp, max_count: 1 };
            let found = find(Ok(&segments), CONSUMER, wanted, usize::MAX).unwrap();
            assert_eq!(found.first().map(|offset| offset.0), expected, "{timestamp}");
        }
    }

    #[test]
    fn no_more_is_taken_than_there_is_room_for() {
        for (most, expected) in [(1, vec![25]), (3, vec![25, 20, 10])] {
            let wanted = Wanted { partition: PartitionIndex(0), timestamp: LATEST, max_count: i32::MAX };
            let found = find(Ok(&segments()), CONSUMER, wanted, most).unwrap();
            assert_eq!(found.iter().map(|offset| offset.0).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_consumer_sees_the_high_watermark_as_the_end() {
        check(CONSUMER, LATEST, 10, Ok(&[25, 20, 10, 0]));
        check(CONSUMER, LATEST, 1, Ok(&[25]));
        check(CONSUMER, 300, 10, Ok(&[20, 10, 0]));
    }

    #[test]
    fn times_and_counts_that_mean_nothing_are_refused() {
        check(CONSUMER, -3, 1, Err(ErrorCode::UnsupportedVersion));
        check(CONSUMER, LATEST, -1, Err(ErrorCode::UnknownServerError));
    }

    #[test]
    fn a_request_cut_anywhere_is_malformed() {
        let mut frame = Vec::new();
        frame.put_i32(-1);
        frame.put_i32(1);
        wire::put_string(&mut frame, false, Some("topic"));
        frame.put_i32(1);
        frame.put_i32(3);
        frame.put_i64(LATEST);
        frame.put_i32(7);
        for end in 0..frame.len() {
            assert!(parse(&frame[..end], 0).is_err(), "cut at {end}");
        }
        let request = parse(&frame, 0).unwrap();
        let wanted = Wanted { partition: PartitionIndex(3), timestamp: LATEST, max_count: 7 };
        assert_eq!(request.topics, [(10..15, vec![wanted])]);
    }
}
