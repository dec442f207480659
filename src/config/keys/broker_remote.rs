//! Broker keys of tiered storage (KIP-405), which this build does not have.

use crate::config::key::Check::*;
use crate::config::key::Class::{NoEffect, Refused};
use crate::config::key::{Key, keys};
use crate::config::keys::reasons::{TIERED, TIERED_OFF};

pub static KEYS: &[Key] = keys! {
    "follower.fetch.last.tiered.offset.enable" => Boolean, "false", Any, ClusterWide, NoEffect(TIERED_OFF),
        "Whether an empty follower begins after what the remote store holds.";
    "remote.fetch.max.wait.ms" => Int, "500", AtLeast(1), ClusterWide, NoEffect(TIERED_OFF),
        "Longest wait of a fetch from the remote store.";
    "remote.list.offsets.request.timeout.ms" => Long, "30000", AtLeast(1), ClusterWide, NoEffect(TIERED_OFF),
        "Longest wait of a ListOffsets that asks the remote store.";
    "remote.log.index.file.cache.total.size.bytes" => Long, "1073741824",
        AtLeast(1), ClusterWide, NoEffect(TIERED_OFF),
        "Local space for index files of remote segments.";
    internal "remote.log.index.file.cache.ttl.ms" => Long, "900000",
        AtLeast(-1), ReadOnly, NoEffect(TIERED_OFF),
        "Time an index file of a remote segment is kept unused.";
    "remote.log.manager.copier.thread.pool.size" => Int, "10", AtLeast(1), ClusterWide, NoEffect(TIERED_OFF),
        "Threads that copy segments.";
    "remote.log.manager.copy.max.bytes.per.second" => Long, "9223372036854775807",
        AtLeast(1), ClusterWide, NoEffect(TIERED_OFF),
        "Most bytes a second that are copied.";
    "remote.log.manager.copy.quota.window.num" => Int, "11", AtLeast(1), ReadOnly, NoEffect(TIERED_OFF),
        "Windows kept for the copy quota.";
    "remote.log.manager.copy.quota.window.size.seconds" => Int, "1",
        AtLeast(1), ReadOnly, NoEffect(TIERED_OFF),
        "Length of such a window.";
    "remote.log.manager.expiration.thread.pool.size" => Int, "10",
        AtLeast(1), ClusterWide, NoEffect(TIERED_OFF),
        "Threads that remove expired remote segments.";
    "remote.log.manager.fetch.max.bytes.per.second" => Long, "9223372036854775807",
        AtLeast(1), ClusterWide, NoEffect(TIERED_OFF),
        "Most bytes a second that are fetched.";
    "remote.log.manager.fetch.quota.window.num" => Int, "11", AtLeast(1), ReadOnly, NoEffect(TIERED_OFF),
        "Windows kept for the fetch quota.";
    "remote.log.manager.fetch.quota.window.size.seconds" => Int, "1",
        AtLeast(1), ReadOnly, NoEffect(TIERED_OFF),
        "Length of such a window.";
    "remote.log.manager.follower.thread.pool.size" => Int, "2", AtLeast(1), ClusterWide, NoEffect(TIERED_OFF),
        "Threads that follow remote metadata.";
    "remote.log.manager.task.interval.ms" => Long, "30000", AtLeast(1), ReadOnly, NoEffect(TIERED_OFF),
        "Time between two rounds of copying and cleaning.";
    internal "remote.log.manager.task.retry.backoff.max.ms" => Long, "30000",
        AtLeast(1), ReadOnly, NoEffect(TIERED_OFF),
        "Longest wait before a failed task runs again.";
    internal "remote.log.manager.task.retry.backoff.ms" => Long, "500",
        AtLeast(1), ReadOnly, NoEffect(TIERED_OFF),
        "Wait before a failed task runs again.";
    internal "remote.log.manager.task.retry.jitter" => Double, "0.2",
        Ratio(0.0, 0.5), ReadOnly, NoEffect(TIERED_OFF),
        "Random share of that wait.";
    "remote.log.manager.thread.pool.size" => Int, "2", AtLeast(1), ReadOnly, NoEffect(TIERED_OFF),
        "Threads of the remote log manager.";
    "remote.log.metadata.custom.metadata.max.bytes" => Int, "128", AtLeast(0), ReadOnly, NoEffect(TIERED_OFF),
        "Largest metadata of its own a remote store may attach to a segment.";
    "remote.log.metadata.manager.class.name" => String,
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
        NonEmpty, ReadOnly, NoEffect(TIERED_OFF),
        "Java class that keeps the metadata of remote segments.";
    "remote.log.metadata.manager.class.path" => String, null, Any, ReadOnly, NoEffect(TIERED_OFF),
        "Where that class is loaded from.";
    "remote.log.metadata.manager.impl.prefix" => String, "rlmm.config.",
        NonEmpty, ReadOnly, NoEffect(TIERED_OFF),
        "Prefix of the keys handed to that class.";
    "remote.log.metadata.manager.listener.name" => String, null, NonEmpty, ReadOnly, NoEffect(TIERED_OFF),
        "Listener that class connects to.";
    "remote.log.reader.max.pending.tasks" => Int, "100", AtLeast(1), ReadOnly, NoEffect(TIERED_OFF),
        "Reads that may wait.";
    "remote.log.reader.threads" => Int, "10", AtLeast(1), ClusterWide, NoEffect(TIERED_OFF),
        "Threads that read remote segments.";
    "remote.log.storage.manager.class.name" => String, null, NonEmpty, ReadOnly, NoEffect(TIERED_OFF),
        "Java class that stores segments.";
    "remote.log.storage.manager.class.path" => String, null, Any, ReadOnly, NoEffect(TIERED_OFF),
        "Where that class is loaded from.";
    "remote.log.storage.manager.impl.prefix" => String, "rsm.config.",
        NonEmpty, ReadOnly, NoEffect(TIERED_OFF),
        "Prefix of the keys handed to that class.";
    "remote.log.storage.system.enable" => Boolean, "false", Any, ReadOnly, Refused(TIERED),
        "Whether this broker has tiered storage.";
};
