//! Fetch v0-3: records for consumers that know no record batches, read into memory and converted down.
//!
//! There are no sessions and no isolation in these versions. The main line is that of all fetches: look at each
//! partition once, answer, or wait until enough has come in. Differences: below v3 nothing is answered beyond a
//! partition's limit; and where there is nothing but what such a consumer cannot see (control batches), the search goes
//! on behind it, while Kafka answers with the beginning of a message, which some consumers take for one that is too large.
//!
//! The size of the batches counts for the limits, as in Kafka; what they are converted to may be larger in the first
//! batch of a partition. Kafka 3.9: `KafkaApis.handleFetchRequest`, `LazyDownConversionRecords`.

use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut;

use super::PARTITION_SIZE_BYTES;
use super::look::find_replica;
use super::refusals::{refuse_zstd, told};
use super::session::FetchSession;
use crate::env::fs::FileRegion;
use crate::handlers::context::RequestContext;
use crate::handlers::conversions::Turn;
use crate::handlers::reply::{Handled, Output};
use crate::protocol::batch::Batch;
use crate::protocol::errors::ErrorCode;
use crate::protocol::fetch::{self, FetchRequest, IsolationLevel, PartitionAnswer, ResponseWriter, TopicKey};
use crate::protocol::ids::{BrokerId, Offset};
use crate::protocol::message_set::{self, DowngradeError, Magic, downgrade};
use crate::replication::replica::Replica;
use crate::replication::subscription::Slot;

/// Bytes of records that one answer is made of. All of it stands in memory, where Kafka converts piece by piece while it
/// sends.
const MOST_ANSWER_BYTES: usize = 16 << 20;

/// Bytes of log that are read at a time in search of something to see.
const SKIPPED_AT_A_TIME: usize = 256 * 1024;

/// What a topic takes in an answer besides its partitions: a name has 249 characters at most.
const TOPIC_SIZE_BYTES: usize = 256;

/// Answers larger than this are put together off the worker.
const LARGE_ANSWER_BYTES: usize = 64 * 1024;

/// KIP-74: the first batch of the answer comes whole, whatever the limits.
const ALWAYS_A_BATCH_SINCE: i16 = 3;

/// A fetch in flight.
struct OldFetch {
    session: FetchSession,
    /// In the order of the request.
    slots: Vec<Slot>,
    is_follower: bool,
    max_bytes: usize,
    /// The first batch of an answer may have more, if its partition's limit says so.
    first_max_bytes: usize,
    min_bytes: usize,
    max_wait: Duration,
}

/// What a look found in one partition.
struct Found {
    slot: Slot,
    answer: PartitionAnswer,
    records: Option<Source>,
    /// There are records, but not even the first batch fits the partition's limit. Waiting does not help.
    is_too_large: bool,
}

/// Batches to be converted.
struct Source {
    replica: Arc<Replica>,
    region: FileRegion,
    from: Offset,
    /// Of the partition, as the request has it.
    max_bytes: usize,
    /// Not even the first batch fits the limit, and the client is to have its beginning.
    is_cut: bool,
}

/// What became of a [`Source`].
struct Converted {
    messages: Vec<u8>,
    record_count: u32,
    /// Up to where there was nothing to see, when there are no messages.
    next_offset: Offset,
    /// There was nothing to see up to there, and there is more behind it.
    is_unfinished: bool,
}

/// Answers, or parks. The body begins at `body_offset` of `frame`.
pub fn handle(context: &RequestContext, frame: &[u8], body_offset: usize) -> Handled {
    match fetch::parse_before_batches(context.version, frame, body_offset) {
        Ok(request) => {
            let fetch = OldFetch::new(context, request);
            Handled::Wait(Box::pin(serve(context.clone(), fetch)))
        }
        Err(_) => Handled::Close("a fetch that cannot be read"),
    }
}

/// Looks whenever enough has come in, and answers with what there is when the time is up.
async fn serve(context: RequestContext, mut fetch: OldFetch) -> Output {
    let mut deadline = std::pin::pin!(context.after(fetch.max_wait));
    let mut time_is_up = fetch.max_wait.is_zero() || fetch.slots.is_empty() || fetch.min_bytes == 0;
    loop {
        fetch.session.subscription.take_ready(fetch.min_bytes as i64, &mut Vec::new());
        let found = fetch.look(&context);
        let found_bytes: usize = found.iter().map(Found::size_bytes).sum();
        if found_bytes >= fetch.min_bytes || time_is_up || found.iter().any(Found::is_urgent) {
            // Before it is converted, as in Kafka: what a client has to wait for is not converted in vain, and what counts
            // is what the limits of the answer count.
            let charged_bytes = found_bytes + PARTITION_SIZE_BYTES * found.len();
            let throttle_ms = context.throttle_fetch(charged_bytes);
            if throttle_ms > 0 {
                return fetch.answer(&context, Vec::new(), throttle_ms).await;
            }
            let Some(answers) = fetch.convert(&context, found).await else { return Output::closing() };
            if time_is_up || answers.iter().any(Answered::has_news) {
                return fetch.answer(&context, answers, 0).await;
            }
            context.unthrottle_fetch(charged_bytes);
            if answers.iter().any(|answered| answered.is_unfinished) {
                time_is_up = deadline.is_elapsed();
                continue;
            }
        } else {
            fetch.session.subscription.found_bytes(found_bytes as i64);
        }
        time_is_up = tokio::select! {
            biased;
            () = fetch.session.subscription.wait() => false,
            () = &mut deadline => true,
        };
    }
}

impl Found {
    /// Of the batches.
    fn size_bytes(&self) -> usize {
        self.records.as_ref().map_or(0, |source| source.region.size_bytes)
    }

    /// Whether a waiting client must be told at once.
    fn is_urgent(&self) -> bool {
        self.answer.error != ErrorCode::None || self.is_too_large
    }
}

/// One partition of the answer.
struct Answered {
    slot: Slot,
    answer: PartitionAnswer,
    messages: Vec<u8>,
    record_count: u32,
    is_too_large: bool,
    /// There may be more to see without waiting.
    is_unfinished: bool,
}

impl Answered {
    fn has_news(&self) -> bool {
        self.answer.error != ErrorCode::None || !self.messages.is_empty() || self.is_too_large
    }
}

impl OldFetch {
    fn new(context: &RequestContext, request: FetchRequest<'_>) -> OldFetch {
        let session = FetchSession::new(request.wanted, false);
        let mut slots = Vec::new();
        session.subscription.take_ready(0, &mut slots);
        let first_max_bytes = (request.max_bytes.max(0) as usize)
            .min(context.services.config().network.fetch_max_bytes)
            .min(context.max_fetch_bytes());
        let max_bytes = first_max_bytes.min(MOST_ANSWER_BYTES);
        OldFetch {
            session,
            slots,
            is_follower: request.replica_id >= BrokerId(0),
            max_bytes,
            first_max_bytes,
            min_bytes: (request.min_bytes.max(0) as usize).min(max_bytes),
            max_wait: Duration::from_millis(request.max_wait_ms.max(0) as u64),
        }
    }

    fn look(&mut self, context: &RequestContext) -> Vec<Found> {
        // KIP-74: since v3 a client asks in another order each time. For clients before, the order is changed here, so that
        // no partition is without room for ever.
        let is_strict = context.version < ALWAYS_A_BATCH_SINCE;
        let mut order = self.slots.clone();
        if is_strict && !order.is_empty() {
            let first = context.correlation_id.unsigned_abs() as usize % order.len();
            order.rotate_left(first);
        }
        let mut remaining = self.max_bytes;
        let mut is_first = true;
        let mut all_found = Vec::with_capacity(order.len());
        for slot in order {
            let Some(found) = self.look_at(context, slot, remaining, is_first) else { continue };
            let size_bytes = found.size_bytes();
            is_first &= size_bytes == 0;
            remaining = remaining.saturating_sub(size_bytes);
            all_found.push(found);
        }
        all_found.sort_by_key(|found| found.slot);
        all_found
    }

    fn look_at(
        &mut self,
        context: &RequestContext,
        slot: Slot,
        remaining: usize,
        is_first: bool,
    ) -> Option<Found> {
        let replica = find_replica(&context.services, &mut self.session, slot)?;
        let at = &self.session.watched(slot)?.wanted.at;
        let is_strict = context.version < ALWAYS_A_BATCH_SINCE;
        let refused = |code| Found {
            slot,
            answer: PartitionAnswer::refused(at.partition, code),
            records: None,
            is_too_large: false,
        };
        let found = replica.and_then(|replica| {
            if self.is_follower {
                // No other broker holds copies, so whoever says so is mistaken.
                return Err(ErrorCode::NotLeaderOrFollower);
            }
            refuse_zstd(&replica)?;
            let max_bytes = at.max_bytes.max(0) as usize;
            let (from, isolation) = (at.fetch_offset, IsolationLevel::ReadUncommitted);
            let at_least_one = is_first && !is_strict;
            let mut region = replica.read(from, max_bytes.min(remaining), isolation, at_least_one)?;
            if is_strict && is_first && region.is_none() && remaining < max_bytes {
                let most_bytes = max_bytes.min(self.first_max_bytes);
                let first = replica.read(from, 0, isolation, true)?;
                region = first.filter(|first| first.size_bytes <= most_bytes);
            }
            let is_too_large = is_strict
                && region.is_none()
                && from < replica.read_limit(isolation)
                && (is_first || max_bytes <= remaining);
            let answer = PartitionAnswer {
                high_watermark: replica.high_watermark(),
                ..PartitionAnswer::refused(at.partition, ErrorCode::None)
            };
            // Up to 0.10.0 (KIP-74) a consumer was sent the beginning of what was too large, and told its user. Kafka 3.9
            // sends nothing.
            let is_cut = is_too_large && context.api.max_version < ALWAYS_A_BATCH_SINCE;
            let region = if is_cut { replica.read(from, max_bytes, isolation, true)? } else { region };
            let records = region.map(|region| Source { replica, region, from, max_bytes, is_cut });
            Ok(Found { slot, answer, records, is_too_large })
        });
        Some(found.unwrap_or_else(refused))
    }

    /// The answer of every partition that was found, those without messages included. `None` while the broker stops.
    async fn convert(&mut self, context: &RequestContext, found: Vec<Found>) -> Option<Vec<Answered>> {
        let mut sources = Vec::new();
        let mut answers = Vec::with_capacity(found.len());
        for Found { slot, answer, records, is_too_large } in found {
            // The turn may be over before this one is looked at.
            let is_unfinished = records.is_some();
            sources.extend(records.map(|source| (answers.len(), source)));
            let (messages, record_count) = (Vec::new(), 0);
            answers.push(Answered { slot, answer, messages, record_count, is_too_large, is_unfinished });
        }
        if sources.is_empty() {
            return Some(answers);
        }
        let version = context.version;
        if version < ALWAYS_A_BATCH_SINCE {
            let first = context.correlation_id.unsigned_abs() as usize % sources.len();
            sources.rotate_left(first);
        }
        let conversions = &context.services.conversions;
        let converted = conversions.run_turn(move |turn| convert_all(version, sources, turn)).await?;
        for (index, converted) in converted {
            let answered = &mut answers[index];
            match converted {
                Ok(converted) => {
                    if let Some(watched) = self.session.watched(answered.slot)
                        && converted.messages.is_empty()
                    {
                        watched.wanted.at.fetch_offset = converted.next_offset;
                    }
                    answered.messages = converted.messages;
                    answered.record_count = converted.record_count;
                    answered.is_unfinished = converted.is_unfinished;
                }
                Err(code) => answered.answer = PartitionAnswer::refused(answered.answer.partition, code),
            }
        }
        Some(answers)
    }

    /// Answers with the messages, of which there are none when the client has overdrawn a quota.
    async fn answer(&mut self, context: &RequestContext, answers: Vec<Answered>, throttle_ms: u32) -> Output {
        let mut size_bytes = 0;
        let mut topics: Vec<(TopicKey, Vec<Answered>)> = Vec::new();
        for mut answered in answers {
            let Some(watched) = self.session.watched(answered.slot) else { continue };
            size_bytes += PARTITION_SIZE_BYTES + answered.messages.len();
            if let Some(replica) = &watched.replica {
                replica.sent(answered.messages.len());
                replica.converted_down(answered.record_count);
            }
            if answered.answer.error != ErrorCode::None {
                answered.answer.error = told(context.version, answered.answer.error);
                context.failed(answered.answer.error);
            }
            match topics.last_mut() {
                Some((topic, partitions)) if *topic == watched.wanted.topic => partitions.push(answered),
                _ => topics.push((watched.wanted.topic.clone(), vec![answered])),
            }
        }
        let (version, correlation_id) = (context.version, context.correlation_id);
        let write = move || write_answer(version, correlation_id, throttle_ms, size_bytes, topics);
        if size_bytes <= LARGE_ANSWER_BYTES {
            return write();
        }
        // The pool refuses work only while the broker stops.
        tokio::task::spawn_blocking(write).await.unwrap_or_else(|_| Output::closing())
    }
}

/// The whole response. `size_bytes` is about what its partitions take.
fn write_answer(
    version: i16,
    correlation_id: i32,
    throttle_ms: u32,
    size_bytes: usize,
    topics: Vec<(TopicKey, Vec<Answered>)>,
) -> Output {
    let mut output = Output { throttle_ms, ..Output::default() };
    output.bytes.reserve(size_bytes + (1 + topics.len()) * TOPIC_SIZE_BYTES);
    // No version with messages is flexible.
    output.respond(correlation_id, false, |out| {
        let bytes = &mut out.bytes;
        let throttle_ms = throttle_ms as i32;
        let mut writer = ResponseWriter::begin(version, bytes, throttle_ms, ErrorCode::None, 0, topics.len());
        for (topic, partitions) in topics {
            writer.topic(bytes, topic.as_name(), partitions.len());
            for answered in partitions {
                writer.partition(bytes, &answered.answer, answered.messages.len());
                bytes.put_slice(&answered.messages);
            }
        }
        writer.end(bytes, &[]);
    });
    output
}

/// Each source with its position in the answer. Once an answer is full, or the turn is over, what is left has to be asked
/// for again.
fn convert_all(
    version: i16,
    sources: Vec<(usize, Source)>,
    turn: &mut Turn,
) -> Vec<(usize, Result<Converted, ErrorCode>)> {
    let magic = if version < 2 { Magic::V0 } else { Magic::V1 };
    let mut converted_bytes = 0;
    let mut all_converted = Vec::with_capacity(sources.len());
    for (index, source) in sources {
        if converted_bytes >= MOST_ANSWER_BYTES || turn.is_over() {
            break;
        }
        let converted = convert(magic, version >= ALWAYS_A_BATCH_SINCE, source, turn);
        converted_bytes += converted.as_ref().map_or(0, |converted| converted.messages.len());
        all_converted.push((index, converted));
    }
    all_converted
}

/// The messages of the first batches that have any, however much control batches there are before them: a consumer that
/// got nothing would ask for the same again.
fn convert(
    magic: Magic,
    at_least_one: bool,
    source: Source,
    turn: &mut Turn,
) -> Result<Converted, ErrorCode> {
    let Source { replica, mut region, mut from, max_bytes, is_cut } = source;
    let isolation = IsolationLevel::ReadUncommitted;
    loop {
        let batches = read_region(&replica, &region)?;
        let mut goes_on = |unpacked_bytes| {
            turn.spend(unpacked_bytes);
            !turn.is_over()
        };
        let converted = downgrade(&batches, magic, from, region.size_bytes, &mut goes_on);
        let converted = converted.map_err(|error| match error {
            DowngradeError::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
            DowngradeError::TooLarge => ErrorCode::MessageTooLarge,
            DowngradeError::Corrupt => ErrorCode::CorruptMessage,
        })?;
        let record_count = count_records(&batches[..converted.source_size_bytes]);
        let (mut messages, next_offset) = (converted.messages, converted.next_offset);
        if is_cut {
            messages.truncate(max_bytes);
        }
        if !messages.is_empty() || next_offset <= from {
            return Ok(Converted { messages, record_count, next_offset, is_unfinished: false });
        }
        from = skip_unseen(&replica, next_offset, turn)?;
        let next = match turn.is_over() {
            true => None,
            false => replica.read(from, max_bytes.min(MOST_ANSWER_BYTES), isolation, at_least_one)?,
        };
        match next {
            Some(next) => region = next,
            None => {
                let is_unfinished = from < replica.read_limit(isolation);
                return Ok(Converted { messages, record_count: 0, next_offset: from, is_unfinished });
            }
        }
    }
}

/// Up to where there is nothing to see from `from` on, or to where the turn ends.
fn skip_unseen(replica: &Replica, mut from: Offset, turn: &mut Turn) -> Result<Offset, ErrorCode> {
    while !turn.is_over() {
        // What does not fit is no control batch.
        let isolation = IsolationLevel::ReadUncommitted;
        let Some(region) = replica.read(from, SKIPPED_AT_A_TIME, isolation, false)? else { break };
        let batches = read_region(replica, &region)?;
        let skipped = message_set::skip_unseen(&batches, from);
        turn.spend(batches.len());
        from = skipped.next_offset;
        if skipped.size_bytes < batches.len() {
            break;
        }
    }
    Ok(from)
}

fn read_region(replica: &Replica, region: &FileRegion) -> Result<Vec<u8>, ErrorCode> {
    let mut batches = vec![0; region.size_bytes];
    region.file.read_exact_at(&mut batches, region.position).map_err(|error| {
        tracing::error!(partition = %replica.name(), %error, "read records to convert");
        ErrorCode::KafkaStorageError
    })?;
    Ok(batches)
}

fn count_records(batches: &[u8]) -> u32 {
    let mut rest = batches;
    let mut count = 0u32;
    while let Ok((batch, behind)) = Batch::split_first(rest) {
        if !batch.is_control() {
            count = count.saturating_add(batch.record_count().unsigned_abs());
        }
        rest = behind;
    }
    count
}
