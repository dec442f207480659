//! Produce (key 0), v0-13: validates, appends in place, answers when `acks` is satisfied.
//!
//! The hot path: the records stay in the connection's buffer, are checked without a lock, and reach the page
//! cache by one write before the next await. Three things leave it: records that begin a transaction in their
//! partition are copied, and wait for its coordinator ([`transactions`]); what comes without record batches, below v3,
//! is converted first ([`message_sets`]); a partition without files gets them off the worker ([`first`]). The bytes of
//! the message are `protocol::produce`'s business, what a partition accepts is `protocol::validate`'s. Kafka:
//! `KafkaApis.handleProduceRequest`, `ReplicaManager.appendRecords`.

mod first;
pub mod message_sets;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use self::first::Fileless;
use self::transactions::{Before, Transaction, Vouched};
use super::context::RequestContext;
use super::reply::{Handled, Held, LocalFuture, Output, Work};
use crate::config::topic::TopicConfig;
use crate::protocol::batch::Compression;
use crate::protocol::compression::Level;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::{Offset, Timestamp};
use crate::protocol::produce::{self, PartitionAnswer, PartitionRecords, ProduceRequest, TopicRef};
use crate::protocol::validate::{ProduceError, ProduceRules, only_batch, validate_produce};
use crate::protocol::wire;
use crate::replication::replica::{LeaderAppend, Replica, Required};
use crate::replication::transactions::Verification;

const ACKS_NONE: i16 = 0;
const ACKS_LEADER: i16 = 1;
const ACKS_ALL: i16 = -1;

/// What one worker's produce requests use again and again, so that the hot path allocates nothing.
#[derive(Default)]
pub struct Scratch {
    request: ProduceRequest,
    answers: Vec<PartitionAnswer>,
    waiting: Vec<Waiting>,
    fileless: Vec<Fileless>,
}

/// A partition whose answer waits for followers or the disk.
struct Waiting {
    /// Position of its answer.
    index: usize,
    replica: Arc<Replica>,
    required: Required,
}

/// Appends, and answers into `out` unless an answer must wait. The body begins at `body_start` of `frame`.
pub fn handle(
    context: &RequestContext,
    scratch: &mut Scratch,
    frame: &mut [u8],
    body_start: usize,
    out: &mut Output,
) -> Handled {
    if produce::parse(context.version, frame, body_start, &mut scratch.request).is_err() {
        return Handled::Close("a produce that cannot be read");
    }
    match transactions::look(context, &scratch.request, frame, context.services.clock.now()) {
        Before::Nothing(vouched) => {
            append_all(context, scratch, frame, &vouched);
            match scratch.fileless.is_empty() {
                true => answer(context, scratch, frame, out),
                false => first::append_later(context.clone(), scratch, frame),
            }
        }
        Before::Verify(transaction) => {
            Handled::Work(append_later(context.clone(), scratch, frame, transaction))
        }
    }
}

/// Appends what has to be verified first, and answers. The connection's later requests do not overtake it.
#[cold]
fn append_later(
    context: RequestContext,
    scratch: &mut Scratch,
    frame: &[u8],
    transaction: Transaction,
) -> Box<Work> {
    let mut scratch = Scratch { request: std::mem::take(&mut scratch.request), ..Scratch::default() };
    // The frame's buffer goes back to the connection.
    let mut frame = frame.to_vec();
    Work::holding(frame.len(), async move |held| {
        let vouched = transactions::verify(&context, &scratch.request, &frame, transaction).await;
        append_all(&context, &mut scratch, &mut frame, &vouched);
        first::append_all(&context, &mut scratch, &mut frame).await;
        answer_work(context, scratch, frame, held).await
    })
}

/// Answers what has been appended while its connection waits. The frame goes before the answer is waited for.
async fn answer_work(context: RequestContext, mut scratch: Scratch, frame: Vec<u8>, held: Held) -> Output {
    let mut output = Output::default();
    let answered = answer(&context, &mut scratch, &frame, &mut output);
    drop((scratch, frame, held));
    match answered {
        Handled::Done | Handled::Nothing => output,
        Handled::Wait(answer) | Handled::Later(answer) => answer.await,
        Handled::Work(work) => work.output.await,
        Handled::Close(reason) => {
            tracing::debug!(peer = %context.connection.peer, reason, "connection closed");
            Output::closing()
        }
    }
}

/// Answers into `out` unless an answer must wait.
fn answer(context: &RequestContext, scratch: &mut Scratch, frame: &[u8], out: &mut Output) -> Handled {
    let failed = scratch.answers.iter().any(|answer| answer.error != ErrorCode::None);
    if failed {
        count_errors(context, &scratch.answers);
    }
    match (scratch.request.acks, failed) {
        // Nobody waits for an answer, so a closed connection is the only way to say no.
        (ACKS_NONE, true) => Handled::Close("a produce without acks failed"),
        (ACKS_NONE, false) => {
            out.throttle_ms = out.throttle_ms.max(context.throttle_produce(frame.len(), false));
            Handled::Nothing
        }
        _ if scratch.waiting.is_empty() => {
            write(context, out, frame, &scratch.request, &scratch.answers, frame.len());
            Handled::Done
        }
        _ => Handled::Later(answer_later(context.clone(), scratch, frame)),
    }
}

#[cold]
fn count_errors(context: &RequestContext, answers: &[PartitionAnswer]) {
    let errors = answers.iter().map(|answer| answer.error);
    errors.filter(|error| *error != ErrorCode::None).for_each(|error| context.failed(error));
}

/// Appends to every partition that has files.
fn append_all(context: &RequestContext, scratch: &mut Scratch, frame: &mut [u8], vouched: &Vouched) {
    let Scratch { request, answers, waiting, fileless } = scratch;
    answers.clear();
    waiting.clear();
    fileless.clear();
    let acks_are_valid = matches!(request.acks, ACKS_NONE | ACKS_LEADER | ACKS_ALL);
    let now = context.services.clock.now();
    for (index, partition) in request.partitions.iter().enumerate() {
        let appended = vouched.of(index).map_err(|error| PartitionAnswer::from(ProduceError::from(error)));
        let appended = appended.and_then(|verification| {
            if !acks_are_valid {
                return Err(refuse_acks(context, partition, frame));
            }
            let replica = find_replica(context, partition, frame).map_err(PartitionAnswer::refused)?;
            let records = &mut frame[partition.records.clone().unwrap_or(0..0)];
            if !replica.has_files() && first::are_valid(context.version, &replica, records, now) {
                fileless.push(Fileless { index, replica, verification });
                // Until it is appended.
                return Err(PartitionAnswer::refused(ErrorCode::None));
            }
            match append(context.version, &replica, records, (request.acks, verification), now) {
                Ok(appended) => Ok((replica, appended)),
                Err(error) => Err(refuse(context.version, &replica, records, error)),
            }
        });
        answers.push(settle(index, request.acks, appended, waiting));
    }
}

/// The answer of the partition at `index`; notes what it waits for.
#[inline(always)]
fn settle(
    index: usize,
    acks: i16,
    appended: Result<(Arc<Replica>, LeaderAppend), PartitionAnswer>,
    waiting: &mut Vec<Waiting>,
) -> PartitionAnswer {
    match appended {
        Ok((replica, appended)) => {
            let answer = accepted(&appended);
            if let Some(required) = replica.still_required(&appended, acks == ACKS_ALL)
                && acks != ACKS_NONE
            {
                waiting.push(Waiting { index, replica, required });
            }
            answer
        }
        Err(refused) => refused,
    }
}

fn find_replica(
    context: &RequestContext,
    partition: &PartitionRecords,
    frame: &[u8],
) -> Result<Arc<Replica>, ErrorCode> {
    let image = context.services.image();
    let topic = match &partition.topic {
        TopicRef::Name(range) => {
            image.topic(wire::text(frame, range.clone())).ok_or(ErrorCode::UnknownTopicOrPartition)?
        }
        TopicRef::Id(id) => image.topic_by_id(*id).ok_or(ErrorCode::UnknownTopicId)?,
    };
    // Only the coordinators write Kafka's own topics, as far as there are partitions of them.
    if topic.internal && topic.partition(partition.partition).is_some() {
        return Err(ErrorCode::InvalidTopicException);
    }
    context.services.replicas.leader(topic, partition.partition)
}

fn append(
    version: i16,
    replica: &Arc<Replica>,
    records: &mut [u8],
    (acks, verification): (i16, Verification),
    now: Timestamp,
) -> Result<LeaderAppend, ProduceError> {
    let config = replica.config();
    let validated = validate_produce(records, &rules(version, replica, &config, now))?;
    let mut replacement = validated.replacement;
    let batch = match &mut replacement {
        Some(replacement) => replacement.as_mut_slice(),
        None => &mut records[..validated.size_bytes],
    };
    Ok(replica.append(batch, acks == ACKS_ALL, verification, now)?)
}

fn rules<'a>(version: i16, replica: &'a Replica, config: &TopicConfig, now: Timestamp) -> ProduceRules<'a> {
    let level = |codec: Compression| match codec {
        Compression::Gzip => Level(Some(config.compression_gzip_level)),
        Compression::Lz4 => Level(Some(config.compression_lz4_level)),
        Compression::Zstd => Level(Some(config.compression_zstd_level)),
        Compression::None | Compression::Snappy => Level::DEFAULT,
    };
    ProduceRules {
        api_version: version,
        topic: &replica.name().topic,
        partition: replica.name().partition,
        compacted: config.cleanup_compact,
        compression: config.compression.map(|codec| (codec, level(codec))),
        max_message_bytes: config.max_message_bytes,
        max_decompressed_message_bytes: config.max_decompressed_message_bytes,
        segment_size_bytes: config.segment_bytes as usize,
        timestamp_type: config.timestamp_type,
        timestamp_before_max_ms: config.timestamp_before_max_ms,
        timestamp_after_max_ms: config.timestamp_after_max_ms,
        now,
    }
}

fn accepted(appended: &LeaderAppend) -> PartitionAnswer {
    PartitionAnswer {
        base_offset: appended.first_offset,
        log_append_time: appended.log_append_time,
        log_start_offset: appended.log_start_offset,
        ..PartitionAnswer::refused(ErrorCode::None)
    }
}

/// Kafka looks at `acks` when the partition is known and the records are framed as they should be.
#[cold]
fn refuse_acks(context: &RequestContext, partition: &PartitionRecords, frame: &[u8]) -> PartitionAnswer {
    if let Err(code @ (ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId)) =
        find_replica(context, partition, frame)
    {
        return PartitionAnswer::refused(code);
    }
    let records = &frame[partition.records.clone().unwrap_or(0..0)];
    match only_batch(records, context.version) {
        Ok(_) => PartitionAnswer::refused(ErrorCode::InvalidRequiredAcks),
        Err(error) => error.into(),
    }
}

/// The answer to what could not be appended. Errors that Kafka does not expect of an append come with the log start offset;
/// wrong frames are found before it looks for the log.
#[cold]
fn refuse(version: i16, replica: &Replica, records: &[u8], error: ProduceError) -> PartitionAnswer {
    let is_expected = matches!(
        error.error.code,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::MessageTooLarge
            | ErrorCode::RecordListTooLarge
            | ErrorCode::CorruptMessage
            | ErrorCode::KafkaStorageError
            | ErrorCode::UnknownTopicId
    );
    let log_start_offset = match is_expected || only_batch(records, version).is_err() {
        true => Offset::NONE,
        false => replica.log_start_offset(),
    };
    PartitionAnswer { log_start_offset, ..PartitionAnswer::from(error) }
}

impl From<ProduceError> for PartitionAnswer {
    fn from(refused: ProduceError) -> PartitionAnswer {
        PartitionAnswer {
            record_errors: refused.record_errors,
            error_message: refused.error.message,
            ..PartitionAnswer::refused(refused.error.code)
        }
    }
}

fn write(
    context: &RequestContext,
    out: &mut Output,
    names: &[u8],
    request: &ProduceRequest,
    answers: &[PartitionAnswer],
    request_size_bytes: usize,
) {
    let throttle_ms = context.throttle_produce(request_size_bytes, true);
    out.throttle_ms = out.throttle_ms.max(throttle_ms);
    context.respond(out, |out| {
        let (version, bytes) = (context.version, &mut out.bytes);
        produce::write_response(version, bytes, names, request, answers, throttle_ms as i32, &[]);
    });
}

/// Answers when every partition has what `acks` asks for, or the request's time is up.
fn answer_later(context: RequestContext, scratch: &mut Scratch, frame: &[u8]) -> LocalFuture<Output> {
    let mut request = std::mem::take(&mut scratch.request);
    let mut answers = std::mem::take(&mut scratch.answers);
    let waiting = std::mem::take(&mut scratch.waiting);
    // The frame's buffer goes back to the connection.
    let names = request.detach(frame);
    let request_size_bytes = frame.len();
    Box::pin(async move {
        let timeout = Duration::from_millis(request.timeout_ms.max(0) as u64);
        let mut deadline = std::pin::pin!(context.after(timeout));
        for partition in waiting {
            let outcome = tokio::select! {
                biased;
                outcome = partition.replica.reached(partition.required) => outcome,
                () = &mut deadline => Err(ErrorCode::RequestTimedOut),
            };
            if let Err(code) = outcome {
                context.failed(code);
                answers[partition.index] =
                    PartitionAnswer { base_offset: Offset::NONE, ..PartitionAnswer::refused(code) };
            }
        }
        let mut output = Output::default();
        write(&context, &mut output, &names, &request, &answers, request_size_bytes);
        output
    })
}
