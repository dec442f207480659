"""What a field of a request is given: values in use, and values at the edge or beyond it.

A rule is looked up by the path of the field (`Fetch.Topics.Partitions.FetchOffset`), then by its name, then by what it
names (`topicName`), then by its type. A value that is a function is called with the case's context.
"""

import uuid

import records
from symbols import ClusterId, LogDirectory, Records

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
ZERO_UUID = uuid.UUID(int=0)
UNKNOWN_UUID = uuid.UUID("11111111-2222-3333-4444-555555555555")
METADATA_TOPIC_ID = uuid.UUID(int=1)
LONG_NAME = "n" * 250
BAD_TOPICS = ["", ".", "..", "a/b", "white space", LONG_NAME, "\u00e9t\u00e9", "x\0y"]


def fresh(context):
    return context.fresh()


def offsets_topic(context):
    """The broker's own topic, where its contents do not matter: they are of its own making."""
    return context.topic() if context.api in ("Fetch", "ListOffsets", "OffsetForLeaderEpoch", "DescribeProducers") else "__consumer_offsets"


def topic(context):
    return context.topic()


def topic_id(context):
    return context.topic_id()


def group(context):
    return context.group()


def absent_group(context):
    return context.absent_group()


def empty_group(context):
    return context.absent_group("")


def member(context):
    return context.member()


def generation(context):
    return context.generation()


def transaction(context):
    return context.transaction() if context.transactional() else None


def absent_transaction(context):
    return context.absent_transaction() if context.transactional() else None


def empty_transaction(context):
    return "" if context.transactional() else None


def producer_id(context):
    return context.producer_id()


def transaction_type(context):
    """The coordinator type of transactions: asking for one creates a topic, so it waits until both brokers have them."""
    return 1 if context.transactional() else 0


def produced(context):
    """Records of the producer whose transactional id the request names, or of nobody."""
    if context.version < records.FIRST_VERSION_OF_BATCHES:
        return context.rng.choice(records.good_sets(context.now, context.version))
    batch = context.rng.choice(records.good(context.now))
    if context.transaction_name and context.rng.random() < 0.8:
        batch = records.Batch(context.now, attributes=16, producer_epoch=0, base_sequence=0)
        return Records(batch, context.transaction_name)
    return Records(batch)


def produced_oddly(context):
    if context.version < records.FIRST_VERSION_OF_BATCHES:
        return context.rng.choice(records.odd_sets(context.now, context.version))
    return Records(context.rng.choice(records.odd(context.now)))


def zeros(context):
    """No batch; an old Kafka refuses the other partitions of the request with it, and so it gets none."""
    return b"" if context.version < records.FIRST_VERSION_OF_BATCHES else b"\0" * 61


def fetch_offset(context):
    """An offset that most topics have, or one in each batch of `packed`, where old versions read."""
    return context.rng.choice([0, 1, 4, 9, 10] + ([7, 12, 13] if "packed" in context.filled else []))


def recent(context):
    """A timestamp near those of the records in `orders`."""
    return context.now + context.rng.choice([-1, 0, 1, 4, 9, 10, 1000, 1001, 5000])


BY_ENTITY = {
    "topicName": ([topic, topic, topic, fresh, offsets_topic], BAD_TOPICS + ["__cluster_metadata"]),
    "groupId": ([group, group, group, absent_group], [empty_group]),
    "brokerId": ([1], [-1, 0, 2, -2, INT32_MAX]),
    "producerId": ([producer_id], [-1, 0, 1, -2, INT64_MAX]),
    "transactionalId": ([transaction, transaction, transaction, absent_transaction], [""]),
}

BY_NAME = {
    "TopicId": ([topic_id] * 4, [ZERO_UUID, UNKNOWN_UUID, METADATA_TOPIC_ID]),
    "Partition": ([0, 0, 1, 2], [3, -1, -2, INT32_MAX, 99]),
    "PartitionIndex": ([0, 0, 1, 2], [3, -1, -2, INT32_MAX, 99]),
    "PartitionIndexes": ([0, 0, 1, 2], [3, -1, -2, INT32_MAX]),
    "Partitions": ([0, 0, 1, 2], [3, -1, -2, INT32_MAX]),
    "Index": ([0, 0, 1], [2, -1, INT32_MAX]),
    "CurrentLeaderEpoch": ([-1, -1, 0], [1, 5, -2, INT32_MAX]),
    "LeaderEpoch": ([0, 0, 1, 5], [-1, -2, INT32_MAX]),
    "IsolationLevel": ([0, 1], [2, -1, 127]),
    "ReplicaId": ([-1], [-2, -3, 0, 1, 2, INT32_MAX]),
    "TimeoutMs": ([5000, 30000], [INT32_MAX]),
    "timeoutMs": ([5000, 30000], [INT32_MAX]),
    "GenerationId": ([generation] * 3, [0, 1, 2, -1, -2, INT32_MAX]),
    "GenerationIdOrMemberEpoch": ([generation] * 3, [0, 1, 2, -1, -2, INT32_MAX]),
    "MemberEpoch": ([generation] * 2, [0, 1, 2, -1, -2, -3, INT32_MAX]),
    "MemberId": ([member] * 4, ["", "someone-else", "s" * 300]),
    "GroupInstanceId": ([None, None, "instance-1"], ["", "bad instance", LONG_NAME]),
    "Reason": (["because"], ["", "r" * 300]),
    "RebalanceTimeoutMs": ([60_000], [-1, 0, INT32_MAX]),
    "CommittedOffset": ([0, 5, 123], [-1, -2, INT64_MAX]),
    "CommittedLeaderEpoch": ([-1, 0], [3, -2, INT32_MAX]),
    "CommittedMetadata": (["note", ""], ["m" * 4096, "m" * 4097]),
    "CommitTimestamp": ([-1], [0, 1000, INT64_MAX, -2]),
    "RetentionTimeMs": ([-1], [0, 86_400_000, INT64_MAX, -2]),
    "ProducerEpoch": ([0], [-1, 1, 5, 32767, -2]),
    "ConfigurationKeys": (["cleanup.policy", "retention.ms", "max.message.bytes"], ["no.such.key", "", "node.id"]),
    "BrokerIds": ([1], [2, -1, 0]),
    "Replicas": ([1], [2, -1, 0]),
    "EntityType": (["user", "client-id"], ["ip", "", "group"]),
}

BY_PATH = {
    "Produce.TransactionalId": ([None, None, transaction], [absent_transaction, empty_transaction]),
    "Produce.Acks": ([-1, 1, 1], [0, 2, -2, 32767]),
    "Produce.TopicData.PartitionData.Records": ([produced], [produced_oddly] * 8 + [b"", zeros, b"abc"]),
    "Fetch.ClusterId": ([None, ClusterId()], ["another-cluster"]),
    "Fetch.MaxWaitMs": ([0, 1, 20], [-1]),
    "Fetch.MinBytes": ([0, 1], [-1, 1000, INT32_MAX]),
    "Fetch.MaxBytes": ([INT32_MAX, 1000], [0, 1, -1, 50]),
    "Fetch.SessionId": ([0], [1, -1, INT32_MAX]),
    "Fetch.SessionEpoch": ([-1, -1, 0], [1, 2, -2, INT32_MAX]),
    "Fetch.ReplicaState.ReplicaId": ([-1], [-2]),
    "Fetch.ReplicaState.ReplicaEpoch": ([-1], [0, INT64_MAX]),
    "Fetch.ReplicaId": ([-1], [-2, -3]),
    "Fetch.Topics.Partitions.FetchOffset": ([fetch_offset], [11, -1, -2, 100, INT64_MAX]),
    "Fetch.Topics.Partitions.LastFetchedEpoch": ([-1, 0], [1, 5, -2, INT32_MAX]),
    "Fetch.Topics.Partitions.LogStartOffset": ([-1], [0, 5, INT64_MAX]),
    "Fetch.Topics.Partitions.PartitionMaxBytes": ([INT32_MAX, 100, 1000], [0, -1, 1]),
    "Fetch.Topics.Partitions.ReplicaDirectoryId": ([ZERO_UUID], [UNKNOWN_UUID]),
    "Fetch.Topics.Partitions.HighWatermark": ([INT64_MAX], [-1, 0, 3]),
    "Fetch.RackId": ([""], ["rack-1"]),
    "ListOffsets.Topics.Partitions.MaxNumOffsets": ([1, 2, 100], [0, INT32_MAX]),
    "ListOffsets.Topics.Partitions.Timestamp": ([-1, -2, -3, recent, recent, 0], [-4, -5, -6, -7, -100, INT64_MAX]),
    "Metadata.Topics.Name": ([topic, topic, fresh, None], BAD_TOPICS + ["__cluster_metadata", "__transaction_state"]),
    "Metadata.Topics.TopicId": ([ZERO_UUID, ZERO_UUID, topic_id], [UNKNOWN_UUID, METADATA_TOPIC_ID]),
    "FindCoordinator.KeyType": ([0], [transaction_type, 2, 3, -1, 127]),
    "FindCoordinator.Key": (["g-committed", "any-group", fresh], ["", LONG_NAME]),
    "FindCoordinator.CoordinatorKeys": (["g-committed", "any-group", fresh], ["", "g:AAAAAAAAAAAAAAAAAAAAAQ:0"]),
    "JoinGroup.SessionTimeoutMs": ([1_800_000, 600_000], [6000, 5999, 1_800_001, 0, -1, INT32_MAX]),
    "JoinGroup.GroupId": ([group, absent_group, absent_group], [empty_group]),
    "JoinGroup.ProtocolType": (["consumer"] * 4 + ["connect"], [""]),
    "JoinGroup.Protocols.Name": (["range", "roundrobin"], ["", "other"]),
    "JoinGroup.Protocols.Metadata": ([b"", b"\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff"], [b"abc"]),
    "SyncGroup.ProtocolType": (["consumer", None], ["", "connect"]),
    "SyncGroup.ProtocolName": (["range", None], ["", "other"]),
    "SyncGroup.Assignments.Assignment": ([b"assigned"], [b""]),
    "ListGroups.StatesFilter": (["Stable", "Empty", "stable"], ["", "Nonsense", "Dead", "Assigning"]),
    "ListGroups.TypesFilter": (["classic", "consumer", "Classic"], ["", "nonsense", "share", "unknown"]),
    "ApiVersions.ClientSoftwareName": (["fuzz"], ["", "-", "a b", "\u00e9"]),
    "ApiVersions.ClientSoftwareVersion": (["1.0"], ["", "-1", "1.0-", "1/0"]),
    "ApiVersions.ClusterId": ([None, ClusterId()], ["another-cluster", ""]),
    "ApiVersions.NodeId": ([-1, 1], [2, -2, INT32_MAX]),
    "CreateTopics.Topics.Name": ([fresh] * 5, [topic] + BAD_TOPICS + ["__consumer_offsets", "__cluster_metadata"]),
    "CreateTopics.Topics.NumPartitions": ([1, 3, -1], [0, -2, 2]),
    "CreateTopics.Topics.ReplicationFactor": ([1, -1], [0, 2, -2, 32767]),
    "DeleteTopics.Topics.Name": ([topic, topic, None], [fresh, "", LONG_NAME]),
    "DeleteTopics.Topics.TopicId": ([ZERO_UUID, ZERO_UUID, topic_id], [UNKNOWN_UUID]),
    "DeleteRecords.Topics.Partitions.Offset": ([0, 2, 5, -1], [6, -2, INT64_MAX]),
    "DeleteTopics.TopicNames": ([topic], [fresh, "", LONG_NAME]),
    "InitProducerId.TransactionalId": ([None, transaction, absent_transaction], [empty_transaction]),
    "InitProducerId.TransactionTimeoutMs": ([60_000], [0, -1, 1, 900_000, 900_001, INT32_MAX]),
    "InitProducerId.ProducerId": ([-1, producer_id], [0, 5, -2]),
    "InitProducerId.ProducerEpoch": ([-1, 0], [1, -2, 32767]),
    "InitProducerId.Enable2Pc": ([False], [True]),
    "InitProducerId.KeepPreparedTxn": ([False], [True]),
    "WriteTxnMarkers.Markers.CoordinatorEpoch": ([0], [1, -1, 5]),
    "WriteTxnMarkers.Markers.TransactionVersion": ([0, 1, 2], [3, -1]),
    "ListTransactions.StateFilters": (["Ongoing", "Empty", "CompleteCommit"], ["", "nonsense", "Dead"]),
    "ListTransactions.ProducerIdFilters": ([7_000_000], [-1]),
    "ListTransactions.DurationFilter": ([-1, 0], [1_000_000, -2]),
    "ListTransactions.TransactionalIdPattern": (["g-.*", ".*", None], ["(", "", "["]),
    "DescribeConfigs.Resources.ResourceName": (["orders"], ["absent", ""]),
    "AlterReplicaLogDirs.Dirs.Path": ([LogDirectory()], ["/no/such/directory", "", "relative"]),
    "CreatePartitions.Topics.Name": ([topic] * 4, [fresh, "", "__consumer_offsets_absent"]),
    "CreatePartitions.Topics.Count": ([3, 4], [1, 2, 0, -1]),
    "ElectLeaders.ElectionType": ([0, 1], [2, -1]),
    "DescribeClientQuotas.Components.MatchType": ([0, 1, 2], [3, -1]),
    "DescribeClientQuotas.Components.Match": ([None, "u-prepared"], ["", "absent"]),
    "AlterClientQuotas.Entries.Entity.EntityName": ([fresh], ["", "a b"]),
    "AlterClientQuotas.Entries.Ops.Key": (
        ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"],
        ["connection_creation_rate", "no_such_key", ""],
    ),
    "AlterClientQuotas.Entries.Ops.Value": ([1e9, 5000.0], [0.0, -1.0, 0.5, float("inf"), float("nan"), 1e300]),
    "AlterClientQuotas.Entries.Ops.Remove": ([False], [True]),
    "DescribeUserScramCredentials.Users.Name": (["u-prepared", "absent"], [""]),
    "AlterUserScramCredentials.Deletions.Name": (["u-absent"], ["", "u-prepared-not"]),
    "AlterUserScramCredentials.Deletions.Mechanism": ([1, 2], [0, 3, -1]),
    "AlterUserScramCredentials.Upsertions.Name": ([fresh], [""]),
    "AlterUserScramCredentials.Upsertions.Mechanism": ([1, 2], [0, 3, -1]),
    "AlterUserScramCredentials.Upsertions.Iterations": ([4096, 8192], [4095, 16385, 0, -1, INT32_MAX]),
    "AlterUserScramCredentials.Upsertions.Salt": ([b"salt"], [b""]),
    "AlterUserScramCredentials.Upsertions.SaltedPassword": ([b"password"], [b""]),
    "DescribeQuorum.Topics.TopicName": (["__cluster_metadata"] * 3, ["orders", "", "absent"]),
    "DescribeQuorum.Topics.Partitions.PartitionIndex": ([0], [1, -1]),
    "UpdateFeatures.FeatureUpdates.Feature": (["no.such.feature"], ["", "another"]),
    "UpdateFeatures.FeatureUpdates.MaxVersionLevel": ([1, 0], [-1, 100, 32767]),
    "UpdateFeatures.FeatureUpdates.UpgradeType": ([1, 2, 3], [0, 4, -1]),
    "UpdateFeatures.ValidateOnly": ([True], []),
    "DescribeCluster.EndpointType": ([1], [2, 0, 3, -1]),
    "UnregisterBroker.BrokerId": ([99], [-1, 0, INT32_MAX]),
    "ConsumerGroupHeartbeat.MemberEpoch": ([generation, generation, 0, 0], [1, 2, -1, -2, -3, INT32_MAX]),
    "ConsumerGroupHeartbeat.MemberId": ([member, "member-of-the-case"], ["", "m" * 300]),
    "ConsumerGroupHeartbeat.InstanceId": ([None, None, "instance-1"], ["", " "]),
    "ConsumerGroupHeartbeat.RackId": ([None], ["", "rack-1"]),
    "ConsumerGroupHeartbeat.SubscribedTopicNames": (["orders", "compacted", fresh], ["", LONG_NAME]),
    "ConsumerGroupHeartbeat.SubscribedTopicRegex": ([None, "ord.*"], ["", "(", "[", "a{2,1}", "(?<!a)b"]),
    "ConsumerGroupHeartbeat.ServerAssignor": ([None, "uniform", "range"], ["", "nonsense"]),
    "ConsumerGroupHeartbeat.RebalanceTimeoutMs": ([-1, 60_000, 60_000], [0, -2, INT32_MAX]),
    "ListConfigResources.ResourceTypes": ([2, 4, 16, 32], [0, 1, 8, 127, -1]),
    "CreateDelegationToken.OwnerPrincipalType": (["User"], ["", None, "Group"]),
    "CreateDelegationToken.OwnerPrincipalName": (["", None, "bob"], ["a:b", LONG_NAME]),
    "AddRaftVoter.ClusterId": ([None, ClusterId()], ["another-cluster", ""]),
    "AddRaftVoter.VoterId": ([2, 1], [-1, -2, INT32_MAX]),
    "AddRaftVoter.VoterDirectoryId": ([UNKNOWN_UUID], [ZERO_UUID]),
    # An empty name ends the process of Apache Kafka: the reader of the name throws in its raft thread.
    "AddRaftVoter.Listeners.Name": (["CONTROLLER", "controller"], ["X"]),
    "RemoveRaftVoter.ClusterId": ([None, ClusterId()], ["another-cluster", ""]),
    "RemoveRaftVoter.VoterId": ([1], [2, -1, -2, INT32_MAX]),
    "RemoveRaftVoter.VoterDirectoryId": ([UNKNOWN_UUID], [ZERO_UUID]),
    "UnregisterController.ControllerId": ([1, 99], [-1, 0, -2, INT32_MAX]),
    "DescribeTopicPartitions.ResponsePartitionLimit": ([2000, 1, 2], [0, -1, INT32_MAX]),
    "DescribeTopicPartitions.Cursor.PartitionIndex": ([0, 1], [-1, 3, INT32_MAX]),
}

ACL_ENUMS = {
    "ResourceType": ([2, 3, 4, 5], [0, 1, 6, 7, 8, 127, -1]),
    "ResourceTypeFilter": ([1, 2, 3, 4], [0, 5, 6, 7, 8, 127, -1]),
    "PatternTypeFilter": ([1, 2, 3, 4], [0, 5, 127, -1]),
    "ResourcePatternType": ([3, 4], [0, 1, 2, 5, -1]),
    "Operation": ([2, 3, 4], [0, 1, 13, 16, 127, -1]),
    "PermissionType": ([2, 3], [0, 1, 4, -1]),
    "Principal": (["User:alice"], ["", "alice", "User:"]),
    "PrincipalFilter": (["User:alice", None], ["", "alice"]),
    "Host": (["*"], ["", "10.0.0.1"]),
    "HostFilter": (["*", None], [""]),
}
BY_NAME.update({name: rule for name, rule in ACL_ENUMS.items()})

BY_KIND = {
    "bool": ([False, True], []),
    "int8": ([0, 1], [-1, 2, 127, -128]),
    "int16": ([0, 1], [-1, 2, 32767, -32768]),
    "uint16": ([0, 1], [65535]),
    "int32": ([0, 1], [-1, 2, INT32_MAX, -(2**31)]),
    "uint32": ([0, 1], [2**32 - 1]),
    "int64": ([0, 1], [-1, 2, INT64_MAX, -(2**63)]),
    "float64": ([0.0, 1.0], [-1.0, float("nan")]),
    "uuid": ([ZERO_UUID], [UNKNOWN_UUID]),
    "string": (["text"], ["", "t" * 300, "\u00e9", "a\0b"]),
    "bytes": ([b"bytes"], [b""]),
    "records": ([b""], [b"abc"]),
}

SIZES = {
    "CreateTopics.Topics.Assignments": (0, 0),
    "CreateTopics.Topics.Configs": (0, 1),
    "CreatePartitions.Topics.Assignments": (0, 2),
    "Fetch.ForgottenTopicsData": (0, 1),
    "ConsumerGroupHeartbeat.TopicPartitions": (0, 1),
    "ListGroups.StatesFilter": (0, 2),
    "ListGroups.TypesFilter": (0, 1),
    "ListTransactions.StateFilters": (0, 2),
    "ListTransactions.ProducerIdFilters": (0, 1),
    "ListConfigResources.ResourceTypes": (0, 2),
    "Produce.TopicData.PartitionData": (1, 2),
    "AlterUserScramCredentials.Deletions": (0, 1),
    "AlterUserScramCredentials.Upsertions": (0, 2),
}


def values_for(path, field):
    """The values of a field: (those in use, odd ones)."""
    for rule in (BY_PATH.get(path), BY_NAME.get(path.rpartition(".")[2]), BY_ENTITY.get(field.entity), BY_KIND[field.kind]):
        if rule:
            return rule
    raise KeyError(path)


def sizes_for(path):
    """How many elements an array has: (fewest, most)."""
    return SIZES.get(path, (1, 2))


TOPIC_CONFIGS = [
    ("cleanup.policy", "compact"),
    ("cleanup.policy", "delete"),
    ("retention.ms", "100000000"),
    ("max.message.bytes", "10000"),
    ("compression.type", "zstd"),
    ("min.insync.replicas", "1"),
]
ODD_TOPIC_CONFIGS = [
    ("cleanup.policy", "nonsense"),
    ("cleanup.policy", ""),
    ("cleanup.policy", "compact,delete"),
    ("cleanup.policy", "compact,compact"),
    ("cleanup.policy", " compact"),
    ("retention.ms", "abc"),
    ("retention.ms", "-2"),
    ("retention.ms", ""),
    ("retention.ms", "9223372036854775808"),
    ("retention.ms", None),
    ("max.message.bytes", "-1"),
    ("min.insync.replicas", "0"),
    ("compression.type", "zip"),
    ("compression.gzip.level", "10"),
    ("segment.bytes", "1"),
    ("unclean.leader.election.enable", "yes"),
    ("unclean.leader.election.enable", "TRUE"),
    ("message.timestamp.type", "CreateTime"),
    ("message.format.version", "3.0"),
    ("min.cleanable.dirty.ratio", "1.5"),
    ("leader.replication.throttled.replicas", "*"),
    ("leader.replication.throttled.replicas", "x:y:z"),
    ("remote.storage.enable", "true"),
    ("local.retention.ms", "5"),
    ("no.such.key", "1"),
    ("", "1"),
]
OTHER_CONFIGS = {
    4: [("log.retention.ms", "100000000"), ("log.retention.ms", "x"), ("no.such.key", "1"), ("node.id", "2"), ("num.io.threads", "0"),
        ("background.threads", "11"), ("log.cleaner.threads", "99"), ("message.max.bytes", "-1"), ("listeners", "PLAINTEXT://:1")],
    8: [("root", "INFO"), ("root", "LOUD"), ("no.such.logger", "INFO")],
    16: [("metrics", "org.apache.kafka"), ("interval.ms", "100"), ("interval.ms", "x"), ("interval.ms", "50"), ("match", "client_id=a"),
         ("match", "a"), ("no.such.key", "1")],
    32: [("consumer.session.timeout.ms", "50000"), ("consumer.session.timeout.ms", "1"), ("consumer.heartbeat.interval.ms", "6000"),
         ("consumer.session.timeout.ms", "x"), ("no.such.key", "1"), ("share.session.timeout.ms", "50000")],
}
RESOURCE_NAMES = {
    4: (["1", ""], ["2", "x", "-1"]),
    8: (["1"], ["", "2", "x"]),
    16: ([fresh], [""]),
    32: ([fresh], [""]),
}


def _config(context, kind):
    if kind in OTHER_CONFIGS:
        name, value = context.rng.choice(OTHER_CONFIGS[kind])
    else:
        name, value = context.pick(TOPIC_CONFIGS, ODD_TOPIC_CONFIGS)
    config = {"Name": name, "Value": value}
    if context.api == "IncrementalAlterConfigs":
        config["ConfigOperation"] = context.pick([0, 0, 1], [2, 3, 4, -1])
    return config


def _altered_resource(context):
    """A resource with changes that fit its type."""
    kind = context.pick([2, 2, 2, 4, 16, 32], [8, 0, 1, 3, 127, -1])
    normal, odd = RESOURCE_NAMES.get(kind, ([topic], [fresh, ""] + BAD_TOPICS))
    name = context.pick(normal, odd)
    configs = [_config(context, kind) for _ in range(context.rng.choice([0, 1, 1, 1, 2]))]
    if configs and context.rng.random() < context.odd_rate / 2:
        configs.append(context.rng.choice(configs))
    return {"ResourceType": kind, "ResourceName": name, "Configs": configs}


def _described_resource(context):
    # Version 0 goes to an old Kafka, where groups have no configs, and client metrics only those that were set.
    kind = context.pick([2, 2, 4] + ([16, 32] if context.version > 0 else []), [8, 0, 1, 3, 127, -1])
    names = {2: (["orders", "compacted", "__consumer_offsets"], ["absent", ""] + BAD_TOPICS), 16: (["m-prepared"], ["", fresh]),
             32: (["g-committed", "g-prepared"], ["", fresh])}
    normal, odd = names.get(kind, RESOURCE_NAMES.get(kind, (["orders"], [""])))
    return {"ResourceType": kind, "ResourceName": context.pick(normal, odd)}


def _altering(context):
    """Changes of brokers and loggers reach everything that follows: those are only validated."""
    resources = [_altered_resource(context) for _ in range(context.rng.choice([1, 1, 2]))]
    if context.rng.random() < context.odd_rate / 2:
        resources.append(context.rng.choice(resources))
    shared = any(resource["ResourceType"] in (4, 8) for resource in resources)
    return {"Resources": resources, "ValidateOnly": shared or context.rng.random() < 0.3}


def _created_topic(context):
    """A topic to create: by counts, or by an assignment of replicas to brokers."""
    made = {"Configs": [{"Name": name, "Value": value} for name, value in _topic_configs(context)]}
    if context.rng.random() < 0.2:
        made["NumPartitions"] = context.pick([-1], [1, 2])
        made["ReplicationFactor"] = context.pick([-1], [1, 2])
        partitions = context.pick([[0], [0, 1]], [[1], [0, 0], [-1], [0, 2]])
        replicas = [context.pick([[1]], [[], [2], [1, 1], [1, 2], [-1]]) for _ in partitions]
        made["Assignments"] = [{"PartitionIndex": index, "BrokerIds": brokers} for index, brokers in zip(partitions, replicas)]
    return made


def _topic_configs(context):
    return [context.pick(TOPIC_CONFIGS, ODD_TOPIC_CONFIGS) for _ in range(context.rng.choice([0, 0, 1, 2]))]


def _quota_entry(context):
    """An entity nobody connects as, so that no quota ever throttles the fuzzer."""
    kind = context.pick(["user", "client-id", "both"], ["ip", "", "group"])
    if kind == "both":
        return {"Entity": [{"EntityType": kind, "EntityName": context.fresh()} for kind in ("user", "client-id")]}
    name = context.pick([fresh], ["", "127.0.0.9", "a b"])
    entity = [{"EntityType": kind, "EntityName": name}]
    if context.rng.random() < context.odd_rate:
        entity = context.rng.choice([[], entity * 2])
    return {"Entity": entity}


def _metadata_topic(context):
    """By name up to version 9, by name or id from then on."""
    if context.version < 10:
        return {"Name": context.pick([topic, topic, fresh], BAD_TOPICS + ["__cluster_metadata"])}
    by_id = {"TopicId": context.pick([topic_id], [UNKNOWN_UUID, METADATA_TOPIC_ID]), "Name": context.pick([None], ["orders"])}
    by_name = {"TopicId": ZERO_UUID, "Name": context.pick([topic, topic, fresh], BAD_TOPICS + [None])}
    return by_id if context.rng.random() < 0.4 else by_name


def _deleted_topic(context):
    by_id = {"TopicId": context.pick([topic_id], [UNKNOWN_UUID, ZERO_UUID]), "Name": context.pick([None], [topic])}
    by_name = {"TopicId": ZERO_UUID, "Name": context.pick([topic], [fresh, "", LONG_NAME])}
    return by_id if context.rng.random() < 0.4 else by_name


STRUCTS = {
    "AlterConfigs": _altering,
    "IncrementalAlterConfigs": _altering,
    "DescribeConfigs.Resources": _described_resource,
    "CreateTopics.Topics": _created_topic,
    "AlterClientQuotas.Entries": _quota_entry,
    "Metadata.Topics": _metadata_topic,
    "DeleteTopics.Topics": _deleted_topic,
}


def struct_for(context, path):
    """The fields of a struct that belong together; those it leaves out are made one by one."""
    make = STRUCTS.get(path)
    return make(context) if make else None
