//! Klamm: a Kafka-wire-compatible broker in one native process.
//!
//! `README.md` tells how to use it, and its architecture: invariants, and what differs from Apache Kafka on purpose.
//! Here: what stands where. A behaviour is found by its message (`handlers/<message>.rs`), by Kafka's class (named
//! in the first lines of each file), or by its KIP (below).
//!
//! # Code map, in reading order
//!
//! 1. [`broker`] starts and stops everything, and is the only file that knows every part. `main.rs` is thinner still:
//!    arguments, configuration, start, signal, stop.
//! 2. [`handlers`]: one file per message. First `table.rs` (what is served, in which versions), `mod.rs` (the way of a
//!    frame to its file), `reply.rs` (what a handler gives back). Then `produce.rs` and `fetch/mod.rs`, the hot path;
//!    `create_topics.rs` is a good example of all others.
//! 3. [`protocol`]: the wire and the record format, pure. `batch.rs` (a record batch over bytes), `shapes.rs` (what a
//!    request may look like, checked before it is decoded), `validate.rs` (which records a partition accepts),
//!    `message_set/` (formats 0 and 1, to and from format 2), `produce.rs` and `fetch.rs` (the hot codecs), `old/`
//!    (versions that Kafka 4 has dropped), `ids.rs` and `errors.rs` (Kafka's nouns and codes).
//! 4. [`replication`]: the partitions of this broker. `partition.rs` (high watermark, pure), `replica.rs` (one
//!    partition), `registry.rs` (all of them, following the metadata), `subscription.rs` (who waits), `chores.rs`
//!    (what runs by itself), `cleaner.rs` (when logs are compacted), `flusher.rs` (fsyncs that requests share),
//!    `loading.rs` (start and clean stop).
//! 5. [`log`]: one partition on disk in Kafka's format. `log.rs` (the writer), `read.rs` (what readers see),
//!    `segment.rs` (files and their indexes), `recovery.rs` (what a crash left), `producer_state.rs` (idempotence,
//!    pure), `epochs.rs` (leader epochs, pure), `dirs.rs` (whose a directory is), `compaction/` (the latest record of
//!    each key).
//! 6. [`controller`]: the rules of the cluster, pure. `image.rs` (its state), `records.rs` (what changes it),
//!    `command.rs` (what can be asked for), then a file for each kind of decision: `topics.rs`, `partitions.rs`,
//!    `elections.rs`, `reassignments.rs`, `configs.rs`, `brokers.rs`, `features.rs`, `producer_ids.rs`, `quotas.rs`,
//!    `scram.rs`.
//! 7. [`raft`]: the controller's records as a replicated log. `quorum.rs` (all that other rooms see), `proposer.rs`
//!    (decides and proposes), `log_store.rs` (makes durable), `state_machine.rs` (applies), `checkpoint.rs`
//!    (snapshots).
//! 8. [`config`]: Kafka's keys. `key.rs` (what a key is), `keys/` (the tables), `load.rs` (arguments, environment,
//!    file), `broker.rs` and `topic.rs` (typed settings), `dynamic.rs` (changes), `describe.rs` (what tools are shown).
//! 9. [`net`]: sockets and threads. `connection.rs` (frames in, responses out, in order), `worker.rs`, `server.rs`,
//!    `budget.rs` (the memory of all connections together).
//! 10. [`telemetry`]: metrics, log lines, the HTTP listener.
//! 11. [`env`]: the only doors to time, files and randomness.
//! 12. [`coordinator`]: state machines over the partitions of Kafka's own topics. `shard.rs` (what one is), `runtime.rs`
//!     (the shell of all of them; in `runtime/`: `slot.rs` the lock, `active.rs` a loaded partition, `overlay.rs` what
//!     waits to be written to the view, `loading.rs` the proof of a view and the replay), `group/` (the rules of groups
//!     and offsets, pure), `transaction/` (those of transactional ids, pure).
//! 13. [`store`]: the view of coordinator logs in RocksDB. `view.rs` (what it can do), `rocks.rs`, `lazy.rs` (when it
//!     is opened, and given up), `initialisers.rs` (what RocksDB does before).
//! 14. [`security`]: quotas and credentials as rules, pure. `limits.rs` (which quota counts), `rate.rs` (what is too
//!     much), `scram.rs` (what is stored of a password). `handlers/quotas.rs` keeps the accounts.
//!
//! For tests only: `tidy` (who may use whom, as a test), `fuzz` (mutations and targets), `docs` (this page and the
//! README against the code).
//!
//! # KIP index
//!
//! - KIP-4 topic administration: `handlers/create_topics.rs`, `handlers/metadata.rs`, `controller/topics.rs`
//! - KIP-13 quotas on bytes: `security/limits.rs`, `handlers/quotas.rs`
//! - KIP-31 relative offsets in wrapper messages: `protocol/message_set/mod.rs`, `protocol/message_set/downgrade.rs`
//! - KIP-32 timestamps of records: `protocol/batch.rs`, `log/compaction/retain.rs`, `protocol/message_set/mod.rs`
//! - KIP-35 ApiVersions: `handlers/api_versions.rs`
//! - KIP-43 mechanisms of SASL: `handlers/sasl_handshake.rs`
//! - KIP-48 delegation tokens: `handlers/delegation_tokens.rs`, `handlers/create_delegation_token.rs`,
//!   `handlers/renew_delegation_token.rs`, `handlers/expire_delegation_token.rs`,
//!   `handlers/describe_delegation_token.rs`
//! - KIP-55 quotas of users: `security/limits.rs`
//! - KIP-57 the header checksum of LZ4 frames: `protocol/message_set/lz4.rs`
//! - KIP-58 least lag before compaction: `log/compaction/dirt.rs`
//! - KIP-62 rebalance timeout: `handlers/join_group.rs`
//! - KIP-74 byte limits of a fetch: `handlers/fetch/mod.rs`, `handlers/fetch/message_sets.rs`, `log/read.rs`
//! - KIP-79 offsets by time: `handlers/list_offsets.rs`, `replication/replica.rs`; before it:
//!   `handlers/list_offsets/segments.rs`
//! - KIP-98 idempotent producers, transactions, batch format 2, isolation: `log/producer_state.rs`, `log/append.rs`,
//!   `handlers/init_producer_id.rs`, `protocol/batch.rs`, `protocol/summary.rs`, `handlers/fetch/mod.rs`; offsets in
//!   transactions: `coordinator/group/transactional.rs`, `coordinator/transaction/mod.rs`,
//!   `coordinator/transaction/init_producer_id.rs`, `coordinator/transaction/add_partitions.rs`,
//!   `handlers/add_partitions_to_txn.rs`, `handlers/add_offsets_to_txn.rs`, `handlers/end_txn.rs`; markers:
//!   `handlers/write_txn_markers.rs`, `protocol/txn_markers.rs`; records: `handlers/produce/transactions.rs`
//! - KIP-101 leader epochs instead of high watermarks for truncation: `log/epochs.rs`,
//!   `handlers/offset_for_leader_epoch.rs`
//! - KIP-107 deletion of records: `handlers/delete_records.rs`, `replication/replica.rs`, `replication/checkpoints.rs`
//! - KIP-110 zstd: `protocol/validate.rs`, `protocol/message_set/downgrade.rs`, `handlers/fetch/refusals.rs`
//! - KIP-113 moves between log directories: `handlers/alter_replica_log_dirs.rs`, `handlers/describe_log_dirs.rs`,
//!   `replication/moves.rs`, `log/copy.rs`
//! - KIP-124 quotas on time: `handlers/quotas.rs`
//! - KIP-133 DescribeConfigs and AlterConfigs: `handlers/describe_configs.rs`, `handlers/alter_configs.rs`
//! - KIP-134 delay of a group's first rebalance: `coordinator/group/classic/rebalance.rs`
//! - KIP-152 SaslAuthenticate: `handlers/sasl_authenticate.rs`, `handlers/sasl_handshake.rs`
//! - KIP-183 ElectLeaders: `handlers/elect_leaders.rs`, `controller/elections.rs`
//! - KIP-195 CreatePartitions: `handlers/create_partitions.rs`, `controller/partitions.rs`
//! - KIP-211 expiry of offsets: `coordinator/group/expiration.rs`, `coordinator/group/offsets.rs`,
//!   `handlers/offset_commit.rs`
//! - KIP-219 throttled connections: `handlers/quotas.rs`, `handlers/reply.rs`, `handlers/fetch/mod.rs`,
//!   `net/connection.rs`
//! - KIP-226 dynamic broker keys: `config/layers.rs`, `config/key.rs`, `config/describe.rs`, `controller/configs.rs`,
//!   `handlers/describe_configs.rs`
//! - KIP-227 fetch sessions: `handlers/fetch/session.rs`, `handlers/fetch/mod.rs`, `handlers/fetch/look.rs`
//! - KIP-229 DeleteGroups: `handlers/delete_groups.rs`
//! - KIP-279 epochs in answers about the ends of epochs: `protocol/old/leader_epochs.rs`
//! - KIP-290 pattern types of ACLs: `protocol/old/acls.rs`
//! - KIP-320 leader epochs of clients: `handlers/fetch/mod.rs`, `handlers/list_offsets.rs`,
//!   `handlers/offset_for_leader_epoch.rs`, `handlers/offset_commit.rs`, `coordinator/group/offsets.rs`,
//!   `replication/replica.rs`, `log/epochs.rs`
//! - KIP-339 IncrementalAlterConfigs: `handlers/incremental_alter_configs.rs`, `config/dynamic.rs`,
//!   `controller/configs.rs`
//! - KIP-345 static members, batched leaves: `coordinator/group/classic/static_member.rs`,
//!   `coordinator/group/classic/mod.rs`, `handlers/join_group.rs`, `handlers/leave_group.rs`, `handlers/heartbeat.rs`
//! - KIP-354 greatest lag before compaction: `log/compaction/dirt.rs`, `config/topic.rs`
//! - KIP-360 producer id and epoch in InitProducerId: `handlers/init_producer_id.rs`,
//!   `coordinator/transaction/init_producer_id.rs`, `coordinator/transaction/metadata.rs`
//! - KIP-368 logins that end: `handlers/sasl_authenticate.rs`
//! - KIP-373 tokens for somebody else: `handlers/create_delegation_token.rs`, `handlers/describe_delegation_token.rs`
//! - KIP-389 largest size of a group: `coordinator/group/classic/join.rs`
//! - KIP-390 compression levels: `protocol/compression.rs`
//! - KIP-394 members that are known before they join: `coordinator/group/classic/join.rs`, `handlers/join_group.rs`
//! - KIP-402 limits of connections that change while the broker runs: `net/listener.rs`
//! - KIP-412 levels of loggers: `telemetry/loggers.rs`, `handlers/logger_levels.rs`,
//!   `handlers/incremental_alter_configs.rs`, `handlers/describe_configs.rs`
//! - KIP-429 cooperative rebalancing: `coordinator/group/classic/mod.rs`
//! - KIP-430 authorized operations: `handlers/metadata.rs`, `handlers/wire.rs`, `handlers/describe_groups.rs`
//! - KIP-447 offsets that are stable: `handlers/offset_fetch.rs`; groups of transactional producers:
//!   `coordinator/group/transactional.rs`, `coordinator/group/classic/commit.rs`, `coordinator/group/shard.rs`,
//!   `protocol/offsets/transactional.rs`, `handlers/txn_offset_commit.rs`
//! - KIP-455 reassignments: `handlers/alter_partition_reassignments.rs`, `handlers/list_partition_reassignments.rs`,
//!   `controller/reassignments.rs`, `controller/partition_change.rs`
//! - KIP-460 unclean elections that are asked for: `handlers/elect_leaders.rs`, `controller/elections.rs`
//! - KIP-464 defaults of CreateTopics: `handlers/create_topics.rs`
//! - KIP-467 errors of single records: `protocol/validate.rs`, `protocol/produce.rs`
//! - KIP-482 tagged fields and compact lengths: `protocol/wire.rs`, `protocol/shapes.rs`, `protocol/shapes/walker.rs`
//! - KIP-496 deletion of offsets: `coordinator/group/offsets.rs`, `handlers/offset_delete.rs`
//! - KIP-497 maximal ISR: `replication/partition.rs`
//! - KIP-500 metadata as a log: `raft/mod.rs`
//! - KIP-511 name and version of the client's software: `handlers/api_versions.rs`, `protocol/shapes.rs`
//! - KIP-516 topic ids: `handlers/metadata.rs`, `handlers/fetch/mod.rs`, `handlers/create_topics.rs`,
//!   `handlers/delete_topics.rs`, `protocol/produce.rs`, `controller/topics.rs`
//! - KIP-518 groups by state: `handlers/list_groups.rs`
//! - KIP-525 configs in the answer of CreateTopics: `handlers/create_topics.rs`
//! - KIP-534 delete horizon of a batch: `protocol/batch.rs`, `protocol/records.rs`, `log/compaction/retain.rs`
//! - KIP-546 client quotas: `handlers/alter_client_quotas.rs`, `handlers/describe_client_quotas.rs`,
//!   `handlers/quotas.rs`, `controller/quotas.rs`, `security/entity.rs`
//! - KIP-554 SCRAM credentials: `handlers/alter_user_scram_credentials.rs`,
//!   `handlers/describe_user_scram_credentials.rs`, `controller/scram.rs`, `security/scram.rs`
//! - KIP-559 protocol names in SyncGroup: `coordinator/group/classic/sync.rs`, `handlers/sync_group.rs`
//! - KIP-569 documentation and types in DescribeConfigs: `config/describe.rs`, `handlers/describe_configs.rs`
//! - KIP-584 features: `handlers/features.rs`, `handlers/update_features.rs`, `handlers/api_versions.rs`,
//!   `controller/features.rs`
//! - KIP-588 PRODUCER_FENCED to clients that know it: `handlers/transactional.rs`
//! - KIP-595 raft, diverging epochs: `raft/mod.rs`, `handlers/describe_quorum.rs`, `handlers/fetch/look.rs`
//! - KIP-599 quota on partitions: `handlers/quotas.rs`, `security/rate.rs`, `handlers/create_topics.rs`,
//!   `handlers/create_partitions.rs`, `handlers/delete_topics.rs`, `handlers/metadata.rs`
//! - KIP-630 snapshots: `raft/checkpoint.rs`
//! - KIP-631 registration of brokers: `broker/registration.rs`, `controller/brokers.rs`
//! - KIP-664 tools for transactions: `handlers/describe_producers.rs`, `coordinator/transaction/describe.rs`,
//!   `handlers/write_txn_markers.rs`,
//!   `handlers/describe_transactions.rs`, `handlers/list_transactions.rs`
//! - KIP-699 many keys in FindCoordinator: `handlers/find_coordinator.rs`
//! - KIP-700 DescribeCluster: `handlers/describe_cluster.rs`
//! - KIP-709 many groups in OffsetFetch: `handlers/offset_fetch.rs`
//! - KIP-730 blocks of producer ids: `handlers/producer_ids.rs`, `controller/producer_ids.rs`
//! - KIP-734 offset of the largest timestamp: `handlers/list_offsets.rs`, `log/by_time.rs`
//! - KIP-800 reasons to join and leave: `handlers/join_group.rs`, `handlers/leave_group.rs`
//! - KIP-814 static leaders that keep the assignment: `coordinator/group/classic/join.rs`,
//!   `coordinator/group/classic/static_member.rs`, `handlers/join_group.rs`
//! - KIP-827 room in log directories: `handlers/describe_log_dirs.rs`
//! - KIP-836 times in DescribeQuorum: `handlers/describe_quorum.rs`
//! - KIP-848 groups whose coordinator assigns: `coordinator/group/consumer/mod.rs`, `coordinator/group/records/consumer.rs`,
//!   `handlers/consumer_group_heartbeat.rs`, `handlers/consumer_group_describe.rs`; assignors:
//!   `coordinator/group/consumer/assignor/mod.rs`; subscriptions by pattern: `coordinator/group/consumer/regex.rs`; topic
//!   ids and member epochs of offsets: `protocol/offsets.rs`, `protocol/offsets/commit.rs`, `handlers/offset_commit.rs`, `handlers/offset_fetch.rs`,
//!   `coordinator/group/offsets.rs`; types in ListGroups: `handlers/list_groups.rs`
//! - KIP-853 directories and nodes in DescribeQuorum and Fetch: `handlers/describe_quorum.rs`, `protocol/fetch.rs`; voters
//!   that come and go: `handlers/add_raft_voter.rs`, `handlers/remove_raft_voter.rs`, `handlers/quorum_changes.rs`,
//!   `handlers/features.rs`, `protocol/quorum_changes.rs`
//! - KIP-858 ids of log directories: `log/dirs.rs`, `log/meta_properties.rs`, `controller/brokers.rs`,
//!   `controller/directories.rs`, `replication/moves.rs`
//! - KIP-860 reassignments that keep the replication factor: `handlers/alter_partition_reassignments.rs`,
//!   `controller/reassignments.rs`
//! - KIP-890 bumped epochs behind a transaction's end, verified partitions: `log/producer_state.rs`; no commit of
//!   offsets outside of its transaction: `coordinator/group/transactional.rs`, `coordinator/transaction/metadata.rs`,
//!   `coordinator/transaction/add_partitions.rs`, `coordinator/transaction/end_transaction.rs`,
//!   `coordinator/transaction/records.rs`, `handlers/produce/transactions.rs`, `handlers/features.rs`,
//!   `handlers/add_partitions_to_txn.rs`, `handlers/add_offsets_to_txn.rs`, `handlers/end_txn.rs`,
//!   `handlers/txn_offset_commit.rs`
//! - KIP-915 tags of later releases in records: `coordinator/group/records.rs`
//! - KIP-919 endpoint types: `handlers/describe_cluster.rs`
//! - KIP-966 eligible leader replicas: `handlers/describe_topic_partitions.rs`, `handlers/features.rs`,
//!   `broker/registration.rs`, `controller/configs.rs`, `controller/image.rs`, `controller/partition_change.rs`
//! - KIP-994 transactions by duration: `coordinator/transaction/describe.rs`, `handlers/list_transactions.rs`
//! - KIP-1000 names of client-metrics subscriptions: `handlers/list_config_resources.rs`
//! - KIP-1005 tiered offsets: `handlers/list_offsets.rs`
//! - KIP-1023 tiered offsets: `handlers/list_offsets.rs`
//! - KIP-1022 features whose minimum is 0: `handlers/api_versions.rs`, `handlers/update_features.rs`
//! - KIP-1043 unknown groups are an error: `handlers/describe_groups.rs`
//! - KIP-1073 DescribeCluster v2: `handlers/describe_cluster.rs`
//! - KIP-1099 protocols of members: `handlers/consumer_group_describe.rs`
//! - KIP-1101 hash of the topics of a group: `coordinator/group/consumer/topics.rs`
//! - KIP-1102 Metadata v13: `handlers/metadata.rs`
//! - KIP-1142 ListConfigResources: `handlers/list_config_resources.rs`
//! - KIP-1152 transactions by a pattern of their ids: `coordinator/transaction/describe.rs`,
//!   `handlers/list_transactions.rs`
//! - KIP-1228 the transaction version of a marker: `protocol/txn_markers.rs`, `handlers/write_txn_markers.rs`
//! - KIP-1242 clients at the wrong address: `handlers/api_versions.rs`
//! - KIP-1251 assignment epochs of partitions: `coordinator/group/consumer/commit.rs`,
//!   `coordinator/group/records/consumer.rs`
//! - KIP-1263 pause between assignments: `coordinator/group/consumer/target.rs`
//!
//! # KIPs known by name only
//!
//! Fields that are read or written without a meaning yet: KIP-392 (rack, preferred replica), KIP-903 and KIP-1166 (a
//! follower's fetch), KIP-951 (a new leader's address).
//!
//! Keys that are checked and shown, or refused: KIP-73 (throttled replication), KIP-405 (tiered storage), KIP-714
//! (client metrics), KIP-932 and KIP-1071 (groups), KIP-939 (two-phase commit), KIP-1066 (cordoned
//! directories).

#![deny(unsafe_code)]

pub mod broker;
pub mod config;
pub mod controller;
pub mod coordinator;
#[cfg(test)]
mod docs;
pub mod env;
#[cfg(test)]
mod fuzz;
pub mod handlers;
pub mod log;
pub mod net;
pub mod protocol;
pub mod raft;
pub mod replication;
pub mod security;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod tidy;
