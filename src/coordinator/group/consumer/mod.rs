//! Consumer groups of the new protocol (KIP-848): the coordinator assigns partitions, and members work towards their
//! targets at their own pace, by heartbeats alone. Pure.
//!
//! [`group`] is the state of one group, which its records make alone; [`draft`] is a decision in the making.
//! [`heartbeat`] says what a heartbeat comes to (joins and epochs; `request.rs` is its shape and what must not be asked),
//! [`leave`] how members go, [`timeout`] who is late. [`reconcile`] moves a member towards its target, [`target`] says
//! what that is, with an [`assignor`] over [`assignment`]s; [`regexes`] resolves subscriptions by [`regex`]; [`topics`] is
//! what groups know of the cluster. [`commit`] is what offsets ask of a group, [`describe`] what tools are shown.
//!
//! Members of the classic protocol may be in a consumer group, too: [`classic_join`] and [`classic_member`] answer them,
//! over the bytes in [`embedded`], and `migrate.rs` says when a group changes its protocol. Kafka: `ConsumerGroup`,
//! `ConsumerGroupMember`, `CurrentAssignmentBuilder`, `TargetAssignmentBuilder`, and the consumer half of `GroupMetadataManager`.

pub mod assignment;
pub mod assignor;
pub mod classic_join;
pub mod classic_member;
pub mod commit;
pub mod describe;
mod draft;
pub(in crate::coordinator::group) mod embedded;
pub mod group;
pub mod heartbeat;
mod leave;
mod migrate;
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
