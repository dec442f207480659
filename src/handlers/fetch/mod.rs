//! Fetch (key 1), v0-18: records as file ranges, with sessions and long polls. What has to be converted, below v4, is
//! [`message_sets`]'s.
//!
//! KIP-227 (sessions), KIP-320 (epochs), KIP-516 (topic ids), KIP-74 (byte limits), KIP-98 (isolation), KIP-110 (zstd).
//! The main line: take what the session's partitions have marked, look at each once, answer; when there is
//! too little, park until enough has come in. Kafka: `KafkaApis.handleFetchRequest`, `DelayedFetch`.

pub mod look;
pub mod message_sets;
pub mod refusals;
pub mod session;
mod spare;

use std::time::Duration;

use self::look::{Limits, News, look};
use self::session::{FetchSession, SharedSession};
use self::spare::{Spare, done_with, one_off_session};
use super::context::RequestContext;
use super::reply::{Handled, MIN_SENDFILE_SIZE_BYTES, Output};
use crate::env::fs::FileRegion;
use crate::protocol::errors::ErrorCode;
use crate::protocol::fetch::{self, FetchRequest, PartitionAnswer, ResponseWriter};
use crate::protocol::ids::{BrokerId, Offset};

/// Session epoch that ends the session, or asks for none.
const FINAL_EPOCH: i32 = -1;
/// Session epoch that opens a session.
const INITIAL_EPOCH: i32 = 0;

/// What a partition's answer takes besides its records, about.
const PARTITION_SIZE_BYTES: usize = 40;

/// Room for an answer of a few records, so that writing it allocates once.
const SMALL_ANSWER_SIZE_BYTES: usize = 1024;

/// A fetch in flight: whose session, under which limits, and what to answer with.
struct Fetch {
    session: SharedSession,
    /// Every partition is in the answer, also those without news.
    is_full: bool,
    limits: Limits,
    min_bytes: usize,
    max_wait: Duration,
    /// The quotas have counted the answer, which waits for its records alone.
    is_charged: bool,
    spare: Spare,
}

/// What a look came to.
enum Looked {
    /// The news may be answered with.
    Enough,
    /// Too little to answer before the wait is over.
    TooLittle,
}

/// Where an answer may take its records from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The page cache: a disk must not hold up the other connections of a worker.
    Cache,
    /// Wherever they are, which is the cache if it has room for them.
    Disk,
}

/// Some records are not in the page cache, so nothing was answered.
struct Cold;

/// Answers into `out`, or parks. The body begins at `body_offset` of `frame`.
pub fn handle(context: &RequestContext, frame: &[u8], body_offset: usize, out: &mut Output) -> Handled {
    let Ok(request) = fetch::parse(context.version, frame, body_offset) else {
        return Handled::Close("a fetch that cannot be read");
    };
    let mut fetch = match open(context, request) {
        Ok(fetch) => fetch,
        Err(code) => {
            write_refusal(context, code, out);
            return Handled::Done;
        }
    };
    match fetch.look(context, fetch.max_wait.is_zero()) {
        Looked::Enough => match fetch.answer(context, Source::Cache, out) {
            Ok(()) => {
                fetch.give_back();
                Handled::Done
            }
            Err(Cold) => Handled::Wait(Box::pin(answer_from_disk(context.clone(), fetch))),
        },
        Looked::TooLittle => Handled::Wait(Box::pin(wait(context.clone(), fetch))),
    }
}

/// Looks again whenever enough has come in, and answers with what there is when the time is up.
async fn wait(context: RequestContext, mut fetch: Fetch) -> Output {
    let subscription = fetch.session.lock().subscription.clone();
    let mut deadline = std::pin::pin!(context.after(fetch.max_wait));
    loop {
        let time_is_up = tokio::select! {
            biased;
            () = subscription.wait() => false,
            () = &mut deadline => true,
        };
        if let Looked::Enough = fetch.look(&context, time_is_up) {
            let mut output = Output::default();
            output.bytes.reserve(SMALL_ANSWER_SIZE_BYTES);
            return match fetch.answer(&context, Source::Cache, &mut output) {
                Ok(()) => {
                    fetch.give_back();
                    output
                }
                Err(Cold) => answer_from_disk(context, fetch).await,
            };
        }
    }
}

/// Answers once all records have been brought into the page cache.
async fn answer_from_disk(context: RequestContext, mut fetch: Fetch) -> Output {
    let now = context.services.clock.now();
    // Of a short range only its first byte is looked at, which says nothing where the rest was missed.
    let may_be_cold =
        |region: &&FileRegion| region.size_bytes < MIN_SENDFILE_SIZE_BYTES || !region.is_cached(now);
    let cold: Vec<FileRegion> = fetch.records().filter(may_be_cold).cloned().collect();
    let loaded = tokio::task::spawn_blocking(move || cold.iter().try_for_each(FileRegion::load)).await;
    if let Ok(Err(error)) = loaded {
        // The one who sends the range meets the same error and ends the connection.
        tracing::warn!(%error, "load records from disk");
    }
    let mut output = Output::default();
    let answered = fetch.answer(&context, Source::Disk, &mut output);
    debug_assert!(answered.is_ok(), "what is not in the cache is left to the one who sends it");
    output
}

/// Finds or makes the session and puts the request's changes into it.
fn open(context: &RequestContext, request: FetchRequest<'_>) -> Result<Fetch, ErrorCode> {
    let services = &context.services;
    let uses_topic_ids = context.version >= 13;
    let limits = Limits {
        max_bytes: (request.max_bytes.max(0) as usize)
            .min(services.config().network.fetch_max_bytes)
            .min(context.max_fetch_bytes()),
        isolation: request.isolation_level,
    };
    // More than fits an answer is not waited for.
    let min_bytes = (request.min_bytes.max(0) as usize).min(limits.max_bytes);
    let max_wait = Duration::from_millis(request.max_wait_ms.max(0) as u64);
    // Every id below 0 is a consumer (`FetchRequest.isValidBrokerId`).
    if request.replica_id >= BrokerId(0) {
        // No other broker holds copies, so whoever says so is mistaken.
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    let is_full = request.session_epoch == FINAL_EPOCH || request.session_epoch == INITIAL_EPOCH;
    if is_full {
        services.sessions.remove(request.session_id);
    }
    let session = if request.session_epoch == FINAL_EPOCH {
        one_off_session(request.wanted, uses_topic_ids)
    } else if request.session_epoch == INITIAL_EPOCH {
        let session = FetchSession::new(request.wanted, uses_topic_ids);
        if session.is_empty() {
            session.into_shared()
        } else {
            let random_id = || services.rng.below(i32::MAX as u64) as i32;
            services.sessions.admit(session, services.clock.uptime_ms(), random_id)
        }
    } else {
        let now_ms = services.clock.uptime_ms();
        let session =
            services.sessions.resume(request.session_id, request.session_epoch, uses_topic_ids, now_ms)?;
        let mut watching = session.lock();
        if let Some(forgotten) = request.forgotten {
            forgotten.for_each(|topic, partition| watching.forget(topic, partition));
        }
        request.wanted.for_each(|topic, at| watching.watch(topic, at));
        // A session that watches nothing has no reason to be.
        if watching.is_empty() {
            services.sessions.remove(watching.id);
            watching.id = 0;
        }
        drop(watching);
        session
    };
    Ok(Fetch { session, is_full, limits, min_bytes, max_wait, is_charged: false, spare: Spare::take() })
}

impl Fetch {
    /// What it had of the worker goes back.
    fn give_back(self) {
        self.spare.give_back();
        done_with(self.session);
    }

    fn records(&self) -> impl Iterator<Item = &FileRegion> {
        self.spare.news.iter().flat_map(|news| &news.records)
    }

    /// Finds the news there is, and says whether they are enough for an answer.
    fn look(&mut self, context: &RequestContext, time_is_up: bool) -> Looked {
        let mut session = self.session.lock();
        let Spare { slots, marked, news } = &mut self.spare;
        session.subscription.take_ready(self.min_bytes as i64, marked);
        marked.retain(|slot| !slots.contains(slot));
        slots.append(marked);
        news.clear();
        look(&context.services, &mut session, slots, self.limits, news);
        if context.version < refusals::ZSTD_SINCE {
            take_back_zstd(&mut session, news);
        }
        // First, so that those who got nothing come first in the next look.
        for news in news.iter().filter(|news| news.has_more && !news.is_urgent()) {
            session.subscription.mark(news.slot);
        }
        if !self.is_full {
            news.retain(|news| session.watched(news.slot).is_some_and(|watched| !news.is_known_to(watched)));
            slots.clear();
            slots.extend(news.iter().map(|news| news.slot));
        }
        let found_bytes: usize = news.iter().map(News::size_bytes).sum();
        let is_enough = found_bytes >= self.min_bytes
            || time_is_up
            || session.is_empty()
            || news.iter().any(News::is_urgent);
        if !is_enough {
            session.subscription.found_bytes(found_bytes as i64);
            // Whoever waits holds no file.
            news.clear();
            return Looked::TooLittle;
        }
        for news in news.iter_mut() {
            // Until the client asks for the next offset, this partition has something to tell: an answer
            // may be lost on the way.
            if news.records.is_some() || news.is_urgent() {
                session.subscription.mark(news.slot);
            }
            let Some(watched) = session.watched(news.slot) else { continue };
            let told_an_error = news.answer.error != ErrorCode::None;
            if told_an_error {
                news.answer.error = refusals::told(context.version, news.answer.error);
                context.failed(news.answer.error);
            }
            watched.told_high_watermark =
                if told_an_error { Offset::NONE } else { news.answer.high_watermark };
            watched.told_log_start = if told_an_error { Offset::NONE } else { news.answer.log_start_offset };
        }
        Looked::Enough
    }

    /// Answers with the news, or with nothing when the client has overdrawn a quota.
    fn answer(&mut self, context: &RequestContext, source: Source, out: &mut Output) -> Result<(), Cold> {
        if !self.is_charged {
            let size_of = |news: &News| PARTITION_SIZE_BYTES + news.size_bytes();
            let throttle_ms = context.throttle_fetch(self.spare.news.iter().map(size_of).sum());
            if throttle_ms > 0 {
                self.answer_throttled(context, throttle_ms, out);
                return Ok(());
            }
            self.is_charged = true;
        }
        self.write(context, source, out)
    }

    /// Answers with nothing, and has the client rest.
    fn answer_throttled(&self, context: &RequestContext, throttle_ms: u32, out: &mut Output) {
        let session_id = self.withhold(context);
        out.throttle_ms = out.throttle_ms.max(throttle_ms);
        context.respond(out, |out| {
            let (version, bytes, error) = (context.version, &mut out.bytes, ErrorCode::None);
            let writer = ResponseWriter::begin(version, bytes, throttle_ms as i32, error, session_id, 0);
            writer.end(bytes, &[]);
        });
    }

    /// Leaves the session as if the news had not been found. KIP-219: a session that the client would have learned of
    /// from them is none; it asks for one again.
    fn withhold(&self, context: &RequestContext) -> i32 {
        let mut session = self.session.lock();
        for news in &self.spare.news {
            session.subscription.mark(news.slot);
            if let Some(watched) = session.watched(news.slot) {
                (watched.told_high_watermark, watched.told_log_start) = (Offset::NONE, Offset::NONE);
            }
        }
        if self.is_full && session.id != 0 {
            context.services.sessions.remove(session.id);
            session.id = 0;
        }
        session.id
    }

    fn write(&mut self, context: &RequestContext, source: Source, out: &mut Output) -> Result<(), Cold> {
        let (byte_count, file_count) = (out.bytes.len(), out.files.len());
        let (mut is_cold, now) = (false, context.services.clock.now());
        let session = self.session.lock();
        let all_news = &mut self.spare.news;
        all_news.retain(|news| session.topic(news.slot).is_some());
        let is_one_topic = |one: &News, next: &News| session.topic(one.slot) == session.topic(next.slot);
        context.respond(out, |out| {
            let topic_count = all_news.chunk_by(is_one_topic).count();
            let mut writer = ResponseWriter::begin(
                context.version,
                &mut out.bytes,
                0,
                ErrorCode::None,
                session.id,
                topic_count,
            );
            for topic_news in all_news.chunk_by(is_one_topic) {
                let topic = session.topic(topic_news[0].slot).expect("the rest was taken out above");
                writer.topic(&mut out.bytes, topic.as_name(), topic_news.len());
                for news in topic_news {
                    writer.partition(&mut out.bytes, &news.answer, news.size_bytes());
                    let Some(records) = &news.records else { continue };
                    if !out.splice_cached(records, now) {
                        if source == Source::Cache {
                            is_cold = true;
                            return;
                        }
                        out.splice(records.clone());
                    }
                }
            }
            writer.end(&mut out.bytes, &[]);
        });
        if is_cold {
            out.truncate(byte_count, file_count);
            return Err(Cold);
        }
        for news in all_news.iter().filter(|news| news.records.is_some()) {
            session.sent(news.slot, news.size_bytes());
        }
        Ok(())
    }
}

/// Takes back what was found in topics that are kept in a codec which the client does not know.
#[cold]
fn take_back_zstd(session: &mut FetchSession, all_news: &mut [News]) {
    // Where there is an error, the replica may be one that was closed, of a topic that is no more.
    for news in all_news.iter_mut().filter(|news| news.answer.error == ErrorCode::None) {
        let replica = session.watched(news.slot).and_then(|watched| watched.replica.as_ref());
        if let Some(Err(code)) = replica.map(|replica| refusals::refuse_zstd(replica)) {
            news.answer = PartitionAnswer::refused(news.answer.partition, code);
            (news.records, news.has_more) = (None, false);
        }
    }
}

fn write_refusal(context: &RequestContext, code: ErrorCode, out: &mut Output) {
    context.failed(code);
    context.respond(out, |out| {
        ResponseWriter::begin(context.version, &mut out.bytes, 0, code, 0, 0).end(&mut out.bytes, &[]);
    });
}
