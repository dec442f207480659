//! Broker keys of the process, its listeners, connections and requests (`SocketServerConfigs`,
//! `ServerConfigs`, `KRaftConfigs`).

use crate::config::key::Check::*;
use crate::config::key::Class::{Applied, NoEffect, Refused};
use crate::config::key::{Key, keys};
use crate::config::keys::reasons::*;

pub static KEYS: &[Key] = keys! {
    "advertised.listeners" => List, null, Any, ReadOnly, Applied,
        "Addresses that clients are told to connect to, as NAME://host:port; unset, they are the listeners.";
    "background.threads" => Int, "10", AtLeast(1), ClusterWide, NoEffect(THREADS),
        "Size of Kafka's pool for background work.";
    "broker.heartbeat.interval.ms" => Int, "2000", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Time between two heartbeats of a broker to the controller.";
    "broker.id" => Int, "-1", Any, ReadOnly, Applied,
        "Older name of node.id; when both are set they must be equal.";
    "broker.rack" => String, null, Any, ReadOnly, Applied,
        "Rack of this broker, told to clients and used to spread replicas.";
    "broker.session.timeout.ms" => Int, "9000", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Time without a heartbeat after which the controller fences a broker.";
    "config.providers" => List, "", Any, ClusterWide, Refused(PLUGIN),
        "Names of providers that look configuration values up elsewhere.";
    "connections.max.idle.ms" => Long, "600000", Any, ReadOnly, Applied,
        "Time without a request after which a connection is closed; negative never closes one.";
    "controlled.shutdown.enable" => Boolean, "true", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Whether leadership moves to other brokers before this one stops.";
    "controller.listener.names" => List, null, Any, ReadOnly, Applied,
        "Names of the listeners that serve the controller quorum.";
    internal "controller.performance.always.log.threshold.ms" => Long, "2000",
        AtLeast(0), ReadOnly, NoEffect(INTERNAL),
        "Duration of a controller event above which Kafka logs it.";
    internal "controller.performance.sample.period.ms" => Long, "60000",
        AtLeast(100), ReadOnly, NoEffect(INTERNAL),
        "Period over which Kafka sums the durations of controller events.";
    "controller.quorum.append.linger.ms" => Int, "25", AtLeast(0), ReadOnly, NoEffect(ONE_VOTER),
        "Time the quorum leader gathers records before it writes them.";
    "controller.quorum.auto.join.enable" => Boolean, "false", Any, ReadOnly, NoEffect(ONE_VOTER),
        "Whether a controller joins the voters by itself.";
    "controller.quorum.bootstrap.servers" => List, "", Any, ReadOnly, Applied,
        "Where the controller quorum can be found; this build takes one address.";
    "controller.quorum.election.backoff.max.ms" => Int, "1000", AtLeast(0), ReadOnly, NoEffect(ONE_VOTER),
        "Longest wait before a further election.";
    "controller.quorum.election.timeout.ms" => Int, "1000", AtLeast(0), ReadOnly, NoEffect(ONE_VOTER),
        "Time a candidate waits for votes.";
    "controller.quorum.fetch.max.bytes" => Int, "1048576", AtLeast(1), ReadOnly, NoEffect(ONE_VOTER),
        "Most metadata a quorum fetch returns.";
    "controller.quorum.fetch.snapshot.max.bytes" => Int, "1048576", AtLeast(1), ReadOnly, NoEffect(ONE_VOTER),
        "Most snapshot bytes a quorum fetch returns.";
    "controller.quorum.fetch.timeout.ms" => Int, "2000", AtLeast(0), ReadOnly, NoEffect(ONE_VOTER),
        "Time without a fetch from the leader after which a voter stands for election.";
    "controller.quorum.request.timeout.ms" => Int, "2000", AtLeast(0), ReadOnly, NoEffect(ONE_VOTER),
        "Time to wait for an answer of another voter.";
    "controller.quorum.retry.backoff.ms" => Int, "20", AtLeast(0), ReadOnly, NoEffect(ONE_VOTER),
        "Wait before a quorum request is repeated.";
    "controller.quorum.voters" => List, "", Any, ReadOnly, Applied,
        "The voters as id@host:port; this build takes one, this node.";
    "controller.socket.timeout.ms" => Int, "30000", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Time a broker waits for an answer of the controller.";
    "early.start.listeners" => List, null, Any, ReadOnly, NoEffect(NO_AUTHORIZER),
        "Listeners that accept connections before the authorizer is ready.";
    "fetch.max.bytes" => Int, "57671680", AtLeast(1024), ReadOnly, Applied,
        "Most bytes a Fetch answer holds, whatever the client asks for.";
    "fetch.purgatory.purge.interval.requests" => Int, "1000", Any, ReadOnly, NoEffect(PURGATORY),
        "Completed fetches after which Kafka's purgatory is swept.";
    "initial.broker.registration.timeout.ms" => Int, "60000", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Time a starting broker tries to register with the controller.";
    "inter.broker.listener.name" => String, null, Any, ReadOnly, Applied,
        "Listener that brokers use among themselves.";
    "kafka.metrics.polling.interval.secs" => Int, "10", AtLeast(1), ReadOnly, NoEffect(METRICS),
        "Polling interval of kafka.metrics.reporters.";
    "kafka.metrics.reporters" => List, "", Any, ReadOnly, NoEffect(METRICS),
        "Java classes that report broker metrics.";
    "listener.security.protocol.map" => String,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        Any, PerBroker, Applied,
        "Security protocol of each listener name; this build serves PLAINTEXT.";
    "listeners" => List, "PLAINTEXT://:9092", Any, PerBroker, Applied,
        "Addresses to listen on, as NAME://host:port; an empty host is every interface.";
    "max.connection.creation.rate" => Int, "2147483647", AtLeast(0), ClusterWide, Refused(CONNECTION_RATE),
        "Connections a second that are accepted.";
    "max.connections" => Int, "2147483647", AtLeast(0), ClusterWide, Applied,
        "Connections that may be open at a time.";
    "max.connections.per.ip" => Int, "2147483647", AtLeast(0), ClusterWide, Applied,
        "Connections that may be open at a time from one address.";
    "max.connections.per.ip.overrides" => String, "", Any, ClusterWide, Applied,
        "Limits for single addresses, as address:count pairs.";
    "max.incremental.fetch.session.cache.slots" => Int, "1000", AtLeast(0), ReadOnly, Applied,
        "Incremental fetch sessions that are kept.";
    "max.request.partition.size.limit" => Int, "2000", AtLeast(1), ReadOnly, Applied,
        "Most partitions one DescribeTopicPartitions answer holds.";
    "metric.reporters" => List, "org.apache.kafka.common.metrics.JmxReporter",
        Any, ClusterWide, NoEffect(METRICS),
        "Java classes that report metrics.";
    "metrics.num.samples" => Int, "2", AtLeast(1), ReadOnly, NoEffect(METRICS),
        "Samples kept for each Kafka metric.";
    "metrics.recording.level" => String, "INFO", Any, ReadOnly, NoEffect(METRICS),
        "Level of detail of Kafka's metrics.";
    "metrics.sample.window.ms" => Long, "30000", AtLeast(1), ReadOnly, NoEffect(METRICS),
        "Length of a sample of a Kafka metric.";
    "node.id" => Int, null, AtLeast(0), ReadOnly, Applied,
        "Number of this node, unique in the cluster.";
    "num.io.threads" => Int, "8", AtLeast(1), ClusterWide, NoEffect(THREADS),
        "Size of Kafka's pool that handles requests.";
    "num.network.threads" => Int, "3", AtLeast(1), ClusterWide, NoEffect(THREADS),
        "Network threads of each Kafka listener.";
    "process.roles" => List, null, EachOneOf(&["broker", "controller"]), ReadOnly, Applied,
        "Roles of this process; this build is broker and controller in one.";
    "queued.max.request.bytes" => Long, "-1", Any, ReadOnly, Applied,
        "Bytes of requests that may wait at a time before no more are read; not positive is without limit.";
    "queued.max.requests" => Int, "500", AtLeast(1), ReadOnly, NoEffect(THREADS),
        "Requests that may wait for Kafka's handler threads.";
    "request.timeout.ms" => Int, "30000", Any, ReadOnly, Applied,
        "Time this broker waits for an answer as a client, and for the markers of a transaction.";
    internal "server.max.startup.time.ms" => Long, "9223372036854775807",
        AtLeast(0), ReadOnly, NoEffect(INTERNAL),
        "Time after which a start of Kafka that has not finished is given up.";
    "socket.connection.setup.timeout.max.ms" => Long, "30000", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Longest time this broker waits for a connection as a client.";
    "socket.connection.setup.timeout.ms" => Long, "10000", Any, ReadOnly, NoEffect(ONE_BROKER),
        "Time this broker first waits for a connection as a client.";
    "socket.listen.backlog.size" => Int, "50", AtLeast(1), ReadOnly, Applied,
        "Connections the kernel holds before they are accepted.";
    "socket.receive.buffer.bytes" => Int, "102400", Any, ReadOnly, Applied,
        "Receive buffer of a connection's socket; -1 leaves it to the kernel.";
    "socket.request.max.bytes" => Int, "104857600", AtLeast(1), ReadOnly, Applied,
        "Largest request that is read.";
    "socket.send.buffer.bytes" => Int, "102400", Any, ReadOnly, Applied,
        "Send buffer of a connection's socket; -1 leaves it to the kernel.";
    "telemetry.max.bytes" => Int, "1048576", AtLeast(1), ReadOnly, NoEffect(TELEMETRY),
        "Most metric bytes a client may push at once.";
    internal "unstable.api.versions.enable" => Boolean, "false", Any, ReadOnly, NoEffect(UNSTABLE),
        "Whether API versions that are still in development are served.";
    internal "unstable.feature.versions.enable" => Boolean, "false", Any, ReadOnly, NoEffect(UNSTABLE),
        "Whether feature levels that are still in development may be finalized.";
};
