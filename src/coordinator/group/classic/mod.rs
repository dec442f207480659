//! Classic consumer groups: JoinGroup, SyncGroup, Heartbeat and LeaveGroup as rules, pure.
//!
//! [`group`] is the state of one group and [`member`] of one member; [`draft`] is a decision in the making. A file each
//! says what a request comes to ([`join`], [`static_member`], [`sync`], [`heartbeat`], [`leave`]), [`rebalance`] how a
//! generation ends and the next begins, [`timeout`] what happens when somebody is late. [`record`] is the group as
//! its record, [`commit`] what offsets ask of a group, [`describe`] what tools are shown. Static members are KIP-345, the
//! two-step join is KIP-394, a join that skips the assignment is KIP-814, batched leaves are KIP-345. Kafka:
//! `ClassicGroup`, `ClassicGroupMember`, and the classic half of `GroupMetadataManager`.
//!
//! Protocol types other than `consumer` (Connect, schema registries) work alike: what members send to their leader,
//! and the leader to them, are opaque bytes. Cooperative rebalancing (KIP-429) is nothing but such bytes.

pub mod commit;
pub mod describe;
mod draft;
pub mod group;
pub mod heartbeat;
pub mod join;
pub mod leave;
pub mod member;
mod rebalance;
mod record;
mod static_member;
pub mod sync;
mod timeout;

pub use self::commit::OffsetExpiration;
pub(super) use self::draft::Draft;
pub use self::group::ClassicGroup;
pub use self::heartbeat::HeartbeatRequest;
pub use self::member::MemberEvent;
