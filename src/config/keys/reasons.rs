//! Why a key has no effect or is refused. Each sentence is printed after the key in a start-up line.

pub const BUFFERS: &str = "the coordinators write at once and keep no buffers of their own";
pub const CLEANER: &str = "one thread cleans one log after the other and reads it batch by batch";
pub const CONNECTION_RATE: &str =
    "new connections have a rate by address only, which is the client quota connection_creation_rate";
pub const COPY_QUOTA: &str = "this build copies no partitions whose rate could be limited";
pub const CORDON: &str = "cordoned log directories (KIP-1066) are not built in";
pub const INTERNAL: &str = "an internal key of Kafka's own implementation";
pub const METRICS: &str =
    "metrics are read over HTTP as Prometheus text; there are no Java reporters and no sample windows";
pub const NO_AUTHORIZER: &str = "there is no authorizer to wait for";
pub const ONE_BROKER: &str = "this build runs one broker, which talks to no other";
pub const ONE_VOTER: &str = "the only voter elects itself and fetches from nobody";
pub const PLUGIN: &str = "Java classes cannot be loaded";
pub const PURGATORY: &str =
    "a waiting request leaves when its condition holds; there is no purgatory to sweep";
pub const RESERVED: &str = "blocks are reserved ahead of every segment that grows, whether asked for or not";
pub const SECURITY: &str = "only PLAINTEXT without authentication and authorization is built in";
pub const SHARE: &str = "share groups (KIP-932) are not served by this build";
pub const SNAPSHOT: &str =
    "snapshots follow the growth of the metadata log, which is cut behind them; no timer writes";
pub const STREAMS: &str = "streams groups (KIP-1071) are not served by this build";
pub const TELEMETRY: &str = "client metrics (KIP-714) are not collected by this build";
pub const THREADS: &str =
    "one worker per core does all work; there are no thread pools and no queue between threads to size";
pub const TIERED: &str = "tiered storage (KIP-405) is not built in";
pub const TIERED_OFF: &str = "only tiered storage uses it, and this build cannot turn that on";
pub const TWO_PHASE: &str = "two-phase commit (KIP-939) is not built in";
pub const UNSTABLE: &str = "only stable API versions and feature levels are served";
