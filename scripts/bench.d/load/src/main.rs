//! The load generator of `scripts/bench` and `scripts/count`: speaks the Kafka protocol over raw sockets to one broker.
//!
//! It must cost little CPU, because it shares the machine with the broker it measures: requests are encoded once
//! and patched, answers are only looked at for errors, offsets and counts, and nothing is allocated per request.
//! It measures nothing of the broker itself; each command prints one JSON object about what it did.
//!
//!     klamm-load create  --address HOST:PORT --topic NAME --partitions N [--config KEY=VALUE,KEY=VALUE]
//!     klamm-load produce --address HOST:PORT --topic NAME --connections N --in-flight N --requests N
//!                        --records N --value-bytes N --idempotent true|false [--partitions N] [--rate F]
//!                        [--codec none|gzip|snappy|lz4|zstd]
//!     klamm-load pace    --address HOST:PORT --topic NAME --rate F --seconds F --value-bytes N
//!     klamm-load consume --address HOST:PORT --topic NAME --partitions N --check-crc true|false
//!     klamm-load fetch   --address HOST:PORT --topic NAME --requests N --limit-bytes N --session true|false
//!     klamm-load commit  --address HOST:PORT --topic NAME --connections N --in-flight N --requests N
//!     klamm-load transactions --address HOST:PORT --topic NAME --producers N --partitions N --transactions N
//!                        --records N --value-bytes N --classic true|false
//!     klamm-load committed --address HOST:PORT --topic NAME --partitions N
//!     klamm-load old-produce --address HOST:PORT --topic NAME --format 0|1 --codec none|gzip --in-flight N
//!                        --requests N --records N --value-bytes N
//!     klamm-load old-consume --address HOST:PORT --topic NAME --format 0|1 --check true|false
//!     klamm-load rebalance --address HOST:PORT --topic NAME --partitions N --members N --consumer-group true|false
//!     klamm-load churn   --address HOST:PORT --members N --seconds F
//!     klamm-load idle    --address HOST:PORT --topic NAME --connections N
//!     klamm-load create-many|await-many --address HOST:PORT --topic PREFIX --topics N --partitions N
//!     klamm-load await-ends --address HOST:PORT --topic NAME --partitions N --records N
//!     klamm-load fill    LANES --requests N
//!     klamm-load stream  LANES --rate-mb F --seconds F --window-seconds F
//!     klamm-load drain   LANES --rate-mb F
//!     klamm-load spread  LANES --topics N --connections N --width N --first-offset N --turns N --idempotent true|false
//!     klamm-load update  LANES --keys N --requests N --rate-mb F --limit-bytes N
//!     klamm-load floor   --port N --data DIRECTORY
//!     klamm-load newest  LANES --keys N --requests N
//!                        LANES: --address HOST:PORT --topic NAME --partitions N --in-flight N --records N --value-bytes N
//!
//! `produce` gives connection i the partition i, or that modulo `--partitions`, in which case connections share them;
//! `--rate` has as many requests per second leave over all connections, whether earlier ones are acknowledged or not.
//! `pace` sends one record after another at a rate and has a consumer wait for them.
//! `consume` reads every partition from offset 0 to its end and fails unless the offsets have no gap.
//! `fetch` asks for the start of partition 0 again and again, one request at a time, and does not wait for records.
//! `commit` gives connection i a group of its own, which commits for the partition i, and fetches the last commit.
//! `transactions` gives producer i `--partitions` partitions of its own, each of which gets a batch in each transaction.
//! `committed` reads every partition as `transactions` has left it, with isolation level read_committed.
//! `old-produce` and `old-consume` are clients of brokers before 0.11, of one partition.
//! `rebalance` reads steps from standard input and answers each when the group is stable; see rebalance.rs.
//! `churn` has the members of one group join, leave and crash, and waits until the group has settled.
//! `idle` says when its connections are open, and holds them until its standard input ends.
//! `create-many` creates topics and returns when all their partitions can be used, `await-many` waits for that after a
//! restart, and `await-ends` until the partitions of a topic have so many records together.
//! `fill`, `stream` and `drain` are the loads of stream.rs: a backlog, a rate for some time, and both together.
//! `spread` writes one batch to each partition in turn, to --width partitions in a request.
//! `floor` is no load: it serves `create`, `produce` and `consume` with the least work there can be.
//! `update` writes keyed records and waits until the cleaner has made the log as small as --limit-bytes; `newest` checks
//! what it left.

#![deny(unsafe_code)]

mod admin;
mod append;
mod batch;
mod churn;
mod codec;
mod commit;
mod committed;
mod consume;
mod digest;
mod fetch;
mod floor;
mod flow;
mod group;
mod idle;
mod keyed;
mod lane;
mod latency;
mod member;
mod message_set;
mod numbered;
mod old;
mod options;
mod pace;
mod partitions;
mod produce;
mod reactor;
mod rebalance;
mod schedule;
mod spread;
mod stream;
mod tail;
mod transactions;
mod update;
mod value;
mod wire;

use std::path::Path;

use anyhow::{Context, bail};
use options::Options;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().context("no command; the head of main.rs lists them")?;
    let options = Options::parse(arguments)?;
    if let Some(done) = run(&command, &options)? {
        println!("{done}");
    }
    Ok(())
}

/// Runs a command to its end; returns what it did, as JSON, if there is something to tell.
fn run(command: &str, options: &Options) -> anyhow::Result<Option<String>> {
    let done = match command {
        "create" => {
            admin::create_topic(options)?;
            return Ok(None);
        }
        "idle" => {
            idle::run(&idle::Load::parse(options)?)?;
            return Ok(None);
        }
        "rebalance" => {
            rebalance::run(rebalance::Load::parse(options)?)?;
            return Ok(None);
        }
        "floor" => {
            floor::serve(options.value("port")?, Path::new(&options.text("data")?))?;
            return Ok(None);
        }
        "produce" => produce::run(produce::Load::parse(options)?)?.to_string(),
        "pace" => pace::run(pace::Load::parse(options)?)?.to_string(),
        "consume" => consume::run(&consume::Load::parse(options)?)?.to_string(),
        "fetch" => fetch::run(&fetch::Load::parse(options)?)?.to_string(),
        "commit" => commit::run(commit::Load::parse(options)?)?.to_string(),
        "transactions" => transactions::run(transactions::Load::parse(options)?)?.to_string(),
        "committed" => committed::run(&committed::Load::parse(options)?)?.to_string(),
        "old-produce" => old::produce(&old::Produce::parse(options)?)?.to_string(),
        "old-consume" => old::consume(&old::Consume::parse(options)?)?.to_string(),
        "churn" => churn::run(&churn::Load::parse(options)?)?.to_string(),
        "create-many" => partitions::create(&partitions::Topics::parse(options)?)?.to_string(),
        "await-many" => partitions::wait_for(&partitions::Topics::parse(options)?)?.to_string(),
        "await-ends" => partitions::wait_for_ends(&partitions::Ends::parse(options)?)?.to_string(),
        "fill" | "stream" | "drain" => stream::run(&stream::Load::parse(command, options)?)?.to_string(),
        "spread" => spread::run(spread::Load::parse(options)?)?.to_string(),
        "update" => update::run(&update::Load::parse(options)?, &update::Speed::parse(options)?)?.to_string(),
        "newest" => update::check(&update::Load::parse(options)?)?.to_string(),
        other => bail!("unknown command {other}; the head of main.rs lists them"),
    };
    Ok(Some(done))
}
