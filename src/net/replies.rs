//! The responses of one connection that are not there yet, in the order of their requests.
//!
//! Responses leave in the order of their requests, so one that is ready waits behind one that is not. The
//! queue is bounded; when it is full the connection handles no further request.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::handlers::reply::{LocalFuture, Output, Work};
use crate::telemetry::metrics::RequestKind;

/// So many waiting responses stop a connection from reading on. Producers have five in flight.
const MAX_WAITING: usize = 64;

/// So many bytes of responses that wait behind one that is not ready stop it too.
const MAX_READY_SIZE_BYTES: usize = 256 * 1024;

/// When a request was handed to its handler, for its latency.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    pub kind: RequestKind,
    pub at_us: u64,
}

/// The queue of a connection.
#[derive(Default)]
pub struct Replies {
    queue: VecDeque<Reply>,
    /// How many of `queue` wait for a future.
    waiting_count: usize,
    /// Bytes of the responses in `queue` that are ready.
    ready_size_bytes: usize,
    /// The last of the queue parks the connection: no request is handled before it is answered.
    parked: Option<Parked>,
}

/// What a connection waits for.
enum Parked {
    /// A long poll or the like, which nobody needs when the peer is gone.
    Answer,
    /// What is finished in any case, with the bytes it holds.
    Work(Rc<Cell<usize>>),
}

enum Reply {
    Ready(Output),
    Waiting(LocalFuture<Output>, Begun),
}

impl Replies {
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a further request may be handled.
    pub fn accepts_more(&self) -> bool {
        self.parked.is_none()
            && self.waiting_count < MAX_WAITING
            && self.ready_size_bytes < MAX_READY_SIZE_BYTES
    }

    /// Memory of the responses that are ready, and of the work that is not.
    pub fn held_size_bytes(&self) -> usize {
        self.ready_size_bytes + self.work_size_bytes()
    }

    /// Memory of the work that the connection waits for, as long as it holds some.
    pub fn work_size_bytes(&self) -> usize {
        match &self.parked {
            Some(Parked::Work(held_size_bytes)) => held_size_bytes.get(),
            Some(Parked::Answer) | None => 0,
        }
    }

    /// Whether the connection waits for what nobody needs when the peer is gone: a long poll or the like.
    pub fn is_parked_for_peer(&self) -> bool {
        matches!(self.parked, Some(Parked::Answer))
    }

    /// A response that will be there later; the connection reads on.
    pub fn push(&mut self, future: LocalFuture<Output>, begun: Begun) {
        self.waiting_count += 1;
        self.queue.push_back(Reply::Waiting(future, begun));
    }

    /// A response that the connection waits for before it handles the next request.
    pub fn park(&mut self, future: LocalFuture<Output>, begun: Begun) {
        self.push(future, begun);
        self.parked = Some(Parked::Answer);
    }

    /// The same for what is finished in any case.
    pub fn park_work(&mut self, work: Work, begun: Begun) {
        self.push(work.output, begun);
        self.parked = Some(Parked::Work(work.held_size_bytes));
    }

    /// A response that is ready but stands behind others.
    pub fn push_ready(&mut self, output: Output) {
        self.ready_size_bytes += output.bytes.len();
        match self.queue.back_mut() {
            Some(Reply::Ready(last)) => last.append(output),
            Some(Reply::Waiting(..)) | None => self.queue.push_back(Reply::Ready(output)),
        }
    }

    /// The next response in order once it is there, with the request it answers if that had to wait.
    /// Pending also when the queue is empty; then nothing wakes the caller.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<(Output, Option<Begun>)> {
        if let Some(Reply::Waiting(future, begun)) = self.queue.front_mut() {
            let output = ready!(future.as_mut().poll(context));
            let begun = *begun;
            self.queue.pop_front();
            self.waiting_count -= 1;
            // The reply that parks is the last one to wait.
            if self.waiting_count == 0 {
                self.parked = None;
            }
            return Poll::Ready((output, Some(begun)));
        }
        match self.queue.pop_front() {
            Some(Reply::Ready(output)) => {
                self.ready_size_bytes -= output.bytes.len();
                Poll::Ready((output, None))
            }
            Some(Reply::Waiting(..)) | None => Poll::Pending,
        }
    }
}
