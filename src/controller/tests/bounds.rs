//! What one command may come to.

use super::*;

#[test]
fn a_command_whose_records_take_too_many_bytes_is_refused_as_a_whole() {
    let name = |user: u32| format!("{user}{}", "x".repeat(30_000));
    let alter = |count| {
        let alterations = (0..count).map(|user| {
            let name = name(user);
            security::quotas(&[("user", Some(&name))], &[("producer_byte_rate", Some(1.0))])
        });
        Command::AlterClientQuotas { alterations: alterations.collect(), validate_only: false }
    };
    let mut cluster = Cluster::empty();
    assert_eq!(refusal(cluster.run(alter(150))).0, ErrorCode::PolicyViolation);
    assert!(cluster.image.client_quotas.is_empty());
    assert!(cluster.run(alter(100)).is_ok());
}

#[test]
fn as_many_partitions_as_one_request_may_create_are_not_too_large() {
    let mut cluster = Cluster::with_brokers(5);
    let created = cluster.create(topic("wide", 10_000, 5)).unwrap();
    assert_eq!(created.partition_count, 10_000);
}

#[test]
fn a_command_that_changes_too_many_partitions_is_refused_as_a_whole() {
    let mut cluster = Cluster::with_brokers(2);
    let names = ["s", "t"];
    for name in names {
        cluster.create(topic(name, 6_000, 2)).unwrap();
    }
    let unregister = Command::UnregisterBroker { broker_id: BrokerId(2) };
    assert_eq!(refusal(cluster.run(unregister)).0, ErrorCode::PolicyViolation);
    let to_one = |partition| PartitionReassignment {
        partition: PartitionIndex(partition),
        replicas: Some(vec![BrokerId(1)]),
    };
    let reassign = |names: &[&str]| Command::AlterPartitionReassignments {
        topics: names.iter().map(|name| (name.to_string(), (0..6_000).map(to_one).collect())).collect(),
        allow_replication_factor_change: true,
    };
    assert_eq!(refusal(cluster.run(reassign(&names))).0, ErrorCode::PolicyViolation);
    assert!(cluster.run(reassign(&names[..1])).is_ok());
}
