//! One member's steps, as short texts: `a0@3` is partition 0 of topic a, assigned at epoch 3.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;

fn topic(name: char) -> TopicId {
    TopicId(Uuid::from_u128(name as u128))
}

fn parse(text: &str) -> OwnedPartitions {
    let mut owned = OwnedPartitions::new();
    for word in text.split_whitespace() {
        let (partition, epoch) = word.split_once('@').unwrap_or((word, "0"));
        let (name, index) = partition.split_at(1);
        let index = PartitionIndex(index.parse().unwrap());
        let topic = topic(name.chars().next().unwrap());
        owned.entry(topic).or_default().insert(index, epoch.parse().unwrap());
    }
    owned
}

fn show(owned: &OwnedPartitions) -> String {
    let name = |topic: &TopicId| char::from_u32(topic.0.as_u128() as u32).unwrap();
    let shown = owned.iter().flat_map(|(topic, partitions)| {
        partitions.iter().map(move |(index, epoch)| format!("{}{index}@{epoch}", name(topic)))
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn plain(text: &str) -> Assignment {
    let owned = parse(text);
    owned.into_iter().map(|(topic, partitions)| (topic, partitions.into_keys().collect())).collect()
}

struct Case {
    member: CurrentAssignment,
    target_epoch: i32,
    target: &'static str,
    subscribed: &'static str,
    changed: bool,
    owned: Option<&'static str>,
    taken: &'static str,
}

impl Case {
    /// A member that is to come to `target` in epoch 11.
    fn new(state: MemberState, epoch: i32, assigned: &str, revoking: &str, target: &'static str) -> Case {
        let member = CurrentAssignment {
            member_epoch: epoch,
            previous_member_epoch: epoch - 1,
            state,
            assigned: parse(assigned),
            pending_revocation: parse(revoking),
        };
        Case { member, target_epoch: 11, target, subscribed: "ab", changed: false, owned: None, taken: "" }
    }

    fn step(&self) -> Result<CurrentAssignment, ApiError> {
        let taken = plain(self.taken);
        let owned = self.owned.map(plain);
        Reconciliation {
            current: &self.member,
            target_epoch: self.target_epoch,
            target: &plain(self.target),
            subscribed: &self.subscribed.chars().map(topic).collect(),
            has_subscription_changed: self.changed,
            owned: owned.as_ref(),
            is_free: &|topic, partition| {
                !taken.get(&topic).is_some_and(|partitions| partitions.contains(&partition))
            },
        }
        .step()
    }

    /// `STATE epoch<previous has [..] gives up [..]`
    fn check(&self, expected: &str) {
        let next = self.step().unwrap();
        let state = match next.state {
            MemberState::Stable => "stable",
            MemberState::UnrevokedPartitions => "unrevoked",
            MemberState::UnreleasedPartitions => "unreleased",
            MemberState::Unknown => "unknown",
        };
        let told = format!(
            "{state} {}<{} has [{}] gives up [{}]",
            next.member_epoch,
            next.previous_member_epoch,
            show(&next.assigned),
            show(&next.pending_revocation)
        );
        assert_eq!(told, expected);
    }
}

#[test]
fn a_new_member_takes_what_is_free() {
    Case::new(MemberState::Stable, 0, "", "", "a0 a1").check("stable 11<0 has [a0@11 a1@11] gives up []");
    let shared = Case { taken: "a1", ..Case::new(MemberState::Stable, 0, "", "", "a0 a1") };
    shared.check("unreleased 11<0 has [a0@11] gives up []");
    let all_taken = Case { taken: "a0 a1", ..Case::new(MemberState::Stable, 0, "", "", "a0 a1") };
    all_taken.check("unreleased 11<0 has [] gives up []");
    Case::new(MemberState::Stable, 0, "", "", "").check("stable 11<0 has [] gives up []");
}

#[test]
fn a_member_gives_up_before_it_takes() {
    let first = Case::new(MemberState::Stable, 10, "a0@10 a1@9 a2@8", "", "a2 a3");
    first.check("unrevoked 10<10 has [a2@8] gives up [a0@10 a1@9]");
    // It says at once that it has neither.
    let quick = Case { owned: Some("a2"), ..Case::new(MemberState::Stable, 10, "a0@10 a2@8", "", "a2 a3") };
    quick.check("stable 11<10 has [a2@8 a3@11] gives up []");
}

#[test]
fn what_is_to_be_given_up_is_waited_for() {
    let unrevoked = || Case::new(MemberState::UnrevokedPartitions, 10, "a2@8", "a0@10 a1@9", "a2 a3");
    unrevoked().check("unrevoked 10<9 has [a2@8] gives up [a0@10 a1@9]");
    Case { owned: Some("a1 a2"), ..unrevoked() }.check("unrevoked 10<9 has [a2@8] gives up [a0@10 a1@9]");
    Case { owned: Some("a2"), ..unrevoked() }.check("stable 11<10 has [a2@8 a3@11] gives up []");
    // The target has moved on meanwhile, and takes more.
    let moved = Case { target: "a3", owned: Some("a2"), ..unrevoked() };
    moved.check("unrevoked 10<10 has [] gives up [a2@8]");
    // Or gives back, which nobody else can have got.
    let back = Case { target: "a0 a2", owned: Some("a2"), taken: "a0", ..unrevoked() };
    back.check("stable 11<10 has [a0@11 a2@8] gives up []");
}

#[test]
fn what_others_release_is_taken_in_the_same_epoch() {
    let waits = || Case::new(MemberState::UnreleasedPartitions, 11, "a0@11", "", "a0 a1");
    Case { taken: "a1", ..waits() }.check("unreleased 11<11 has [a0@11] gives up []");
    waits().check("stable 11<11 has [a0@11 a1@11] gives up []");
    Case { target: "a1", ..waits() }.check("unrevoked 11<11 has [] gives up [a0@11]");
}

#[test]
fn a_stable_member_stays() {
    Case::new(MemberState::Stable, 11, "a0@3", "", "a0 a1").check("stable 11<10 has [a0@3] gives up []");
}

#[test]
fn topics_that_are_read_no_more_are_given_up_without_a_new_target() {
    let changed = |state, epoch, revoking| Case {
        changed: true,
        subscribed: "b",
        ..Case::new(state, epoch, "a0@9 b0@8", revoking, "a0 b0 b1")
    };
    changed(MemberState::Stable, 11, "").check("unrevoked 11<11 has [b0@8] gives up [a0@9]");
    changed(MemberState::UnrevokedPartitions, 10, "a1@7")
        .check("unrevoked 10<10 has [b0@8] gives up [a0@9 a1@7]");
    let gone = Case { owned: Some("b0"), ..changed(MemberState::Stable, 11, "") };
    gone.check("stable 11<11 has [b0@8] gives up []");
    // On the way to an epoch the target is not believed either.
    changed(MemberState::Stable, 10, "").check("unrevoked 10<10 has [b0@8] gives up [a0@9]");
    let same = Case { changed: true, ..Case::new(MemberState::Stable, 11, "a0@9", "", "a0") };
    same.check("stable 11<10 has [a0@9] gives up []");
}

#[test]
fn an_unknown_state_is_left_with_empty_hands() {
    let unknown = || Case::new(MemberState::Unknown, 9, "a0@9", "a1@9", "a0 a1");
    for owned in [None, Some("a0")] {
        let refusal = Case { owned, ..unknown() }.step().unwrap_err();
        assert_eq!(refusal.code, ErrorCode::FencedMemberEpoch);
    }
    let rejoining = Case { owned: Some(""), ..unknown() };
    rejoining.check("stable 11<9 has [a0@9 a1@11] gives up []");
}

fn without_epochs(owned: &OwnedPartitions) -> Assignment {
    owned.iter().map(|(topic, of)| (*topic, of.keys().copied().collect())).collect()
}

/// Members that step in any order, some of them lying still, come to their targets, and never share a partition.
#[test]
fn members_come_to_their_targets_and_never_share() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let members = random.usize(2..5);
        let mut current = vec![CurrentAssignment::new(); members];
        let mut client: Vec<Assignment> = vec![Assignment::new(); members];
        for target_epoch in 1..6 {
            let mut targets = vec![Assignment::new(); members];
            for partition in 0..8 {
                let to = &mut targets[random.usize(..members)];
                to.entry(topic('a')).or_default().insert(PartitionIndex(partition));
            }
            // The last target is come to; before, the next one may come at any time.
            let steps = if target_epoch == 5 { 40 * members } else { random.usize(..20) };
            for turn in 0..steps {
                let who = if target_epoch == 5 { turn % members } else { random.usize(..members) };
                let others = |index: PartitionIndex| {
                    let has = |owned: &OwnedPartitions| {
                        owned.get(&topic('a')).is_some_and(|partitions| partitions.contains_key(&index))
                    };
                    current.iter().any(|member| has(&member.assigned) || has(&member.pending_revocation))
                };
                let says = target_epoch == 5 || random.bool();
                let next = Reconciliation {
                    current: &current[who],
                    target_epoch,
                    target: &targets[who],
                    subscribed: &BTreeSet::from([topic('a')]),
                    has_subscription_changed: false,
                    owned: says.then_some(&client[who]),
                    is_free: &|_, partition| !others(partition),
                }
                .step()
                .unwrap();
                assert!(next.member_epoch >= current[who].member_epoch, "seed {seed}: an epoch went back");
                current[who] = next;
                // The client drops what it must at once, and has the rest.
                client[who] = without_epochs(&current[who].assigned);
                let mut owners = BTreeMap::new();
                for (who, owned) in client.iter().enumerate() {
                    for partition in owned.values().flatten() {
                        let other = owners.insert(*partition, who);
                        assert_eq!(other, None, "seed {seed}: {partition} has two owners");
                    }
                }
            }
            if target_epoch == 5 {
                assert_eq!(client, targets, "seed {seed}: members do not come to their targets");
                assert!(current.iter().all(|member| member.is_reconciled_to(5)));
            }
        }
    }
}
