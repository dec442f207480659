//! The `uniform` assignor: members have as equal numbers of partitions as their subscriptions allow, and few
//! partitions move. Kafka: `UniformAssignor`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ownership::Ownership;
use super::{Members, PartitionCounts, heterogeneous, homogeneous};
use crate::coordinator::group::consumer::assignment::Assignment;

pub(super) fn assign(members: &Members, counts: &PartitionCounts) -> BTreeMap<Arc<str>, Assignment> {
    let mut ownership = Ownership::new(members, counts);
    let mut subscriptions = members.values().map(|member| &member.topics);
    if let Some(first) = subscriptions.next() {
        if subscriptions.all(|topics| topics == first) {
            homogeneous::balance(&mut ownership, members.len());
        } else {
            heterogeneous::balance(&mut ownership, members);
        }
    }
    members.keys().cloned().zip(ownership.into_assignments(members.len())).collect()
}
