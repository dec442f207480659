//! Connections that change their worker.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::super::listener::ConnectionQuotas;
use super::super::server::ServerOptions;
use super::{BURN, Harness, PATIENCE, exchange, frame, options};
use crate::env::clock::Clock;

/// Requests of a client that wait for their answers.
const IN_FLIGHT: usize = 3;

/// Its length, the worker that was kept busy, and the request.
const ANSWER_SIZE: usize = 4 + 1 + 5;

fn burn(duration_us: u32) -> Vec<u8> {
    [&[BURN][..], &duration_us.to_be_bytes()].concat()
}

/// The worker that a connection is on.
fn worker_of(stream: &mut TcpStream) -> u8 {
    exchange(stream, &burn(0))[0]
}

/// Sends requests that keep a worker busy, some of them before the answers to others and the last always in part, and
/// returns the workers that answered. Every answer is there, in order.
fn keep_busy(mut stream: &TcpStream, requests: u32) -> Vec<u8> {
    let bytes: Vec<u8> = (0..requests).flat_map(|number| frame(&burn(500 + number))).collect();
    let request_size = bytes.len() / requests as usize;
    let mut sent = 0;
    let answers = (0..requests).map(|number| {
        let begun = (number as usize + IN_FLIGHT) * request_size + 4;
        let due = sent..begun.min(bytes.len());
        sent = due.end;
        stream.write_all(&bytes[due]).expect("write");
        let mut answer = [0; ANSWER_SIZE];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer[5..], burn(500 + number));
        answer[4]
    });
    answers.collect()
}

#[test]
fn connections_share_a_worker_until_it_is_busy_and_again_when_it_is_not() {
    let harness = Harness::start_with(ServerOptions { worker_count: 2, ..options() });
    let mut streams: Vec<TcpStream> = (0..4).map(|_| harness.connect()).collect();
    expect_together(&harness, &mut streams);
    let workers: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let clients: Vec<_> =
            streams.iter().map(|stream| scope.spawn(move || keep_busy(stream, 300))).collect();
        clients.into_iter().map(|client| client.join().expect("every answer in order")).collect()
    });
    assert!(workers.iter().any(|of_stream| of_stream.contains(&1)), "the idle worker helps");
    assert!(workers.iter().any(|of_stream| of_stream.contains(&0)), "the busy one goes on");
    expect_together(&harness, &mut streams);
}

#[test]
fn what_a_connection_has_received_goes_with_it() {
    const REQUESTS: usize = 10;
    let harness = Harness::start_with(ServerOptions { worker_count: 2, ..options() });
    let mut streams: Vec<TcpStream> = (0..4).map(|_| harness.connect()).collect();
    expect_together(&harness, &mut streams);
    // Of each they come in one segment, and keep the worker busy for longer than it looks at what is to be done.
    let requests = frame(&burn(10_000)).repeat(REQUESTS);
    streams.iter_mut().for_each(|stream| stream.write_all(&requests).expect("write"));
    let workers = streams.iter_mut().map(|stream| {
        let mut answers = [[0; ANSWER_SIZE]; REQUESTS];
        stream.read_exact(answers.as_flattened_mut()).expect("every answer");
        answers.iter().map(|answer| answer[4]).collect()
    });
    let workers: Vec<Vec<u8>> = workers.collect();
    assert!(workers.iter().any(|of_stream| of_stream.contains(&0) && of_stream.contains(&1)), "{workers:?}");
}

/// Sooner or later the connections, which talk little, are all on the first worker.
fn expect_together(harness: &Harness, streams: &mut [TcpStream]) {
    let clock = Clock::system();
    loop {
        let workers: Vec<u8> = streams.iter_mut().map(worker_of).collect();
        if workers.iter().all(|worker| *worker == 0) {
            return;
        }
        assert!(clock.uptime_ms() < PATIENCE.as_millis() as i64, "{workers:?}");
        let _ = harness.dropped.recv_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_connection_that_moved_is_counted_once() {
    let harness = Harness::start_with(ServerOptions { worker_count: 2, ..options() });
    let mut streams: Vec<TcpStream> = (0..2).map(|_| harness.connect()).collect();
    expect_together(&harness, &mut streams);
    while harness.dropped.try_recv().is_ok() {}
    std::thread::scope(|scope| {
        streams.iter().for_each(|stream| {
            scope.spawn(move || keep_busy(stream, 300));
        });
    });
    assert!(harness.next_dropped().starts_with("session"), "one of them has moved");
    harness.connections.set_quotas(ConnectionQuotas { max_connections: 3, ..options().quotas });
    let mut third = harness.connect();
    worker_of(&mut third);
    drop((streams, third));
    harness.connections.set_quotas(ConnectionQuotas { max_connections: 1, ..options().quotas });
    worker_of(&mut harness.connect());
}
