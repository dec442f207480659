//! Group commit: the appends whose answer must wait for the disk (`flush.messages`) share fsyncs, and sealed
//! segments are brought to disk without anybody waiting.
//!
//! One thread takes all partitions that wait, syncs their files, moves their high watermarks, and takes those
//! that have come meanwhile. It starts with the first request and sleeps without ticking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;

use super::chores::Signal;
use super::replica::Replica;

/// What is to be brought to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Everything appended up to here.
    All,
    /// The segments that take no more appends, so that a restart need not read them.
    Sealed,
}

/// A replica, and how much of it is to be brought to disk.
type Request = (Arc<Replica>, Flush);

/// Requests that may stand in line; whoever finds it full waits, as for a slow disk.
const QUEUE_LENGTH: usize = 4096;

/// Handle to the flush thread; clones share it.
#[derive(Clone, Default)]
pub struct Flusher {
    sender: Arc<Mutex<Option<SyncSender<Request>>>>,
    news: Arc<News>,
}

/// What the chores are told.
#[derive(Default)]
struct News {
    /// Sealed segments have reached the disk, which no checkpoint says yet.
    has_sealed: AtomicBool,
    signal: Arc<Signal>,
}

impl Flusher {
    /// `signal` wakes the chores.
    pub fn new(signal: Arc<Signal>) -> Flusher {
        let news = Arc::new(News { signal, ..News::default() });
        Flusher { sender: Arc::default(), news }
    }

    /// Whether sealed segments have reached the disk since the last call.
    pub fn take_sealed(&self) -> bool {
        self.news.has_sealed.swap(false, Ordering::AcqRel)
    }

    /// Asks for `replica` to be brought to disk.
    pub fn request(&self, replica: Arc<Replica>, what: Flush) {
        let sender = self.sender.lock().get_or_insert_with(|| start(self.news.clone())).clone();
        sender.send((replica, what)).expect("the flush thread lives as long as its handle");
    }
}

fn start(news: Arc<News>) -> SyncSender<Request> {
    let (sender, requests) = sync_channel(QUEUE_LENGTH);
    std::thread::Builder::new()
        .name("flusher".into())
        .spawn(move || run(requests, &news))
        .expect("the operating system gives one more thread");
    sender
}

fn run(requests: Receiver<Request>, news: &News) {
    while let Ok(first) = requests.recv() {
        let mut group: Vec<Request> = vec![first];
        for (replica, what) in requests.try_iter() {
            let is_known = |(other, known): &Request| Arc::ptr_eq(other, &replica) && *known == what;
            if !group.iter().any(is_known) {
                group.push((replica, what));
            }
        }
        let has_sealed = group.iter().any(|(_, what)| *what == Flush::Sealed);
        for (replica, what) in group {
            flush(&replica, what);
        }
        if has_sealed {
            news.has_sealed.store(true, Ordering::Release);
            news.signal.raise();
        }
    }
}

/// Brings one partition to disk. A failed fsync says nothing about what is on disk, and the next one may
/// succeed without having written it: the partition goes offline instead of asking again.
pub fn flush(replica: &Replica, what: Flush) {
    let ticket = replica.with_log(|log, _| match what {
        Flush::All => log.unflushed(),
        Flush::Sealed => log.unflushed_sealed(),
    });
    let Some(ticket) = ticket else { return };
    match ticket.flush() {
        Ok(()) => replica.flushed(&ticket),
        Err(error) => {
            tracing::error!(partition = %replica.name(), error = format!("{error:#}"), "fsync failed, the partition goes offline");
            replica.close();
        }
    }
}
