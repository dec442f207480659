//! Produces the same batch again and again over a number of connections, with a fixed number in flight on each, as fast
//! as they are acknowledged or at a rate.
//!
//! One thread serves all connections, which takes no more CPU than a thread for each, even for a single one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::batch::Shape;
use crate::codec::Codec;
use crate::lane::{self, Lane, Plan, Seen};
use crate::options::{Options, Totals};
use crate::reactor;
use crate::schedule::Schedule;

/// From the last connection to the first scheduled request.
const LEAD: Duration = Duration::from_millis(10);

pub struct Load {
    pub address: String,
    pub topic: String,
    pub connection_count: u64,
    /// Fewer than connections are shared by them.
    pub partition_count: u64,
    /// Kafka accepts at most 5 of an idempotent producer.
    pub in_flight_limit: u64,
    /// Over all connections.
    pub request_count: u64,
    /// Of a request, which is one batch.
    pub shape: Shape,
    pub idempotent: bool,
    /// Over all connections; 0 is as many as are acknowledged.
    pub requests_per_second: f64,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            connection_count: options.value("connections")?,
            in_flight_limit: options.value("in-flight")?,
            request_count: options.value("requests")?,
            partition_count: options.value_or("partitions", options.value("connections")?)?,
            shape: Shape {
                record_count: options.value("records")?,
                value_size_bytes: options.value("value-bytes")?,
                codec: options.value_or("codec", Codec::None)?,
            },
            idempotent: options.value("idempotent")?,
            requests_per_second: options.value_or("rate", 0.0)?,
        })
    }
}

/// Runs the load to its end; fails on the first answer that is not what an empty partition must give.
pub fn run(load: Load) -> anyhow::Result<Totals> {
    let connection_count = load.connection_count;
    ensure!(
        load.request_count.is_multiple_of(connection_count),
        "requests do not divide over the connections"
    );
    ensure!(
        (1..=connection_count).contains(&load.partition_count),
        "there are partitions without a connection"
    );
    let record_count = load.request_count * load.shape.record_count as u64;
    let plan = Plan {
        address: load.address,
        topic: load.topic,
        shape: load.shape,
        request_count: load.request_count / connection_count,
        in_flight_limit: load.in_flight_limit,
        idempotent: load.idempotent,
        lane_count: connection_count,
        partition_count: load.partition_count,
    };
    let mut lanes = lane::open_all(&Arc::new(plan))?;
    let paced = load.requests_per_second > 0.0;
    let start = if paced { Instant::now() + LEAD } else { Instant::now() };
    let schedule = paced.then(|| Schedule::new(start, load.requests_per_second));
    let mut seen = Seen::default();
    let late = reactor::run(&mut lanes, schedule.as_ref(), &mut seen)?;
    Ok(Totals {
        request_count: load.request_count,
        record_count,
        size_bytes: lanes.iter().map(Lane::acknowledged_bytes).sum(),
        duration: start.elapsed(),
        latency: Some(seen.latency),
        late,
        digest: Some(seen.digest),
        ..Totals::default()
    })
}
