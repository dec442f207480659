//! The uniform assignor where all members subscribe to the same topics. Kafka: `UniformHomogeneousAssignmentBuilder`.
//!
//! Every member's quota is the partitions divided by the members; where that leaves a rest, as many members have one
//! more. Members give up what exceeds their quota, and that and what nobody owned goes to the members below theirs. So
//! the fewest partitions move that an even assignment allows.

use super::ownership::Ownership;

/// A place of a partition: topic and partition, by number.
type Place = (usize, usize);

pub(super) fn balance(ownership: &mut Ownership, member_count: usize) {
    let mut unassigned = unowned(ownership);
    let rooms = revoke_excess(ownership, member_count, &mut unassigned);
    let seats = rooms.into_iter().enumerate().flat_map(|(member, room)| std::iter::repeat_n(member, room));
    let mut assigned_count = 0;
    for ((topic, partition), member) in unassigned.iter().copied().zip(seats) {
        ownership.topics[topic].owners[partition] = Some(member);
        assigned_count += 1;
    }
    assert_eq!(assigned_count, unassigned.len(), "quotas add up to all partitions");
}

fn unowned(ownership: &Ownership) -> Vec<Place> {
    let mut places = Vec::new();
    for (topic, owned) in ownership.topics.iter().enumerate() {
        let unowned = (0..owned.owners.len()).filter(|&partition| owned.owners[partition].is_none());
        places.extend(unowned.map(|partition| (topic, partition)));
    }
    places
}

/// Takes from members what exceeds their quota, and returns how many partitions each can yet be given.
fn revoke_excess(ownership: &mut Ownership, member_count: usize, unassigned: &mut Vec<Place>) -> Vec<usize> {
    let quota = ownership.partition_count() / member_count;
    let mut extras = ownership.partition_count() % member_count;
    let mut rooms = Vec::with_capacity(member_count);
    for (member, places) in places_by_owner(ownership, member_count).into_iter().enumerate() {
        let quota_with_extra = quota + usize::from(extras > 0);
        let kept = places.len().min(quota_with_extra);
        for (topic, partition) in places.into_iter().skip(kept) {
            ownership.topics[topic].owners[partition] = None;
            unassigned.push((topic, partition));
        }
        // The extra partitions go to members that own as many already, until those who are left must all take one.
        let must_take_extra = member_count - member <= extras;
        let takes_extra = extras > 0 && (kept == quota_with_extra || must_take_extra);
        extras -= usize::from(takes_extra);
        rooms.push(quota + usize::from(takes_extra) - kept);
    }
    rooms
}

fn places_by_owner(ownership: &Ownership, member_count: usize) -> Vec<Vec<Place>> {
    let mut places = vec![Vec::new(); member_count];
    for (topic, owned) in ownership.topics.iter().enumerate() {
        for (partition, owner) in owned.owners.iter().enumerate() {
            if let Some(owner) = owner {
                places[*owner].push((topic, partition));
            }
        }
    }
    places
}
