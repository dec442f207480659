//! Sends requests on schedule over one connection and times their answers.
//!
//! A latency begins when the request was due, not when it left: a broker that holds up the sender cannot hide the
//! requests that had to wait behind it (coordinated omission). What is sent and what an answer must say is the
//! caller's.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::latency::Latency;
use crate::wire::{Connection, Reader};

#[derive(Clone)]
pub struct Pace {
    /// When the first request is due.
    pub begin: Instant,
    /// From one request to the next; at zero each is due at once, and the limit alone holds it back.
    pub interval: Duration,
    pub in_flight_limit: usize,
}

/// Gives the requests of a flow, in order.
pub trait Source: Send {
    /// The request with `index` as its correlation id; None at the end of the load.
    fn next(&mut self, index: u64) -> Option<&[u8]>;
}

/// Runs until the source ends and all is answered; fails on the first answer that `check` refuses.
pub fn run(
    mut connection: Connection,
    pace: &Pace,
    source: &mut impl Source,
    check: impl FnMut(u64, Reader<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Latency> {
    let writer = connection.writer()?;
    // One more is in flight than the channel holds: the one whose answer the receiving side waits for.
    let (due_sender, due_receiver) = sync_channel(pace.in_flight_limit - 1);
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(writer, pace, source, due_sender));
        let received = receive(&mut connection, due_receiver, check);
        let sent = sending.join().expect("the sending side returns its errors");
        let latency = received?;
        sent?;
        Ok(latency)
    })
}

/// Ends when the source does, or when nobody waits for answers any more.
fn send(
    mut writer: TcpStream,
    pace: &Pace,
    source: &mut impl Source,
    due_sender: SyncSender<Instant>,
) -> anyhow::Result<()> {
    thread::sleep(pace.begin.saturating_duration_since(Instant::now()));
    for index in 0.. {
        let due = if pace.interval.is_zero() {
            Instant::now()
        } else {
            pace.begin + Duration::from_nanos(pace.interval.as_nanos() as u64 * index)
        };
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let Some(request) = source.next(index) else { break };
        if due_sender.send(due).is_err() {
            break;
        }
        writer.write_all(request).context("send a request")?;
    }
    Ok(())
}

fn receive(
    connection: &mut Connection,
    due_receiver: Receiver<Instant>,
    mut check: impl FnMut(u64, Reader<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Latency> {
    let mut latency = Latency::default();
    for (index, due) in due_receiver.iter().enumerate() {
        let answer = connection.receive(index as i32)?;
        latency.record(due.elapsed());
        check(index as u64, answer).with_context(|| format!("request {index}"))?;
    }
    Ok(latency)
}
