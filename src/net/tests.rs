//! Real sockets on loopback, with a small service whose requests say how they are to be answered.

mod moving;

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::budget::{ByteBudget, DEFAULT_LIMIT_SIZE_BYTES};
use super::listener::{ConnectionCounts, ConnectionQuotas, ListenerOptions, SocketOptions};
use super::server::{BoundServer, Server, ServerOptions, WorkerContext};
use super::worker::{ConnectionLimits, DEFAULT_MAX_STALL_MS};
use crate::env::clock::Clock;
use crate::handlers::reply::{Handled, Output, Peer, Service, Work};
use crate::telemetry::metrics::Metrics;

/// How long a test waits for what must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first byte of a test's frame: what the service does with it.
const ECHO: u8 = 0;
const SILENT: u8 = 1;
/// Answered when a `RELEASE` frame has been handled.
const LATER: u8 = 2;
const RELEASE: u8 = 3;
/// Never answered; the test is told when its future is dropped.
const PARK: u8 = 4;
const CLOSE: u8 = 5;
/// Answered with as many bytes as its number says.
const LARGE: u8 = 6;
/// Answered, and then the connection rests for so many milliseconds as its number says.
const THROTTLE: u8 = 7;
/// The same without an answer.
const THROTTLE_SILENTLY: u8 = 8;
/// The same two, when the connection has to wait for what they come to.
const THROTTLE_PARKED: u8 = 9;
const THROTTLE_PARKED_SILENTLY: u8 = 10;
/// Not answered; takes so many milliseconds as its number says, and then the test is told.
const WORK: u8 = 11;

/// Answered, and then the worker waits for the test's word.
const HALT: u8 = 12;

/// Keeps the worker busy for so many microseconds as its number says, and is answered with the number of the worker in
/// front.
const BURN: u8 = 13;

/// What a `WORK` frame holds meanwhile.
const WORK_SIZE_BYTES: usize = 1000;

struct TestService {
    index: usize,
    clock: Clock,
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
    dropped: mpsc::Sender<&'static str>,
    /// Set by a `HALT` frame until its answer has left.
    must_halt: Cell<bool>,
    go_on: Arc<Mutex<mpsc::Receiver<()>>>,
}

/// Tells the test when it goes.
struct Tell(mpsc::Sender<&'static str>, &'static str);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

impl Service for TestService {
    type Session = Tell;

    fn open(&self, _peer: Peer) -> Result<Tell, Duration> {
        Ok(Tell(self.dropped.clone(), "session"))
    }

    fn take_over(&self, _peer: Peer) -> Tell {
        Tell(self.dropped.clone(), "session that was taken over")
    }

    fn handle(&self, _session: &mut Tell, frame: &mut [u8], out: &mut Output) -> Handled {
        assert_eq!(out.throttle_ms, 0, "no request is throttled for another");
        match frame[0] {
            ECHO => answer(out, frame),
            SILENT => return Handled::Nothing,
            LATER => {
                let (sender, receiver) = oneshot::channel();
                self.waiting.borrow_mut().push(sender);
                let frame = frame.to_vec();
                return Handled::Later(Box::pin(async move {
                    let _ = receiver.await;
                    let mut out = Output::default();
                    answer(&mut out, &frame);
                    out
                }));
            }
            RELEASE => {
                self.waiting.borrow_mut().clear();
                answer(out, frame);
            }
            PARK => {
                let tell = Tell(self.dropped.clone(), "parked");
                return Handled::Wait(Box::pin(async move {
                    let _tell = tell;
                    std::future::pending().await
                }));
            }
            THROTTLE => {
                out.throttle_ms = number(frame);
                answer(out, frame);
            }
            THROTTLE_SILENTLY => {
                out.throttle_ms = number(frame);
                return Handled::Nothing;
            }
            THROTTLE_PARKED => {
                let mut out = Output { throttle_ms: number(frame), ..Output::default() };
                answer(&mut out, frame);
                return Handled::Wait(Box::pin(std::future::ready(out)));
            }
            THROTTLE_PARKED_SILENTLY => {
                let out = Output { throttle_ms: number(frame), ..Output::default() };
                return Handled::Wait(Box::pin(std::future::ready(out)));
            }
            WORK => {
                let (worked, duration) = (self.dropped.clone(), Duration::from_millis(number(frame).into()));
                return Handled::Work(Work::holding(WORK_SIZE_BYTES, async move |_held| {
                    tokio::time::sleep(duration).await;
                    let _ = worked.send("worked");
                    Output::default()
                }));
            }
            HALT => {
                self.must_halt.set(true);
                answer(out, frame);
            }
            BURN => {
                let end_us = self.clock.uptime_us() + u64::from(number(frame));
                while self.clock.uptime_us() < end_us {
                    std::hint::spin_loop();
                }
                answer(out, &[&[self.index as u8], &*frame].concat());
            }
            CLOSE => return Handled::Close("the test asked for it"),
            LARGE => answer(out, &vec![7; number(frame) as usize]),
            other => panic!("no such test request: {other}"),
        }
        Handled::Done
    }

    fn replied(&self) {
        if self.must_halt.take() {
            let outcome = self.go_on.lock().recv_timeout(PATIENCE);
            let _ = self.dropped.send(if outcome.is_ok() { "went on" } else { "lost patience" });
        }
    }
}

/// The last four bytes.
fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(*frame.last_chunk().expect("a number"))
}

fn answer(out: &mut Output, payload: &[u8]) {
    out.bytes.extend_from_slice(&frame(payload));
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as i32).to_be_bytes(), payload].concat()
}

/// A running server and what its service tells.
struct Harness {
    server: Server,
    connections: Arc<ConnectionCounts>,
    budget: Arc<ByteBudget>,
    metrics: Arc<Metrics>,
    dropped: mpsc::Receiver<&'static str>,
    go_on: mpsc::Sender<()>,
}

fn options() -> ServerOptions {
    ServerOptions {
        listeners: vec![ListenerOptions {
            name: "PLAINTEXT".into(),
            host: "localhost".to_owned(),
            port: 0,
            max_connections: usize::MAX,
        }],
        sockets: SocketOptions { backlog: 50, send_buffer_size_bytes: None, receive_buffer_size_bytes: None },
        quotas: ConnectionQuotas {
            max_connections: usize::MAX,
            max_connections_per_ip: usize::MAX,
            per_ip_overrides: Default::default(),
        },
        connections: ConnectionLimits {
            max_request_size_bytes: 100 << 20,
            max_idle_ms: Some(600_000),
            max_stall_ms: DEFAULT_MAX_STALL_MS,
        },
        worker_count: 1,
        clock: Clock::system(),
        metrics: Arc::new(Metrics::default()),
        budget: ByteBudget::new(DEFAULT_LIMIT_SIZE_BYTES),
    }
}

impl Harness {
    fn start() -> Harness {
        Harness::start_with(options())
    }

    fn start_with(options: ServerOptions) -> Harness {
        let (sender, dropped) = mpsc::channel();
        let (go_on, halted) = mpsc::channel();
        let halted = Arc::new(Mutex::new(halted));
        let (budget, metrics) = (options.budget.clone(), options.metrics.clone());
        let clock = options.clock.clone();
        let make_service = move |context: WorkerContext| TestService {
            index: context.index,
            clock: clock.clone(),
            waiting: RefCell::default(),
            dropped: sender.clone(),
            must_halt: Cell::new(false),
            go_on: halted.clone(),
        };
        let bound = BoundServer::bind(options).expect("bind");
        let connections = bound.connections();
        let server = bound.start(make_service).expect("start");
        Harness { server, connections, budget, metrics, dropped, go_on }
    }

    fn address(&self) -> SocketAddr {
        self.server.addresses()[0].address
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        stream
    }

    /// The next thing the service tells to be gone.
    fn next_dropped(&self) -> &'static str {
        self.dropped.recv_timeout(PATIENCE).expect("something is dropped in time")
    }
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut payload = vec![0; i32::from_be_bytes(length) as usize];
    stream.read_exact(&mut payload).expect("a payload");
    payload
}

fn exchange(stream: &mut TcpStream, payload: &[u8]) -> Vec<u8> {
    stream.write_all(&frame(payload)).expect("write");
    read_frame(stream)
}

/// The peer has closed: nothing more comes.
fn expect_closed(stream: &mut TcpStream) {
    let mut byte = [0; 1];
    match stream.read(&mut byte) {
        Ok(size_bytes) => assert_eq!(size_bytes, 0, "no further response is expected"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn a_frame_split_at_every_byte_is_answered_once() {
    let harness = Harness::start();
    let mut stream = harness.connect();
    let bytes = frame(&[ECHO, 1, 2, 3, 4, 5, 6, 7]);
    for cut in 1..bytes.len() {
        stream.write_all(&bytes[..cut]).expect("write");
        stream.write_all(&bytes[cut..]).expect("write");
        assert_eq!(read_frame(&mut stream), &bytes[4..]);
    }
}

#[test]
fn many_frames_in_one_write_are_answered_in_order() {
    let harness = Harness::start();
    let mut stream = harness.connect();
    let payload = |index: u32| [&[ECHO], &index.to_be_bytes()[..]].concat();
    let bytes: Vec<u8> = (0..5_000).flat_map(|index| frame(&payload(index))).collect();
    stream.write_all(&bytes).expect("write");
    for index in 0..5_000 {
        assert_eq!(read_frame(&mut stream), payload(index));
    }
}

#[test]
fn large_frames_come_and_go_whole() {
    let harness = Harness::start();
    let mut stream = harness.connect();
    let mut random = fastrand::Rng::with_seed(5);
    for size_bytes in [65_536, 65_640, 1 << 20, (1 << 20) + 77, 5_000_000] {
        let mut payload: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(size_bytes).collect();
        payload[0] = ECHO;
        let mut writer = stream.try_clone().expect("clone");
        let bytes = frame(&payload);
        let writing = std::thread::spawn(move || writer.write_all(&bytes).expect("write"));
        assert!(read_frame(&mut stream) == payload, "{size_bytes}");
        writing.join().expect("written");
    }
}

#[test]
fn responses_keep_the_order_of_their_requests_when_some_come_later() {
    let harness = Harness::start();
    let mut stream = harness.connect();
    let requests = [[LATER, 1], [ECHO, 2], [LATER, 3], [SILENT, 4], [ECHO, 5], [RELEASE, 6], [ECHO, 7]];
    let bytes: Vec<u8> = requests.iter().flat_map(|request| frame(request)).collect();
    stream.write_all(&bytes).expect("write");
    for request in requests.iter().filter(|request| request[0] != SILENT) {
        assert_eq!(read_frame(&mut stream), request);
    }
}

#[test]
fn what_can_wait_for_the_responses_is_done_when_they_have_left() {
    let harness = Harness::start();
    let mut stream = harness.connect();
    assert_eq!(exchange(&mut stream, &[HALT, 1]), [HALT, 1]);
    harness.go_on.send(()).expect("the worker waits");
    assert_eq!(harness.next_dropped(), "went on");
}

#[test]
fn a_full_queue_of_waiting_responses_stops_reading_and_goes_on_afterwards() {
    let harness = Harness::start();
    let (mut stream, mut other) = (harness.connect(), harness.connect());
    for index in 0..200_u8 {
        stream.write_all(&frame(&[LATER, index])).expect("write");
    }
    let mut answered = 0;
    while answered < 200 {
        // What is queued is released; what was beyond the queue's end comes into it.
        exchange(&mut other, &[RELEASE]);
        stream.set_nonblocking(true).expect("nonblocking");
        let mut byte = [0; 1];
        let something_came = stream.peek(&mut byte).is_ok();
        stream.set_nonblocking(false).expect("blocking");
        if something_came {
            assert_eq!(read_frame(&mut stream), [LATER, answered]);
            answered += 1;
        }
    }
}

#[test]
fn a_client_that_vanishes_during_a_long_poll_is_noticed() {
    let harness = Harness::start();
    let mut stream = harness.connect();
    stream.write_all(&frame(&[PARK])).expect("write");
    drop(stream);
    let mut dropped = [harness.next_dropped(), harness.next_dropped()];
    dropped.sort();
    assert_eq!(dropped, ["parked", "session"]);
}

#[test]
fn what_a_client_asked_for_before_it_vanished_is_worked_off() {
    let harness = Harness::start();
    let mut stream = harness.connect();
    stream.write_all(&throttle(WORK, 50).repeat(2)).expect("write");
    drop(stream);
    let told = [harness.next_dropped(), harness.next_dropped(), harness.next_dropped()];
    assert_eq!(told, ["worked", "worked", "session"]);
    let mut other = harness.connect();
    exchange(&mut other, &[ECHO]);
    assert_eq!(harness.budget.held_size_bytes(), 0);
}

#[test]
fn work_has_its_share_of_the_memory() {
    let harness = Harness::start();
    let (mut stream, mut other) = (harness.connect(), harness.connect());
    stream.write_all(&throttle(WORK, 3_600_000)).expect("write");
    while harness.budget.held_size_bytes() < WORK_SIZE_BYTES {
        exchange(&mut other, &[ECHO]);
    }
    harness.server.stop(Duration::from_millis(50));
    expect_closed(&mut stream);
    assert_eq!(harness.budget.held_size_bytes(), 0);
}

#[test]
fn stopping_waits_for_work() {
    let harness = Harness::start();
    let (mut stream, mut other) = (harness.connect(), harness.connect());
    let work = throttle(WORK, 300);
    stream.write_all(&work).expect("write");
    let mut size_bytes = work.len() as u64;
    while harness.metrics.bytes_in() < size_bytes {
        exchange(&mut other, &[ECHO]);
        size_bytes += 5;
    }
    exchange(&mut other, &[ECHO]);
    harness.server.stop(Duration::from_secs(60));
    let told = || harness.dropped.recv_timeout(PATIENCE).expect("something is told in time");
    let mut told = [told(), told()];
    told.sort();
    assert_eq!(told, ["session", "worked"], "the idle connection and the work");
    expect_closed(&mut stream);
}

#[test]
fn a_parked_connection_handles_no_further_request() {
    let harness = Harness::start();
    let (mut stream, mut other) = (harness.connect(), harness.connect());
    stream.write_all(&[frame(&[PARK]), frame(&[ECHO])].concat()).expect("write");
    assert_eq!(exchange(&mut other, &[ECHO, 1]), [ECHO, 1]);
    stream.set_nonblocking(true).expect("nonblocking");
    let error = stream.peek(&mut [0; 1]).expect_err("nothing is answered");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn impossible_lengths_and_refused_frames_close_the_connection_after_earlier_responses() {
    let harness = Harness::start();
    let too_large = (100 << 20) + 1;
    for end in [frame(&[]), (-1_i32).to_be_bytes().into(), i32::MIN.to_be_bytes().into(), frame(&[CLOSE])]
        .into_iter()
        .chain([i32::to_be_bytes(too_large).to_vec(), i32::MAX.to_be_bytes().into()])
    {
        let mut stream = harness.connect();
        stream.write_all(&[frame(&[ECHO, 9]), end].concat()).expect("write");
        assert_eq!(read_frame(&mut stream), [ECHO, 9]);
        expect_closed(&mut stream);
    }
}

#[test]
fn a_client_that_reads_nothing_is_not_served_further_and_others_are() {
    let harness = Harness::start();
    let mut lazy = harness.connect();
    let large = [&[LARGE], &4_000_000_i32.to_be_bytes()[..]].concat();
    for _ in 0..10 {
        lazy.write_all(&frame(&large)).expect("write");
    }
    let mut other = harness.connect();
    for index in 0..100 {
        assert_eq!(exchange(&mut other, &[ECHO, index]), [ECHO, index]);
    }
    for _ in 0..10 {
        assert_eq!(read_frame(&mut lazy).len(), 4_000_000);
    }
}

#[test]
fn stopping_ends_idle_and_parked_connections() {
    let harness = Harness::start();
    let (mut idle, mut parked) = (harness.connect(), harness.connect());
    exchange(&mut idle, &[ECHO]);
    parked.write_all(&frame(&[PARK])).expect("write");
    assert_eq!(exchange(&mut idle, &[ECHO]), [ECHO]);
    harness.server.stop(Duration::from_secs(10));
    expect_closed(&mut idle);
    expect_closed(&mut parked);
}

#[test]
fn stopping_does_not_wait_longer_than_it_may_for_responses() {
    let harness = Harness::start();
    let (mut stream, mut other) = (harness.connect(), harness.connect());
    stream.write_all(&[frame(&[ECHO]), frame(&[LATER])].concat()).expect("write");
    assert_eq!(read_frame(&mut stream), [ECHO]);
    exchange(&mut other, &[ECHO]);
    harness.server.stop(Duration::from_millis(50));
    expect_closed(&mut stream);
}

#[test]
fn the_largest_idle_time_is_no_limit() {
    let mut options = options();
    options.connections.max_idle_ms = Some(i64::MAX as u64);
    let harness = Harness::start_with(options);
    assert_eq!(exchange(&mut harness.connect(), &[ECHO]), [ECHO]);
}

#[test]
fn what_was_counted_is_rendered() {
    let harness = Harness::start();
    let mut stream = harness.connect();
    exchange(&mut stream, &[ECHO, 3, 0, 1]);
    let text = harness.metrics.render();
    for line in [
        "kafka_server_socket_server_metrics_connection_count{listener=\"PLAINTEXT\"} 1",
        "kafka_server_socket_server_metrics_incoming_byte_total 8",
        "kafka_network_requestmetrics_requests_total{request=\"Metadata\",version=\"1\"} 1",
        "kafka_network_socketserver_memorypoolused 0",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[test]
fn a_port_in_use_is_refused_with_its_address() {
    let harness = Harness::start();
    let mut second = options();
    second.listeners[0].port = harness.address().port();
    let error = BoundServer::bind(second).map(|_| ()).expect_err("the port is taken");
    let text = format!("{error:#}");
    assert!(text.contains(&harness.address().to_string()) && text.contains("in use"), "{text}");
}

#[test]
fn half_sent_frames_hold_only_what_was_sent() {
    const CLIENTS: usize = 2_000;
    const SENT: usize = 100;
    let harness = Harness::start();
    let half = [&i32::to_be_bytes(1 << 20)[..], &[ECHO; SENT - 4]].concat();
    let mut slow = Vec::new();
    let mut healthy = harness.connect();
    let mut healthy_size_bytes = 0;
    for _ in 0..CLIENTS {
        let mut stream = harness.connect();
        stream.write_all(&half).expect("write");
        slow.push(stream);
        assert_eq!(exchange(&mut healthy, &[ECHO]), [ECHO]);
        healthy_size_bytes += 5;
    }
    while harness.metrics.bytes_in() < (CLIENTS * SENT + healthy_size_bytes) as u64 {
        exchange(&mut healthy, &[ECHO]);
        healthy_size_bytes += 5;
    }
    exchange(&mut healthy, &[ECHO]);
    assert_eq!(harness.budget.held_size_bytes(), CLIENTS * SENT);
    drop(slow);
    for _ in 0..CLIENTS {
        harness.next_dropped();
    }
    exchange(&mut healthy, &[ECHO]);
    assert_eq!(harness.budget.held_size_bytes(), 0);
}

#[test]
fn a_client_that_holds_memory_others_wait_for_is_ended_when_it_stalls() {
    let mut options = options();
    options.budget = ByteBudget::new(500_000);
    options.connections.max_stall_ms = 100;
    let harness = Harness::start_with(options);
    let mut stalling = harness.connect();
    stalling.write_all(&frame(&[ECHO; 900_000])[..600_000]).expect("write");
    let mut healthy = harness.connect();
    while harness.budget.held_size_bytes() < 500_000 {
        exchange(&mut healthy, &[ECHO]);
    }
    let large = vec![ECHO; 900_000];
    let (mut writer, bytes) = (healthy.try_clone().expect("clone"), frame(&large));
    let writing = std::thread::spawn(move || writer.write_all(&bytes).expect("write"));
    assert!(read_frame(&mut healthy) == large);
    writing.join().expect("written");
    expect_closed(&mut stalling);
}

#[test]
fn a_connection_beyond_max_connections_waits_for_one_to_end() {
    let mut options = options();
    options.quotas.max_connections = 1;
    let harness = Harness::start_with(options);
    let mut first = harness.connect();
    exchange(&mut first, &[ECHO]);
    let mut second = harness.connect();
    second.write_all(&frame(&[ECHO, 2])).expect("write");
    exchange(&mut first, &[ECHO]);
    second.set_nonblocking(true).expect("nonblocking");
    assert_eq!(second.peek(&mut [0; 1]).expect_err("not served").kind(), ErrorKind::WouldBlock);
    second.set_nonblocking(false).expect("blocking");
    drop(first);
    assert_eq!(read_frame(&mut second), [ECHO, 2]);
}

#[test]
fn limits_change_while_the_server_runs() {
    let harness = Harness::start();
    let mut first = harness.connect();
    exchange(&mut first, &[ECHO]);
    harness.connections.set_quotas(ConnectionQuotas { max_connections_per_ip: 1, ..options().quotas });
    expect_closed(&mut harness.connect());
    harness.connections.set_quotas(ConnectionQuotas { max_connections: 1, ..options().quotas });
    let mut second = harness.connect();
    second.write_all(&frame(&[ECHO, 2])).expect("write");
    exchange(&mut first, &[ECHO]);
    harness.connections.set_quotas(options().quotas);
    assert_eq!(read_frame(&mut second), [ECHO, 2]);
}

#[test]
fn a_connection_beyond_the_limit_of_its_address_is_closed() {
    let mut options = options();
    options.quotas.per_ip_overrides.insert("127.0.0.1".parse().expect("an address"), 1);
    let harness = Harness::start_with(options);
    let mut first = harness.connect();
    exchange(&mut first, &[ECHO]);
    expect_closed(&mut harness.connect());
    exchange(&mut first, &[ECHO]);
}

#[test]
fn a_connection_that_idles_too_long_is_closed() {
    let mut options = options();
    options.connections.max_idle_ms = Some(50);
    let harness = Harness::start_with(options);
    let mut stream = harness.connect();
    exchange(&mut stream, &[ECHO]);
    expect_closed(&mut stream);
}

fn throttle(request: u8, throttle_ms: u32) -> Vec<u8> {
    frame(&[&[request], &throttle_ms.to_be_bytes()[..]].concat())
}

#[test]
fn a_throttled_response_leaves_at_once_and_the_next_request_waits() {
    let harness = Harness::start();
    for request in [THROTTLE, THROTTLE_SILENTLY] {
        let mut stream = harness.connect();
        let clock = Clock::system();
        stream.write_all(&[throttle(request, 300), frame(&[ECHO, 1])].concat()).expect("write");
        if request == THROTTLE {
            assert_eq!(read_frame(&mut stream)[0], THROTTLE);
        }
        stream.set_nonblocking(true).expect("nonblocking");
        assert_eq!(stream.peek(&mut [0; 1]).expect_err("not handled").kind(), ErrorKind::WouldBlock);
        stream.set_nonblocking(false).expect("blocking");
        assert_eq!(read_frame(&mut stream), [ECHO, 1]);
        assert!(clock.uptime_ms() >= 299, "the connection rests for as long as it was told");
    }
}

#[test]
fn a_throttled_response_that_was_waited_for_pauses_its_connection_once() {
    let harness = Harness::start();
    for request in [THROTTLE_PARKED, THROTTLE_PARKED_SILENTLY] {
        let mut stream = harness.connect();
        stream.write_all(&[throttle(request, 20), frame(&[ECHO, 1])].concat()).expect("write");
        if request == THROTTLE_PARKED {
            assert_eq!(read_frame(&mut stream)[0], THROTTLE_PARKED);
        }
        // The service refuses to handle a request with the pause of the one before.
        assert_eq!(read_frame(&mut stream), [ECHO, 1]);
    }
}

#[test]
fn what_a_throttled_peer_sent_before_it_closed_its_side_is_answered() {
    let harness = Harness::start();
    let mut stream = harness.connect();
    stream.write_all(&[throttle(THROTTLE_SILENTLY, 50), frame(&[ECHO, 1])].concat()).expect("write");
    stream.shutdown(std::net::Shutdown::Write).expect("shut down");
    assert_eq!(read_frame(&mut stream), [ECHO, 1]);
    expect_closed(&mut stream);
}

#[test]
fn a_throttled_connection_does_not_hold_up_a_stop() {
    let harness = Harness::start();
    let mut stream = harness.connect();
    stream.write_all(&throttle(THROTTLE, 3_600_000)).expect("write");
    read_frame(&mut stream);
    harness.server.stop(Duration::from_secs(60));
    expect_closed(&mut stream);
}
