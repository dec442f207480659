//! Connections that do nothing: each asks what a client asks first, and is then held until standard input ends.
//!
//! One line of JSON says that all are open, for whoever measures the broker meanwhile; nothing is sent after it.

use std::io::Read;
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::options::{Options, Totals};
use crate::wire::{Connection, Request};

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

pub struct Load {
    pub address: String,
    /// Each connection asks for the metadata of this topic.
    pub topic: String,
    pub connection_count: u64,
}

impl Load {
    pub fn parse(options: &Options) -> anyhow::Result<Load> {
        Ok(Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            connection_count: options.value("connections")?,
        })
    }
}

/// Opens the connections and returns when standard input has ended.
pub fn run(load: &Load) -> anyhow::Result<()> {
    let started = Instant::now();
    let held: Vec<TcpStream> = (0..load.connection_count)
        .map(|index| open(load).with_context(|| format!("connection {index}")))
        .collect::<anyhow::Result<_>>()?;
    let totals =
        Totals { request_count: 2 * load.connection_count, duration: started.elapsed(), ..Totals::default() };
    println!("{totals}");
    std::io::stdin().read_to_end(&mut Vec::new()).context("wait for the end of standard input")?;
    for stream in &held {
        ensure!(is_open(stream)?, "the broker has closed a connection that was idle");
    }
    Ok(())
}

fn open(load: &Load) -> anyhow::Result<TcpStream> {
    let mut connection = Connection::open(&load.address)?;
    let mut answer = connection.call(&Request::new(API_VERSIONS, 0, false).finish())?;
    let error_code = answer.i16()?;
    ensure!(error_code == 0, "ApiVersions: error code {error_code}");
    let mut request = Request::new(METADATA, 1, false);
    request.i32(1).string(&load.topic);
    let mut answer = connection.call(&request.finish())?;
    ensure!(answer.i32()? > 0, "Metadata names no broker");
    Ok(connection.into_stream())
}

/// Nothing is due from the broker: an end is what it sends when it closes.
fn is_open(stream: &TcpStream) -> anyhow::Result<bool> {
    stream.set_nonblocking(true).context("look at an idle connection")?;
    match stream.peek(&mut [0]) {
        Ok(received) => Ok(received > 0),
        Err(error) => Ok(error.kind() == std::io::ErrorKind::WouldBlock),
    }
}
