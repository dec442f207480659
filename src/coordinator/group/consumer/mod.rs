//! Consumer groups of the new protocol (KIP-848): the coordinator assigns partitions, and members work towards their
//! targets at their own pace, by heartbeats alone. Pure.
//!
//! [`group`] is the state of one group, which its records make alone; [`draft`] is a decision in the making.
//! [`heartbeat`] says what a heartbeat comes to (joins and epochs; `request.rs` is its shape and what must not be asked),
//! [`leave`] how members go, [`timeout`] who is late. [`reconcile`] moves a member towards its target, [`target`] says
//! what that is, with an [`assignor`] over [`assignment`]s; [`regexes`] resolves subscriptions by [`regex`]; [`topics`] is
//! what groups know of the cluster. [`commit`] is what offsets ask of a group, [`describe`] what tools are shown. Kafka: `ConsumerGroup`, `ConsumerGroupMember`, `CurrentAssignmentBuilder`,
//! `TargetAssignmentBuilder`, and the consumer half of `GroupMetadataManager`.

pub mod assignment;
pub mod assignor;
pub mod commit;
pub mod describe;
mod draft;
pub mod group;
pub mod heartbeat;
mod leave;
mod reconcile;
pub mod regex;
mod regexes;
pub mod request;
mod target;
mod timeout;
pub mod topics;

pub(super) use self::draft::Draft;
pub use self::group::ConsumerGroup;
pub use self::request::{HeartbeatRequest, HeartbeatResponse};
