// Writes kafka-3.9-messages.txt with the classes of Apache Kafka 3.9.2, the last release that knows these versions:
//
//   java -cp kafka-clients-3.9.2.jar Kafka39Messages.java > kafka-3.9-messages.txt
//
// A line is a name, a version, and the body as hex. The test beside it makes the same values.

import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

public class Kafka39Messages {
    static void write(ApiMessage message, int... versions) {
        for (int version : versions) {
            ObjectSerializationCache cache = new ObjectSerializationCache();
            ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, (short) version));
            message.write(new ByteBufferAccessor(buffer), cache, (short) version);
            String name = message.getClass().getSimpleName().replace("Data", "");
            System.out.println(name + " " + version + " " + HexFormat.of().formatHex(buffer.array()));
        }
    }

    public static void main(String[] arguments) {
        System.out.println("# Bodies that the message classes of Apache Kafka 3.9.2 have written, by Kafka39Messages.java.");
        offsets();
        topics();
        leaderEpochs();
        markers();
        acls();
        configs();
        directories();
        tokens();
    }

    static void offsets() {
        var commit = new OffsetCommitRequestData().setGroupId("group");
        var committed = new OffsetCommitRequestData.OffsetCommitRequestPartition()
            .setPartitionIndex(1).setCommittedOffset(7).setCommittedMetadata("x");
        var bare = new OffsetCommitRequestData.OffsetCommitRequestPartition()
            .setPartitionIndex(2).setCommittedOffset(8).setCommittedMetadata(null);
        commit.topics().add(new OffsetCommitRequestData.OffsetCommitRequestTopic()
            .setName("topic").setPartitions(List.of(committed, bare)));
        write(commit, 0);
        committed.setCommitTimestamp(1000);
        write(commit.setGenerationIdOrMemberEpoch(5).setMemberId("member"), 1);
        write(new OffsetCommitResponseData().setTopics(List.of(
            new OffsetCommitResponseData.OffsetCommitResponseTopic().setName("topic").setPartitions(List.of(
                new OffsetCommitResponseData.OffsetCommitResponsePartition().setPartitionIndex(1),
                new OffsetCommitResponseData.OffsetCommitResponsePartition().setPartitionIndex(2).setErrorCode((short) 3)
            )))), 0, 1);

        write(new OffsetFetchRequestData().setGroupId("group").setTopics(List.of(
            new OffsetFetchRequestData.OffsetFetchRequestTopic().setName("topic").setPartitionIndexes(List.of(1, 2)))), 0);
        write(new OffsetFetchResponseData().setTopics(List.of(
            new OffsetFetchResponseData.OffsetFetchResponseTopic().setName("topic").setPartitions(List.of(
                new OffsetFetchResponseData.OffsetFetchResponsePartition()
                    .setPartitionIndex(1).setCommittedOffset(-1).setMetadata("").setErrorCode((short) 35)
            )))), 0);
    }

    static void topics() {
        var automatic = new CreateTopicsRequestData.CreatableTopic()
            .setName("topic").setNumPartitions(3).setReplicationFactor((short) 2);
        automatic.configs().add(new CreateTopicsRequestData.CreatableTopicConfig().setName("a.key").setValue("value"));
        automatic.configs().add(new CreateTopicsRequestData.CreatableTopicConfig().setName("b.key").setValue(null));
        var manual = new CreateTopicsRequestData.CreatableTopic()
            .setName("other").setNumPartitions(-1).setReplicationFactor((short) -1);
        manual.assignments().add(new CreateTopicsRequestData.CreatableReplicaAssignment()
            .setPartitionIndex(0).setBrokerIds(List.of(4, 5)));
        var create = new CreateTopicsRequestData().setTimeoutMs(5000);
        create.topics().add(automatic);
        create.topics().add(manual);
        write(create, 0);
        write(create.setValidateOnly(true), 1);
        var created = new CreateTopicsResponseData();
        created.topics().add(new CreateTopicsResponseData.CreatableTopicResult().setName("topic"));
        created.topics().add(new CreateTopicsResponseData.CreatableTopicResult()
            .setName("other").setErrorCode((short) 36).setErrorMessage("exists"));
        created.topics().find("topic").setErrorMessage(null);
        write(created, 0, 1);

        write(new DeleteTopicsRequestData().setTopicNames(List.of("topic", "other")).setTimeoutMs(5000), 0);
        var deleted = new DeleteTopicsResponseData();
        deleted.responses().add(new DeleteTopicsResponseData.DeletableTopicResult().setName("topic"));
        deleted.responses().add(new DeleteTopicsResponseData.DeletableTopicResult()
            .setName("other").setErrorCode((short) 3).setErrorMessage("unknown"));
        write(deleted, 0);
    }

    static void leaderEpochs() {
        var topic = new OffsetForLeaderEpochRequestData.OffsetForLeaderTopic().setTopic("topic").setPartitions(List.of(
            new OffsetForLeaderEpochRequestData.OffsetForLeaderPartition().setPartition(1).setLeaderEpoch(7)));
        var request = new OffsetForLeaderEpochRequestData();
        request.topics().add(topic);
        write(request, 0, 1);
        var response = new OffsetForLeaderEpochResponseData();
        response.topics().add(new OffsetForLeaderEpochResponseData.OffsetForLeaderTopicResult()
            .setTopic("topic").setPartitions(List.of(
                new OffsetForLeaderEpochResponseData.EpochEndOffset().setPartition(1).setLeaderEpoch(7).setEndOffset(9),
                new OffsetForLeaderEpochResponseData.EpochEndOffset().setPartition(2).setErrorCode((short) 3))));
        write(response, 0, 1);
    }

    static void markers() {
        write(new WriteTxnMarkersRequestData().setMarkers(List.of(
            new WriteTxnMarkersRequestData.WritableTxnMarker()
                .setProducerId(7).setProducerEpoch((short) 3).setTransactionResult(true).setCoordinatorEpoch(5)
                .setTopics(List.of(new WriteTxnMarkersRequestData.WritableTxnMarkerTopic()
                    .setName("topic").setPartitionIndexes(List.of(1, 2)))))), 0);
        write(new WriteTxnMarkersResponseData().setMarkers(List.of(
            new WriteTxnMarkersResponseData.WritableTxnMarkerResult().setProducerId(7).setTopics(List.of(
                new WriteTxnMarkersResponseData.WritableTxnMarkerTopicResult().setName("topic").setPartitions(List.of(
                    new WriteTxnMarkersResponseData.WritableTxnMarkerPartitionResult().setPartitionIndex(1),
                    new WriteTxnMarkersResponseData.WritableTxnMarkerPartitionResult()
                        .setPartitionIndex(2).setErrorCode((short) 3))))))), 0);
    }

    static void acls() {
        write(new DescribeAclsRequestData().setResourceTypeFilter((byte) 2).setResourceNameFilter("topic")
            .setPrincipalFilter(null).setHostFilter("*").setOperation((byte) 1).setPermissionType((byte) 3), 0);
        write(new DescribeAclsResponseData().setThrottleTimeMs(9).setErrorCode((short) 54).setErrorMessage("none")
            .setResources(List.of(new DescribeAclsResponseData.DescribeAclsResource()
                .setResourceType((byte) 2).setResourceName("topic").setAcls(List.of(
                    new DescribeAclsResponseData.AclDescription()
                        .setPrincipal("User:a").setHost("*").setOperation((byte) 4).setPermissionType((byte) 3))))), 0);
        write(new CreateAclsRequestData().setCreations(List.of(new CreateAclsRequestData.AclCreation()
            .setResourceType((byte) 2).setResourceName("topic").setPrincipal("User:a").setHost("*")
            .setOperation((byte) 4).setPermissionType((byte) 3))), 0);
        write(new CreateAclsResponseData().setThrottleTimeMs(9).setResults(List.of(
            new CreateAclsResponseData.AclCreationResult().setErrorCode((short) 54).setErrorMessage("none"))), 0);
        write(new DeleteAclsRequestData().setFilters(List.of(new DeleteAclsRequestData.DeleteAclsFilter()
            .setResourceTypeFilter((byte) 2).setResourceNameFilter(null).setPrincipalFilter("User:a").setHostFilter(null)
            .setOperation((byte) 1).setPermissionType((byte) 1))), 0);
        write(new DeleteAclsResponseData().setThrottleTimeMs(9).setFilterResults(List.of(
            new DeleteAclsResponseData.DeleteAclsFilterResult().setErrorCode((short) 0).setErrorMessage(null)
                .setMatchingAcls(List.of(new DeleteAclsResponseData.DeleteAclsMatchingAcl()
                    .setErrorCode((short) 54).setErrorMessage("none").setResourceType((byte) 2).setResourceName("topic")
                    .setPrincipal("User:a").setHost("*").setOperation((byte) 4).setPermissionType((byte) 3))))), 0);
    }

    static void configs() {
        write(new DescribeConfigsRequestData().setResources(List.of(
            new DescribeConfigsRequestData.DescribeConfigsResource().setResourceType((byte) 2).setResourceName("topic")
                .setConfigurationKeys(List.of("a.key", "b.key")),
            new DescribeConfigsRequestData.DescribeConfigsResource().setResourceType((byte) 4).setResourceName("1")
                .setConfigurationKeys(null))), 0);
        write(new DescribeConfigsResponseData().setThrottleTimeMs(9).setResults(List.of(
            new DescribeConfigsResponseData.DescribeConfigsResult().setErrorCode((short) 0).setErrorMessage("")
                .setResourceType((byte) 2).setResourceName("topic").setConfigs(List.of(
                    new DescribeConfigsResponseData.DescribeConfigsResourceResult()
                        .setName("a.key").setValue("value").setReadOnly(true).setConfigSource((byte) 5),
                    new DescribeConfigsResponseData.DescribeConfigsResourceResult()
                        .setName("b.key").setValue(null).setIsSensitive(true).setConfigSource((byte) 4))))), 0);
    }

    static void directories() {
        var directory = new AlterReplicaLogDirsRequestData.AlterReplicaLogDir().setPath("/a");
        directory.topics().add(new AlterReplicaLogDirsRequestData.AlterReplicaLogDirTopic()
            .setName("topic").setPartitions(List.of(1, 2)));
        var alter = new AlterReplicaLogDirsRequestData();
        alter.dirs().add(directory);
        write(alter, 0);
        write(new AlterReplicaLogDirsResponseData().setThrottleTimeMs(9).setResults(List.of(
            new AlterReplicaLogDirsResponseData.AlterReplicaLogDirTopicResult().setTopicName("topic").setPartitions(List.of(
                new AlterReplicaLogDirsResponseData.AlterReplicaLogDirPartitionResult()
                    .setPartitionIndex(1).setErrorCode((short) 57))))), 0);
        var describe = new DescribeLogDirsRequestData();
        describe.topics().add(new DescribeLogDirsRequestData.DescribableLogDirTopic()
            .setTopic("topic").setPartitions(List.of(1, 2)));
        write(describe, 0);
        write(new DescribeLogDirsResponseData().setThrottleTimeMs(9).setResults(List.of(
            new DescribeLogDirsResponseData.DescribeLogDirsResult().setLogDir("/a").setTopics(List.of(
                new DescribeLogDirsResponseData.DescribeLogDirsTopic().setName("topic").setPartitions(List.of(
                    new DescribeLogDirsResponseData.DescribeLogDirsPartition()
                        .setPartitionIndex(1).setPartitionSize(77).setOffsetLag(2).setIsFutureKey(true))))))),
            0);
    }

    static void tokens() {
        byte[] hmac = {1, 2, 3};
        write(new CreateDelegationTokenRequestData().setMaxLifetimeMs(9).setRenewers(List.of(
            new CreateDelegationTokenRequestData.CreatableRenewers().setPrincipalType("User").setPrincipalName("a"))), 0);
        write(new CreateDelegationTokenResponseData().setErrorCode((short) 64).setPrincipalType("User")
            .setPrincipalName("a").setIssueTimestampMs(-1).setExpiryTimestampMs(-2).setMaxTimestampMs(-3)
            .setTokenId("id").setHmac(hmac).setThrottleTimeMs(9), 0);
        write(new RenewDelegationTokenRequestData().setHmac(hmac).setRenewPeriodMs(9), 0);
        write(new RenewDelegationTokenResponseData()
            .setErrorCode((short) 64).setExpiryTimestampMs(-1).setThrottleTimeMs(9), 0);
        write(new ExpireDelegationTokenRequestData().setHmac(hmac).setExpiryTimePeriodMs(9), 0);
        write(new ExpireDelegationTokenResponseData()
            .setErrorCode((short) 64).setExpiryTimestampMs(-1).setThrottleTimeMs(9), 0);
        write(new DescribeDelegationTokenRequestData().setOwners(List.of(
            new DescribeDelegationTokenRequestData.DescribeDelegationTokenOwner()
                .setPrincipalType("User").setPrincipalName("a"))), 0);
        write(new DescribeDelegationTokenResponseData().setErrorCode((short) 64).setThrottleTimeMs(9), 0);
    }
}
