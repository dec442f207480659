//! One connection: reads, cuts into frames, has them handled in order, sends the responses in order.
//!
//! It is one poll function over four steps (collect replies, send, handle, read) instead of nested
//! awaits, because each of them can be the one that waits and all must be woken. An idle connection holds
//! no buffer. A peer that does not read its responses is not served further; neither is one whose
//! responses are not ready (`SocketServer.Processor` mutes the channel in the same cases).

use std::io;
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tracing::debug;

use super::balance::Share;
use super::budget::Charge;
use super::buffers::BASE_SIZE_BYTES;
use super::receive::Receive;
use super::replies::{Begun, Replies};
use super::send::{Outbox, Sent};
use super::worker::{Activity, ActivityState, WorkerShared};
use crate::handlers::reply::{Handled, Output, Service};
use crate::telemetry::metrics::RequestKind;

/// A connection handles requests for at most this long before the others of its worker have their turn.
const TURN_DURATION_US: u64 = 500;

/// Responses of this size are sent before the next request is handled.
const OUTPUT_HIGH_WATER_SIZE_BYTES: usize = 256 * 1024;

/// To send this much takes longer than to look at the clock afterwards.
const LARGE_SEND_SIZE_BYTES: usize = 16 * 1024;

/// Why a connection ended; for the log.
#[derive(Debug)]
pub enum Ended {
    /// The peer closed its side.
    ByPeer,
    /// The peer or a handler asked for something that ends a connection.
    Refused(&'static str),
    /// A handler's last response has been sent.
    Answered,
    Failed(io::Error),
    /// The server stops.
    Stopped,
    /// It goes on at another worker.
    Moves(usize, Moved),
}

/// What a connection takes along to another worker.
#[derive(Debug)]
pub struct Moved {
    pub stream: std::net::TcpStream,
    /// Requests that are not handled yet; the last of them may be the beginning of one.
    pub received: Box<[u8]>,
}

/// The state of one connection.
pub struct Connection<S: Service> {
    stream: TcpStream,
    worker: Rc<WorkerShared<S>>,
    activity: Rc<Activity>,
    session: S::Session,
    receive: Receive,
    replies: Replies,
    outbox: Outbox,
    /// What the connection holds while it waits.
    charge: Charge,
    /// Nothing more is read or handled; the connection ends for this reason when all is sent.
    ending: Option<Ended>,
    /// While the peer is watched: bytes wait in the socket, so that watching it tells nothing.
    peer_has_sent: bool,
    /// Until then nothing is read or handled: the client has overdrawn a quota (KIP-219).
    muted: Option<Pin<Box<Sleep>>>,
    /// The clock as it was read last: after a read or a handler.
    now_us: u64,
    /// What it has had of its worker's time, and whether it is to leave.
    share: Share,
}

/// What a step of the connection leads to.
enum Step {
    /// The next step can go on.
    Proceed,
    /// Others have their turn first.
    TurnOver,
    /// Something registered will wake the connection.
    Wait,
}

impl<S: Service> Connection<S> {
    pub fn new(
        stream: TcpStream,
        worker: Rc<WorkerShared<S>>,
        activity: Rc<Activity>,
        session: S::Session,
        received: Box<[u8]>,
    ) -> Connection<S> {
        let charge = worker.budget.charge();
        Connection {
            stream,
            worker,
            activity,
            session,
            receive: Receive::of(received),
            replies: Replies::default(),
            outbox: Outbox::default(),
            charge,
            ending: None,
            peer_has_sent: false,
            muted: None,
            now_us: 0,
            share: Share::default(),
        }
    }

    /// Serves the peer until one side ends the connection, or it is to go on elsewhere.
    pub async fn run(&mut self) -> Ended {
        let ended = std::future::poll_fn(|context| self.poll(context)).await;
        self.settle();
        ended
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        self.now_us = self.worker.clock.uptime_us();
        let began_us = self.now_us;
        self.worker.place.balance.turn(began_us, &mut self.share);
        let polled = self.take_turn(context, began_us + TURN_DURATION_US);
        self.worker.place.balance.spent(self.now_us - began_us, &mut self.share);
        polled
    }

    fn take_turn(&mut self, context: &mut Context<'_>, turn_ends_us: u64) -> Poll<Ended> {
        loop {
            let step = match self.step(context, turn_ends_us) {
                Ok(step) => step,
                Err(ended) => return Poll::Ready(ended),
            };
            match step {
                Step::Proceed => continue,
                Step::TurnOver => {
                    self.settle();
                    // A yielded task runs after the worker has looked at its sockets again.
                    let yielded = pin!(tokio::task::yield_now()).poll(context);
                    debug_assert!(yielded.is_pending());
                    return Poll::Pending;
                }
                Step::Wait => {
                    self.settle();
                    return Poll::Pending;
                }
            }
        }
    }

    fn step(&mut self, context: &mut Context<'_>, turn_ends_us: u64) -> Result<Step, Ended> {
        let collected = self.collect_replies(context);
        let sent = self.send(context);
        // Whatever came of it: no request was handled without coming by here before the turn ends.
        self.worker.service.replied();
        match sent? {
            Poll::Ready(Sent::All) => {}
            Poll::Ready(Sent::TurnOver) => return Ok(Step::TurnOver),
            // The responses go first: nothing is handled while the peer does not take them.
            Poll::Pending => return Ok(Step::Wait),
        }
        if let Poll::Ready(()) = collected {
            return Ok(Step::Proceed);
        }
        if self.replies.is_empty()
            && let Some(ended) = self.ending.take()
        {
            return Err(ended);
        }
        if self.replies.is_parked_for_peer() {
            return self.watch_peer(context);
        }
        let takes_requests = self.ending.is_none() && !self.worker.is_stopping();
        if !takes_requests && self.replies.is_empty() {
            return Err(Ended::Stopped);
        }
        if !takes_requests || !self.replies.accepts_more() {
            return Ok(Step::Wait);
        }
        if self.share.target().is_some() && !self.replies.is_empty() {
            // The last of them is the moment to leave.
            return Ok(Step::Wait);
        }
        if let Some(muted) = &mut self.muted {
            // What the peer has sent stays where it is, also when it has closed its side.
            if muted.as_mut().poll(context).is_pending() {
                return Ok(Step::Wait);
            }
            self.muted = None;
        }
        if let Some(ended) = self.leave() {
            return Err(ended);
        }
        if self.now_us >= turn_ends_us {
            return Ok(Step::TurnOver);
        }
        if self.receive.has_frame(self.worker.limits.max_request_size_bytes) {
            self.handle_frames(turn_ends_us);
            return Ok(Step::Proceed);
        }
        self.read(context)
    }

    /// Leaves for another worker if it is to and can: nothing is on its way, and no more has arrived than moves at once.
    fn leave(&mut self) -> Option<Ended> {
        let target = self.share.target()?;
        if self.charge.is_waiting() || self.receive.waiting_size_bytes() > BASE_SIZE_BYTES {
            return None;
        }
        match self.stream.as_fd().try_clone_to_owned() {
            Ok(socket) => {
                let moved = Moved { stream: socket.into(), received: self.receive.take_waiting() };
                Some(Ended::Moves(target, moved))
            }
            // For lack of descriptors, for example.
            Err(error) => {
                debug!(%error, "a connection stays on its worker");
                self.share.stay();
                None
            }
        }
    }

    /// Moves the responses that are there, in order, to where they are sent from. Pending when the next
    /// one has to be waited for; ready when the present ones have to leave first.
    fn collect_replies(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.outbox.is_open() && self.outbox.output().size_bytes() < OUTPUT_HIGH_WATER_SIZE_BYTES {
            let (mut output, begun) = ready!(self.replies.poll_next(context));
            if let Some(begun) = begun {
                self.now_us = self.worker.clock.uptime_us();
                self.worker.metrics.request_done(begun.kind, self.now_us - begun.at_us);
            }
            // Here and not with the next request that is handled, which finds the outbox as it is left.
            self.mute(std::mem::take(&mut output.throttle_ms));
            if output.close && self.ending.is_none() {
                self.ending = Some(Ended::Answered);
            }
            self.outbox.add(output);
        }
        Poll::Ready(())
    }

    fn send(&mut self, context: &mut Context<'_>) -> Result<Poll<Sent>, Ended> {
        let (size_bytes, result) = self.outbox.poll_send(context, &self.stream);
        if size_bytes > 0 {
            self.worker.metrics.bytes_out.add(size_bytes as u64);
            if size_bytes >= LARGE_SEND_SIZE_BYTES {
                self.now_us = self.worker.clock.uptime_us();
            }
            self.activity.touch(self.now_us);
        }
        match result {
            Poll::Ready(Ok(sent)) => Ok(Poll::Ready(sent)),
            Poll::Ready(Err(error)) => Err(Ended::Failed(error)),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Handles whole frames in order until there is none, a response parks the connection, responses
    /// have piled up, or the turn is over.
    fn handle_frames(&mut self, turn_ends_us: u64) {
        self.activity.completed_frame(self.now_us);
        self.outbox.provide(|| self.worker.pool.borrow_mut().take_output());
        while self.ending.is_none()
            && self.muted.is_none()
            && self.replies.accepts_more()
            && self.outbox.output().size_bytes() < OUTPUT_HIGH_WATER_SIZE_BYTES
            && self.now_us < turn_ends_us
        {
            match self.receive.take_frame(self.worker.limits.max_request_size_bytes) {
                Ok(Some(frame)) => {
                    let begun = Begun { kind: RequestKind::of(frame), at_us: self.now_us };
                    // A response behind others that are not there yet has to wait for them.
                    let mut queued = Output::default();
                    let stands_first = self.replies.is_empty();
                    let output = if stands_first { self.outbox.output() } else { &mut queued };
                    let handled = self.worker.service.handle(&mut self.session, frame, output);
                    let throttle_ms = std::mem::take(&mut output.throttle_ms);
                    self.now_us = self.worker.clock.uptime_us();
                    self.mute(throttle_ms);
                    self.take_in(handled, queued, begun);
                }
                Ok(None) => return,
                Err(bad_frame) => self.ending = Some(Ended::Refused(bad_frame.reason())),
            }
        }
    }

    /// Handles no further request for so long, and at least as long as was said before.
    fn mute(&mut self, throttle_ms: u32) {
        if throttle_ms == 0 {
            return;
        }
        self.receive.forget_backlog();
        let rest = Box::pin(sleep(Duration::from_millis(u64::from(throttle_ms))));
        if self.muted.as_ref().is_none_or(|muted| muted.deadline() < rest.deadline()) {
            self.muted = Some(rest);
        }
    }

    /// Puts what the handler gave in its place. `queued` is the response if others stand before it.
    fn take_in(&mut self, handled: Handled, queued: Output, begun: Begun) {
        match handled {
            Handled::Done | Handled::Nothing => {
                self.worker.metrics.request_done(begun.kind, self.now_us - begun.at_us);
                if queued.close || self.outbox.output().close {
                    self.ending = Some(Ended::Answered);
                }
                if !queued.is_empty() {
                    self.replies.push_ready(queued);
                }
            }
            Handled::Wait(future) => self.replies.park(future, begun),
            Handled::Work(work) => self.replies.park_work(*work, begun),
            Handled::Later(future) => self.replies.push(future, begun),
            Handled::Close(reason) => self.ending = Some(Ended::Refused(reason)),
        }
    }

    fn read(&mut self, context: &mut Context<'_>) -> Result<Step, Ended> {
        let max_request_size_bytes = self.worker.limits.max_request_size_bytes;
        if self.receive.begins_large(max_request_size_bytes) && self.charge.poll_room(context).is_pending() {
            return self.watch_peer(context);
        }
        if self.receive.must_grow(max_request_size_bytes) && self.charge.is_exhausted() {
            return Err(Ended::Refused("no memory for a request as large as this"));
        }
        match self.poll_read(context) {
            Poll::Pending => Ok(Step::Wait),
            Poll::Ready(Ok(0)) => {
                self.ending = Some(Ended::ByPeer);
                Ok(Step::Proceed)
            }
            Poll::Ready(Ok(size_bytes)) => {
                self.receive.filled(size_bytes);
                if self.receive.held_size_bytes() > BASE_SIZE_BYTES {
                    self.charge.set(self.receive.held_size_bytes());
                }
                self.peer_has_sent = false;
                self.now_us = self.worker.clock.uptime_us();
                self.worker.metrics.bytes_in.add(size_bytes as u64);
                self.activity.touch(self.now_us);
                Ok(Step::Proceed)
            }
            Poll::Ready(Err(error)) => Err(Ended::Failed(error)),
        }
    }

    /// Reads once. No buffer is taken before there is something to read.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_read_ready(context))?;
        let mut pool = self.worker.pool.borrow_mut();
        let max_request_size_bytes = self.worker.limits.max_request_size_bytes;
        let room = self.receive.room(&mut pool, max_request_size_bytes, self.charge.has_plenty());
        let mut buffer = ReadBuf::new(room);
        // Unlike `try_read` this notes that a read which did not fill its buffer has emptied the socket,
        // and saves the read that would find out.
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// While the connection waits with nothing on its way: notices a peer that closed its side, so that a
    /// long poll of a client that left does not live on. Bytes it sent meanwhile stay in the socket and
    /// end the watch.
    fn watch_peer(&mut self, context: &mut Context<'_>) -> Result<Step, Ended> {
        while !self.peer_has_sent {
            match self.stream.poll_read_ready(context) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(Ended::Failed(error)),
                Poll::Ready(Ok(())) => {}
            }
            let mut byte = [0; 1];
            let peek =
                || Ok(rustix::net::recv(&self.stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT)?.0);
            match self.stream.try_io(Interest::READABLE, peek) {
                Ok(0) => return Err(Ended::ByPeer),
                Ok(_) => self.peer_has_sent = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Ended::Failed(error)),
            }
        }
        Ok(Step::Wait)
    }

    /// Before the connection waits: gives memory back that others can use meanwhile.
    fn settle(&mut self) {
        let mut pool = self.worker.pool.borrow_mut();
        self.receive.settle(&mut pool);
        if let Some(bytes) = self.outbox.take_unused() {
            pool.give_back_output(bytes);
        }
        let responses_size_bytes = self.outbox.held_size_bytes() + self.replies.held_size_bytes();
        let held_size_bytes = self.receive.held_size_bytes() + responses_size_bytes;
        self.charge.set(held_size_bytes);
        let state = if self.replies.is_parked_for_peer() && self.outbox.is_empty() {
            ActivityState::Parked
        } else if self.replies.work_size_bytes() > 0 {
            ActivityState::Working
        } else if !self.replies.is_empty() || !self.outbox.is_empty() {
            ActivityState::Busy
        } else if self.charge.is_waiting() {
            ActivityState::Starved
        } else {
            ActivityState::Idle
        };
        self.activity.settle(state, held_size_bytes);
    }
}

impl<S: Service> Drop for Connection<S> {
    fn drop(&mut self) {
        self.receive.release(&mut self.worker.pool.borrow_mut());
    }
}
