//! Stories of elections, reassignments and brokers that are forgotten.

use super::*;

const ELR: &str = "eligible.leader.replicas.version";

fn ids(brokers: &[i32]) -> Vec<BrokerId> {
    brokers.iter().copied().map(BrokerId).collect()
}

/// Three brokers that know eligible leader replicas, and topic `t` with one partition on these replicas.
fn with_partition_on(replicas: &[i32], min_insync_replicas: &str) -> Cluster {
    let mut cluster = Cluster::empty();
    for id in 1..=3 {
        let Command::RegisterBroker(mut broker) = registration(id) else { unreachable!() };
        broker.features = vec![SupportedFeature { name: ELR.to_owned(), min_level: 0, max_level: 1 }];
        cluster.run(Command::RegisterBroker(broker)).unwrap();
    }
    let update = FeatureUpdate { name: ELR.to_owned(), level: 1, upgrade_type: UpgradeType::Upgrade };
    cluster.run(Command::UpdateFeatures { updates: vec![update], validate_only: false }).unwrap();
    let mut created = manual("t", &[(0, replicas)]);
    created.configs = vec![("min.insync.replicas".to_owned(), Some(min_insync_replicas.to_owned()))];
    cluster.create(created).unwrap();
    cluster
}

fn partition(cluster: &Cluster) -> PartitionImage {
    PartitionImage::clone(cluster.image.partition("t", PartitionIndex(0)).unwrap())
}

fn elect(cluster: &mut Cluster, election: ElectionType) -> Result<(), ErrorCode> {
    let partitions = Some(vec![("t".to_owned(), vec![PartitionIndex(0)])]);
    match cluster.run(Command::ElectLeaders { election, partitions }).unwrap() {
        Answer::ElectLeaders(mut results) => results.remove(0).1.remove(0).1.map_err(|refusal| refusal.code),
        other => panic!("{other:?}"),
    }
}

fn reassign(cluster: &mut Cluster, replicas: Option<&[i32]>, may_resize: bool) -> Result<(), ErrorCode> {
    let moved = PartitionReassignment { partition: PartitionIndex(0), replicas: replicas.map(ids) };
    let command = Command::AlterPartitionReassignments {
        topics: vec![("t".to_owned(), vec![moved])],
        allow_replication_factor_change: may_resize,
    };
    match cluster.run(command).unwrap() {
        Answer::AlterPartitionReassignments(mut results) => {
            results.remove(0).1.remove(0).1.map_err(|refusal| refusal.code)
        }
        other => panic!("{other:?}"),
    }
}

fn unregister(cluster: &mut Cluster, id: i32) {
    let answer = cluster.run(Command::UnregisterBroker { broker_id: BrokerId(id) });
    assert_eq!(answer, Ok(Answer::UnregisterBroker));
}

#[test]
fn an_election_that_is_not_needed_says_so_and_is_left_out_when_all_are_asked_for() {
    let mut cluster = with_partition_on(&[1, 2], "1");
    assert_eq!(elect(&mut cluster, ElectionType::Preferred), Err(ErrorCode::ElectionNotNeeded));
    assert_eq!(elect(&mut cluster, ElectionType::Unclean), Err(ErrorCode::ElectionNotNeeded));
    let all = Command::ElectLeaders { election: ElectionType::Preferred, partitions: None };
    assert_eq!(cluster.run(all), Ok(Answer::ElectLeaders(vec![("t".to_owned(), Vec::new())])));
    let unknown = Some(vec![
        ("t".to_owned(), vec![PartitionIndex(7), PartitionIndex(-1)]),
        ("nowhere".to_owned(), vec![PartitionIndex(0)]),
    ]);
    let command = Command::ElectLeaders { election: ElectionType::Preferred, partitions: unknown };
    let Answer::ElectLeaders(results) = cluster.run(command).unwrap() else { panic!("another answer") };
    let codes =
        results.into_iter().flat_map(|(_, partitions)| partitions).map(|(_, result)| refusal(result).0);
    assert!(codes.into_iter().all(|code| code == ErrorCode::UnknownTopicOrPartition));
}

#[test]
fn the_preferred_leader_leads_again_in_a_new_epoch() {
    let mut cluster = with_partition_on(&[1, 2], "1");
    assert_eq!(reassign(&mut cluster, Some(&[2, 1]), false), Ok(()));
    assert_eq!((partition(&cluster).leader, partition(&cluster).leader_epoch), (BrokerId(1), LeaderEpoch(0)));
    assert_eq!(elect(&mut cluster, ElectionType::Preferred), Ok(()));
    assert_eq!((partition(&cluster).leader, partition(&cluster).leader_epoch), (BrokerId(2), LeaderEpoch(1)));
}

#[test]
fn a_broker_that_is_unregistered_gives_up_what_it_led() {
    let mut cluster = with_partition_on(&[1, 2], "1");
    unregister(&mut cluster, 1);
    let left = partition(&cluster);
    assert_eq!((left.leader, left.leader_epoch, left.isr), (BrokerId(2), LeaderEpoch(1), ids(&[2])));
    assert!(cluster.image.broker(BrokerId(1)).is_none());
    let again = cluster.run(Command::UnregisterBroker { broker_id: BrokerId(1) });
    assert_eq!(refusal(again).0, ErrorCode::BrokerIdNotRegistered);
    assert_eq!(elect(&mut cluster, ElectionType::Preferred), Err(ErrorCode::PreferredLeaderNotAvailable));
}

#[test]
fn the_last_replica_stays_eligible_and_leads_when_it_registers_again() {
    let mut cluster = with_partition_on(&[1], "1");
    unregister(&mut cluster, 1);
    let left = partition(&cluster);
    assert_eq!((left.leader, left.isr, left.elr), (BrokerId::NONE, Vec::new(), ids(&[1])));
    assert_eq!(left.last_known_elr, ids(&[1]));
    assert_eq!(elect(&mut cluster, ElectionType::Preferred), Err(ErrorCode::PreferredLeaderNotAvailable));
    assert_eq!(elect(&mut cluster, ElectionType::Unclean), Err(ErrorCode::EligibleLeadersNotAvailable));
    let Command::RegisterBroker(mut broker) = registration(1) else { unreachable!() };
    broker.features = vec![SupportedFeature { name: ELR.to_owned(), min_level: 0, max_level: 1 }];
    cluster.run(Command::RegisterBroker(broker)).unwrap();
    let back = partition(&cluster);
    assert_eq!((back.leader, back.leader_epoch, back.isr), (BrokerId(1), LeaderEpoch(2), ids(&[1])));
    assert_eq!((back.elr, back.last_known_elr), (Vec::new(), Vec::new()));
}

#[test]
fn below_the_least_in_sync_count_who_leaves_stays_eligible() {
    let mut cluster = with_partition_on(&[1, 2, 3], "2");
    unregister(&mut cluster, 1);
    assert_eq!(partition(&cluster).elr, Vec::new(), "two are enough");
    unregister(&mut cluster, 2);
    let left = partition(&cluster);
    assert_eq!((left.leader, left.isr, left.elr), (BrokerId(3), ids(&[3]), ids(&[2])));
}

#[test]
fn a_reassignment_to_the_same_replicas_changes_nothing() {
    let mut cluster = with_partition_on(&[1, 2], "1");
    let before = partition(&cluster);
    assert_eq!(reassign(&mut cluster, Some(&[1, 2]), false), Ok(()));
    assert_eq!(partition(&cluster), before);
    assert_eq!(reassign(&mut cluster, None, false), Err(ErrorCode::NoReassignmentInProgress));
}

#[test]
fn a_reassignment_waits_for_new_replicas_and_can_be_taken_back() {
    let mut cluster = with_partition_on(&[1, 2], "1");
    assert_eq!(reassign(&mut cluster, Some(&[3, 2]), false), Ok(()));
    let moving = partition(&cluster);
    assert_eq!(moving.replicas, ids(&[3, 2, 1]));
    assert_eq!((&moving.adding_replicas, &moving.removing_replicas), (&ids(&[3]), &ids(&[1])));
    assert_eq!((moving.leader, moving.isr.clone()), (BrokerId(1), ids(&[1, 2])));
    assert_eq!(moving.directories.len(), 3);
    assert_eq!(reassign(&mut cluster, Some(&[1]), false), Err(ErrorCode::InvalidReplicationFactor));
    assert_eq!(reassign(&mut cluster, None, false), Ok(()));
    let back = partition(&cluster);
    assert_eq!((back.replicas, back.isr), (ids(&[2, 1]), ids(&[1, 2])));
    assert!(back.adding_replicas.is_empty() && back.removing_replicas.is_empty());
    assert_eq!(back.leader_epoch, LeaderEpoch(1), "broker 3 is fenced");
}

#[test]
fn replicas_in_sync_are_dropped_at_once() {
    let mut cluster = with_partition_on(&[1, 2, 3], "1");
    let directory = partition(&cluster).directory_of(BrokerId(2));
    assert_eq!(reassign(&mut cluster, Some(&[2]), true), Ok(()));
    let left = partition(&cluster);
    assert_eq!((left.replicas.clone(), left.isr.clone(), left.leader), (ids(&[2]), ids(&[2]), BrokerId(2)));
    assert_eq!(left.directory_of(BrokerId(2)), directory, "who stays keeps its directory");
}

#[test]
fn a_partition_is_changed_once_in_a_request() {
    let mut cluster = with_partition_on(&[1, 2], "1");
    let to = |replicas| PartitionReassignment { partition: PartitionIndex(0), replicas: Some(ids(replicas)) };
    let topics = [vec![to(&[2, 1]), to(&[1])], vec![to(&[2])]];
    let command = Command::AlterPartitionReassignments {
        topics: topics.map(|partitions| ("t".to_owned(), partitions)).to_vec(),
        allow_replication_factor_change: true,
    };
    let Answer::AlterPartitionReassignments(results) = cluster.run(command).unwrap() else {
        panic!("another answer")
    };
    let codes = |results: ReassignmentResults| -> Vec<Option<ErrorCode>> {
        let results = results.into_iter().flat_map(|(_, partitions)| partitions);
        results.map(|(_, result)| result.err().map(|refusal| refusal.code)).collect()
    };
    let twice = Some(ErrorCode::InvalidRequest);
    assert_eq!(codes(results), [None, twice, twice]);
    assert_eq!(partition(&cluster).replicas, ids(&[2, 1]));

    let index = PartitionIndex(0);
    let partitions = vec![("t".to_owned(), vec![index, index]), ("t".to_owned(), vec![index])];
    let election = ElectionType::Preferred;
    let command = Command::ElectLeaders { election, partitions: Some(partitions) };
    let Answer::ElectLeaders(results) = cluster.run(command).unwrap() else { panic!("another answer") };
    assert_eq!(codes(results), [None, twice, twice]);
    assert_eq!(partition(&cluster).leader_epoch, LeaderEpoch(1));
}

#[test]
fn impossible_reassignments_are_refused() {
    let mut cluster = with_partition_on(&[1, 2], "1");
    for replicas in [&[][..], &[1, 1], &[1, 9]] {
        let refused = reassign(&mut cluster, Some(replicas), true);
        assert_eq!(refused, Err(ErrorCode::InvalidReplicaAssignment), "{replicas:?}");
    }
    assert_eq!(reassign(&mut cluster, Some(&[1]), false), Err(ErrorCode::InvalidReplicationFactor));
}

#[test]
fn metadata_version_never_goes_down() {
    let mut cluster = Cluster::empty();
    let Command::RegisterBroker(mut broker) = registration(1) else { unreachable!() };
    let name = "metadata.version".to_owned();
    broker.features = vec![SupportedFeature { name: name.clone(), min_level: 7, max_level: 33 }];
    cluster.run(Command::RegisterBroker(broker)).unwrap();
    let mut update = |level, upgrade_type| {
        let updates = vec![FeatureUpdate { name: name.clone(), level, upgrade_type }];
        cluster.run(Command::UpdateFeatures { updates, validate_only: false })
    };
    assert_eq!(update(33, UpgradeType::Upgrade), Ok(Answer::UpdateFeatures));
    let sentence = "The update failed for all features since the following feature had an error: Unsupported \
                    metadata.version downgrade from 33 to 32. Refusing to perform the requested downgrade because \
                    it might delete metadata information.";
    let refused = refusal(update(32, UpgradeType::SafeDowngrade));
    assert_eq!(refused, (ErrorCode::InvalidUpdateVersion, sentence.to_owned()));
}
