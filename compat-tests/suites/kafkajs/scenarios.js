// Scenarios of the JavaScript client: admin, and produce with acks 0, 1 and all; what was stored is seen by its offsets.
const assert = require("node:assert/strict");
const path = require("node:path");
const { Kafka, CompressionTypes, ConfigResourceTypes, Partitioners, logLevel } = require("kafkajs");
const { check, runAll } = require(path.join(process.env.COMPAT, "lib/checks.js"));

const kafka = new Kafka({ clientId: "compat", brokers: [process.env.BOOTSTRAP], logLevel: logLevel.NOTHING, retry: { retries: 5 } });
const admin = kafka.admin();

const create = (topic, numPartitions = 1, configEntries = []) =>
  admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] });

async function highOffsets(topic, retries = 20) {
  try {
    return (await admin.fetchTopicOffsets(topic)).sort((a, b) => a.partition - b.partition).map((entry) => entry.high);
  } catch (error) {
    // Apache Kafka names leaders a moment before they lead.
    if (error.type !== "NOT_LEADER_FOR_PARTITION" || retries === 0) throw error;
    await new Promise((wake) => setTimeout(wake, 50));
    return highOffsets(topic, retries - 1);
  }
}

async function produce(topic, messages, options = {}) {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: false, ...options.producer });
  await producer.connect();
  try {
    return await producer.send({ topic, messages, acks: options.acks ?? -1, compression: options.compression });
  } finally {
    await producer.disconnect();
  }
}

const failure = async (promise) => {
  try {
    await promise;
  } catch (error) {
    // An error of several topics carries the error of each.
    return (error.errors?.[0] ?? error.cause ?? error).type ?? error.message;
  }
  return "no error";
};

check("admin.create-topic", async () => {
  assert.equal(await create("created", 3), true);
  assert.equal(await create("created", 3), false, "creating it again answers false");
  const { topics } = await admin.fetchTopicMetadata({ topics: ["created"] });
  const partitions = topics[0].partitions.map(({ partitionId, leader, replicas, isr }) => ({ partitionId, leader, replicas, isr }));
  partitions.sort((a, b) => a.partitionId - b.partitionId);
  assert.deepEqual(partitions, [0, 1, 2].map((partitionId) => ({ partitionId, leader: 1, replicas: [1], isr: [1] })));
});

check("admin.create-errors", async () => {
  assert.equal(await failure(create("bad name")), "INVALID_TOPIC_EXCEPTION");
  assert.equal(await failure(create("none", 1, [{ name: "no.such.config", value: "1" }])), "INVALID_CONFIG");
});

check("admin.list-topics", async () => {
  assert.ok((await admin.listTopics()).includes("created"));
});

check("admin.describe-cluster", async () => {
  const cluster = await admin.describeCluster();
  assert.deepEqual(cluster.brokers.map(({ nodeId, host, port }) => `${nodeId}@${host}:${port}`), [`1@${process.env.BOOTSTRAP}`]);
  assert.equal(cluster.controller, 1);
  assert.ok(cluster.clusterId.length > 0);
});

check("admin.configs", async () => {
  await create("configured", 1, [{ name: "retention.ms", value: "3600000" }]);
  const describe = async () => {
    const resource = { type: ConfigResourceTypes.TOPIC, name: "configured", configNames: ["retention.ms", "cleanup.policy"] };
    const { resources } = await admin.describeConfigs({ includeSynonyms: true, resources: [resource] });
    return Object.fromEntries(resources[0].configEntries.map((entry) => [entry.configName, entry.configValue]));
  };
  assert.deepEqual(await describe(), { "retention.ms": "3600000", "cleanup.policy": "delete" });
  // AlterConfigs replaces every config of the topic.
  const configEntries = [{ name: "cleanup.policy", value: "compact" }];
  await admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: "configured", configEntries }] });
  assert.deepEqual(await describe(), { "retention.ms": "604800000", "cleanup.policy": "compact" });
});

check("admin.create-partitions", async () => {
  await create("grown");
  await admin.createPartitions({ topicPartitions: [{ topic: "grown", count: 4 }] });
  assert.deepEqual(await highOffsets("grown"), ["0", "0", "0", "0"]);
});

check("admin.delete-records", async () => {
  await create("trimmed");
  await produce("trimmed", Array.from({ length: 10 }, (_, number) => ({ value: `${number}` })));
  // The client finds the leader only of topics it has asked about.
  assert.deepEqual(await highOffsets("trimmed"), ["10"]);
  await admin.deleteTopicRecords({ topic: "trimmed", partitions: [{ partition: 0, offset: "6" }] });
  const [{ low, high }] = await admin.fetchTopicOffsets("trimmed");
  assert.deepEqual([low, high], ["6", "10"]);
});

check("admin.delete-topic", async () => {
  await create("deleted");
  await admin.deleteTopics({ topics: ["deleted"] });
  assert.ok(!(await admin.listTopics()).includes("deleted"));
  const impatient = kafka.admin({ retry: { retries: 0 } });
  await impatient.connect();
  assert.equal(await failure(impatient.deleteTopics({ topics: ["deleted"] })), "UNKNOWN_TOPIC_OR_PARTITION");
  await impatient.disconnect();
});

for (const acks of [0, 1, -1]) {
  check(`acks.${acks === -1 ? "all" : acks}`, async () => {
    const topic = `acks${acks}`;
    await create(topic);
    await produce(topic, Array.from({ length: 100 }, (_, number) => ({ value: `value ${number}` })), { acks });
    const deadline = Date.now() + 5000;
    // Nobody says when a record sent with acks 0 is stored.
    while ((await highOffsets(topic))[0] !== "100" && Date.now() < deadline) await new Promise((wake) => setTimeout(wake, 50));
    assert.deepEqual(await highOffsets(topic), ["100"]);
  });
}

check("codec.gzip", async () => {
  await create("gzip");
  const messages = Array.from({ length: 500 }, (_, number) => ({ key: `${number}`, value: "value", headers: { a: "1", b: ["2", "3"] } }));
  const [answer] = await produce("gzip", messages, { compression: CompressionTypes.GZIP });
  assert.deepEqual([answer.errorCode, answer.baseOffset], [0, "0"]);
  assert.deepEqual(await highOffsets("gzip"), ["500"]);
});

check("produce.idempotent", async () => {
  await create("idempotent", 3);
  const messages = Array.from({ length: 300 }, (_, number) => ({ partition: number % 3, value: `${number}` }));
  await produce("idempotent", messages, { producer: { idempotent: true, maxInFlightRequests: 1 } });
  assert.deepEqual(await highOffsets("idempotent"), ["100", "100", "100"]);
});

check("produce.unknown-topic", async () => {
  assert.equal(await failure(produce("nowhere", [{ value: "1" }], { producer: { retry: { retries: 1 } } })), "UNKNOWN_TOPIC_OR_PARTITION");
});

check("offsets.by-timestamp", async () => {
  await create("timed");
  const base = Date.now() - 100000;
  await produce("timed", Array.from({ length: 10 }, (_, number) => ({ value: `${number}`, timestamp: `${base + 10 * number}` })));
  const at = async (timestamp) => (await admin.fetchTopicOffsetsByTimestamp("timed", timestamp))[0].offset;
  assert.deepEqual([await at(base), await at(base + 41), await at(base + 91)], ["0", "5", "10"]);
});

check("large-message.refused", async () => {
  await create("small", 1, [{ name: "max.message.bytes", value: "10000" }]);
  assert.equal(await failure(produce("small", [{ value: "x".repeat(20000) }])), "MESSAGE_TOO_LARGE");
});

async function main() {
  await admin.connect();
  require("./groups.js").declare(kafka, admin, create, produce);
  await runAll();
  await admin.disconnect();
  // A client that lost its broker leaves timers behind.
  process.exit(0);
}

main();
