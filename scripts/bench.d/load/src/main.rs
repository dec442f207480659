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
//!     klamm-load fetch   --address HOST:PORT --topic NAME --requests N --limit-bytes N
//!     klamm-load commit  --address HOST:PORT --topic NAME --connections N --in-flight N --requests N
//!     klamm-load transactions --address HOST:PORT --topic NAME --producers N --partitions N --transactions N
//!                        --records N --value-bytes N --classic true|false
//!     klamm-load committed --address HOST:PORT --topic NAME --partitions N
//!     klamm-load churn   --address HOST:PORT --members N --seconds F
//!     klamm-load idle    --address HOST:PORT --topic NAME --connections N
//!     klamm-load create-many|await-many --address HOST:PORT --topic PREFIX --topics N --partitions N
//!     klamm-load await-ends --address HOST:PORT --topic NAME --partitions N --records N
//!     klamm-load fill    LANES --requests N
//!     klamm-load stream  LANES --rate-mb F --seconds F --window-seconds F
//!     klamm-load drain   LANES --rate-mb F
//!     klamm-load spread  LANES --connections N --width N --first-offset N --turns N --idempotent true|false
//!     klamm-load update  LANES --keys N --requests N --rate-mb F --limit-bytes N
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
//! `churn` has the members of one group join, leave and crash, and waits until the group has settled.
//! `idle` says when its connections are open, and holds them until its standard input ends.
//! `create-many` creates topics and returns when all their partitions can be used, `await-many` waits for that after a
//! restart, and `await-ends` until the partitions of a topic have so many records together.
//! `fill`, `stream` and `drain` are the loads of stream.rs: a backlog, a rate for some time, and both together.
//! `spread` writes one batch to each partition in turn, to --width partitions in a request.
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
mod flow;
mod group;
mod lane;
mod keyed;
mod latency;
mod numbered;
mod options;
mod pace;
mod idle;
mod partitions;
mod produce;
mod reactor;
mod schedule;
mod transactions;
mod spread;
mod stream;
mod tail;
mod update;
mod value;
mod wire;

use std::time::Duration;

use anyhow::{Context, bail};
use batch::Shape;
use codec::Codec;
use options::Options;

const COMMANDS: &str =
    "create, produce, pace, consume, fetch, commit, churn, transactions, committed, idle, create-many, await-many, await-ends, fill, stream, drain, spread";
    "create, produce, consume, fetch, commit, churn, fill, stream, drain, spread, update, newest";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().with_context(|| format!("no command; known: {COMMANDS}"))?;
    let options = Options::parse(arguments)?;
    match command.as_str() {
        "create" => {
            let (address, topic) = (options.text("address")?, options.text("topic")?);
            admin::create(
                &address,
                &topic,
                options.value("partitions")?,
                &options.value_or("config", String::new())?,
            )
        }
        "produce" => {
            let load = produce::Load {
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
            };
            println!("{}", produce::run(load)?);
            Ok(())
        }
        "pace" => {
            let done = pace::run(pace::Load {
                address: options.text("address")?,
                topic: options.text("topic")?,
                records_per_second: options.value("rate")?,
                duration: Duration::from_secs_f64(options.value("seconds")?),
                value_size_bytes: options.value("value-bytes")?,
            })?;
            println!("{done}");
            Ok(())
        }
        "consume" => {
            let done = consume::run(&consume::Load {
                address: options.text("address")?,
                topic: options.text("topic")?,
                partition_count: options.value("partitions")?,
                check_crc: options.value("check-crc")?,
            })?;
            println!("{done}");
            Ok(())
        }
        "fetch" => {
            let done = fetch::run(&fetch::Load {
                address: options.text("address")?,
                topic: options.text("topic")?,
                request_count: options.value("requests")?,
                limit_bytes: options.value("limit-bytes")?,
            })?;
            println!("{done}");
            Ok(())
        }
        "commit" => {
            let load = commit::Load {
                address: options.text("address")?,
                topic: options.text("topic")?,
                connection_count: options.value("connections")?,
                in_flight_limit: options.value("in-flight")?,
                request_count: options.value("requests")?,
            };
            println!("{}", commit::run(load)?);
            Ok(())
        }
        "transactions" => {
            let load = transactions::Load {
                address: options.text("address")?,
                topic: options.text("topic")?,
                producer_count: options.value("producers")?,
                partition_count: options.value("partitions")?,
                transaction_count: options.value("transactions")?,
                record_count: options.value("records")?,
                value_size_bytes: options.value("value-bytes")?,
                classic: options.value("classic")?,
            };
            println!("{}", transactions::run(load)?);
            Ok(())
        }
        "committed" => {
            let done = committed::run(&committed::Load {
                address: options.text("address")?,
                topic: options.text("topic")?,
                partition_count: options.value("partitions")?,
            })?;
            println!("{done}");
            Ok(())
        }
        "churn" => {
            let done = churn::run(&churn::Load {
                address: options.text("address")?,
                member_count: options.value("members")?,
                churn: Duration::from_secs_f64(options.value("seconds")?),
            })?;
            println!("{done}");
            Ok(())
        }
        "idle" => idle::run(&idle::Load {
            address: options.text("address")?,
            topic: options.text("topic")?,
            connection_count: options.value("connections")?,
        }),
        "create-many" => {
            println!("{}", partitions::create(&options.text("address")?, &many_topics(&options)?)?);
            Ok(())
        }
        "await-many" => {
            println!("{}", partitions::wait_for(&options.text("address")?, &many_topics(&options)?)?);
            Ok(())
        }
        "await-ends" => {
            let (address, topic) = (options.text("address")?, options.text("topic")?);
            let (partition_count, record_count) = (options.value("partitions")?, options.value("records")?);
            println!("{}", partitions::wait_for_ends(&address, &topic, partition_count, record_count)?);
        "fill" | "stream" | "drain" => {
            println!("{}", stream::run(&stream::Load::parse(&command, &options)?)?);
            Ok(())
        }
        "spread" => {
            println!("{}", spread::run(spread::Load::parse(&options)?)?);
            Ok(())
        }
        "update" => {
            println!("{}", update::run(&update::Load::parse(&options)?, &update::Speed::parse(&options)?)?);
            Ok(())
        }
        "newest" => {
            println!("{}", update::check(&update::Load::parse(&options)?)?);
            Ok(())
        }
        other => bail!("unknown command {other}; known: {COMMANDS}"),
    }
}

fn many_topics(options: &Options) -> anyhow::Result<partitions::Topics> {
    Ok(partitions::Topics {
        prefix: options.text("topic")?,
        topic_count: options.value("topics")?,
        partition_count: options.value("partitions")?,
    })
}
