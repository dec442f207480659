//! Fetches from offset 0 of partition 0 again and again, one fetch at a time over one connection.
//!
//! Every answer must have as many bytes as the first: what is fetched does not change under the load. In a fetch session
//! (KIP-227) each request names the partition again, as a consumer does whose position has changed.

use std::time::Instant;

use anyhow::{Context, ensure};

use crate::consume::{FetchLimits, fetch_request, read_records, set_session};
use crate::options::{Options, Totals};
use crate::wire::{Connection, set_correlation_id};

pub struct Load {
    pub address: String,
    pub topic: String,
    pub request_count: u64,
    /// Of records in an answer; the broker waits for none if there are none.
    pub limit_bytes: i32,
    /// Whether all requests are of one fetch session.
    pub session: bool,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            request_count: options.value("requests")?,
            limit_bytes: options.value("limit-bytes")?,
            session: options.value("session")?,
        })
    }
}

pub fn run(load: &Load) -> anyhow::Result<Totals> {
    let mut connection = Connection::open(&load.address)?;
    let limits = FetchLimits { max_wait_ms: 0, max_partition_bytes: load.limit_bytes };
    let (mut request, _) = fetch_request(&load.topic, 0, &limits);
    let started = Instant::now();
    let mut first_bytes = None;
    let mut session_id = 0;
    for index in 0..load.request_count {
        set_correlation_id(&mut request, index as i32);
        if load.session {
            // Epoch 0 makes the session; the next ones count up.
            set_session(&mut request, session_id, index as i32);
        }
        connection.send(&request)?;
        let answer = connection.receive(index as i32)?;
        let (answered_id, records) = read_records(answer).with_context(|| format!("fetch {index}"))?;
        ensure!(
            (answered_id != 0) == load.session && (index == 0 || answered_id == session_id),
            "fetch {index} was answered in session {answered_id}"
        );
        session_id = answered_id;
        let size_bytes = records.len() as u64;
        let due = *first_bytes.get_or_insert(size_bytes);
        ensure!(size_bytes == due, "fetch {index} brought {size_bytes} bytes of records, the first {due}");
    }
    Ok(Totals {
        request_count: load.request_count,
        size_bytes: load.request_count * first_bytes.unwrap_or(0),
        duration: started.elapsed(),
        ..Totals::default()
    })
}
