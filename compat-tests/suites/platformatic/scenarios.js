// The scenarios of every client, on @platformatic/kafka. Its headers are a map, so a key comes once.
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const path = require("node:path");
const { Admin, Consumer, Producer, stringDeserializers, stringSerializers } = require("@platformatic/kafka");
const { check, killBroker, needsBroker, runAll, sleep, until } = require(path.join(process.env.COMPAT, "lib/checks.js"));

const TOPIC = 2; // the type of a config resource
const [READ_UNCOMMITTED, READ_COMMITTED] = [0, 1]; // isolation levels of a fetch
const SET = 0; // an operation of IncrementalAlterConfigs
const base = { clientId: "compat", bootstrapBrokers: [process.env.BOOTSTRAP], retries: 50, retryDelay: 200, timeout: 10000 };
const CLASSIC = { sessionTimeout: 10000, heartbeatInterval: 200 };
const CONSUMER = { groupProtocol: "consumer" }; // the broker says when members time out and send heartbeats
const admin = new Admin(base);
const numbers = (from, to) => Array.from({ length: to - from }, (_, index) => `${from + index}`);

function create(topic, partitions = 1, configs = {}) {
  const settings = Object.entries(configs).map(([name, value]) => ({ name, value }));
  return admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: settings });
}

// Sends messages to partition 0; binary ones if they are no texts.
async function produce(topic, messages, options = {}) {
  const texts = messages.every(({ value }) => typeof value === "string");
  const producer = new Producer({ ...base, ...(texts ? { serializers: stringSerializers } : {}) });
  try {
    return await producer.send({ messages: messages.map((message) => ({ topic, partition: 0, ...message })), idempotent: true, acks: -1, ...options });
  } finally {
    await producer.close();
  }
}

const produceNumbers = (topic, count) => produce(topic, numbers(0, count).map((value) => ({ value })));

// A consumer in a group that keeps what it has read.
async function join(groupId, topic, options = {}) {
  const { limit = Infinity, deserializers = stringDeserializers, protocol = CLASSIC, ...rest } = options;
  const consumer = new Consumer({ ...base, groupId, deserializers, maxWaitTime: 100, ...protocol });
  const stream = await consumer.consume({ topics: [topic], mode: "committed", fallbackMode: "earliest", autocommit: false, ...rest });
  const member = { consumer, messages: [], failed: undefined };
  stream.on("data", (message) => {
    if (member.messages.length < limit) member.messages.push(message);
  });
  stream.on("error", (error) => (member.failed = error));
  member.values = () => member.messages.map((message) => message.value);
  member.share = () => (consumer.assignments ?? []).reduce((sum, { partitions }) => sum + partitions.length, 0);
  member.leave = () => consumer.close(true);
  return member;
}

async function readAll(topic, count, options) {
  const member = await join(`reader-of-${topic}-${crypto.randomUUID()}`, topic, options);
  try {
    await until(`${count} messages of ${topic} are read`, () => member.messages.length >= count);
  } finally {
    await member.leave();
  }
  return member.messages;
}

for (const codec of ["none", "gzip", "snappy", "lz4", "zstd"]) {
  check(`codec.${codec}`, async () => {
    const written = numbers(0, 500).map((number) => `value ${number} of ${codec}`);
    await create(`codec-${codec}`);
    await produce(`codec-${codec}`, written.map((value) => ({ value })), { compression: codec });
    assert.deepEqual((await readAll(`codec-${codec}`, 500)).map(({ value }) => value), written);
  });
}

check("headers.round-trip", async () => {
  await create("headers");
  await produce("headers", [{ key: "key", value: "value", headers: { a: "1", b: "2" } }]);
  const [message] = await readAll("headers", 1);
  assert.deepEqual([message.key, [...message.headers]], ["key", [["a", "1"], ["b", "2"]]]);
});

async function joinsAndLeaves(topic, options) {
  await create(topic, 4);
  const first = await join(`${topic}-group`, topic, options);
  await until("a lone member has 4 partitions", () => first.share() === 4);
  const second = await join(`${topic}-group`, topic, options);
  await until("two members have 2 partitions each", () => first.share() === 2 && second.share() === 2);
  await second.leave();
  await until("the member that stays has 4 partitions", () => first.share() === 4);
  await first.leave();
}

check("rebalance.member-joins-and-leaves", () => joinsAndLeaves("shared"));

check("groups.consumer-protocol", () => joinsAndLeaves("reconciled", { protocol: CONSUMER }));

check("commit.resume", async () => {
  await create("committed");
  await produceNumbers("committed", 10);
  const first = await join("committers", "committed", { limit: 4 });
  await until("4 messages are read", () => first.messages.length === 4);
  await first.consumer.commit({ offsets: [{ topic: "committed", partition: 0, offset: 4n, leaderEpoch: 0 }] });
  await first.leave();
  const second = await join("committers", "committed");
  await until("6 messages are read", () => second.messages.length === 6);
  assert.deepEqual(second.values(), numbers(4, 10));
  const stored = await second.consumer.listCommittedOffsets({ topics: [{ topic: "committed", partitions: [0] }] });
  assert.deepEqual(stored.get("committed"), [4n]);
  await second.leave();
});

check("seek.by-time", async () => {
  await create("sought");
  const start = Date.now() - 100000;
  await produce("sought", numbers(0, 10).map((value) => ({ value, timestamp: BigInt(start + 10 * Number(value)) })));
  const member = await join("seekers", "sought");
  const found = await member.consumer.listOffsets({ topics: ["sought"], timestamp: BigInt(start + 45) });
  await member.leave();
  assert.deepEqual(found.get("sought"), [5n]);
  const offsets = [{ topic: "sought", partition: 0, offset: 5n }];
  assert.deepEqual((await readAll("sought", 5, { mode: "manual", fallbackMode: undefined, offsets })).map(({ value }) => value), numbers(5, 10));
});

check("admin.crud", async () => {
  await create("managed", 3, { "retention.ms": "3600000" });
  await admin.createPartitions({ topics: [{ name: "managed", count: 5, assignments: null }] });
  const count = async () => (await admin.metadata({ topics: ["managed"], forceUpdate: true })).topics.get("managed").partitionsCount;
  // Apache Kafka shows them a moment after it has answered.
  await until("the topic has 5 partitions", async () => (await count()) === 5);
  const configs = [{ name: "retention.ms", configOperation: SET, value: "7200000" }];
  await admin.incrementalAlterConfigs({ resources: [{ resourceType: TOPIC, resourceName: "managed", configs }] });
  const [described] = await admin.describeConfigs({ resources: [{ resourceType: TOPIC, resourceName: "managed", configurationKeys: ["retention.ms"] }] });
  assert.equal(described.configs[0].value, "7200000");
  await admin.deleteTopics({ topics: ["managed"] });
  assert.ok(!(await admin.listTopics()).includes("managed"));
});

check("admin.groups", async () => {
  assert.ok((await admin.listGroups()).has("committers"));
  const group = (await admin.describeGroups({ groups: ["committers"] })).get("committers");
  assert.deepEqual([group.state, group.members.size], ["Empty", 0]);
  await admin.deleteGroups({ groups: ["committers"] });
  assert.ok(!(await admin.listGroups()).has("committers"));
});

check("large-message.round-trip", async () => {
  await create("large", 1, { "max.message.bytes": "6000000" });
  const value = crypto.randomBytes(5000000);
  await produce("large", [{ value }]);
  const [message] = await readAll("large", 1, { deserializers: {} });
  assert.ok(message.value.equals(value));
});

check("compaction.keeps-the-last-of-a-key", async () => {
  await create("cleaned", 1, { "cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01" });
  for (const [key, value] of [["a", "old"], ["a", "new"], ["b", "only"]]) {
    await produce("cleaned", [{ key, value }]);
    await sleep(300);
  }
  await until("only the last value of each key is left", async () => {
    const [first, second] = await readAll("cleaned", 2);
    return `${first.value} ${second.value}` === "new only";
  });
});

check("transactions.commit-and-abort", async () => {
  await create("transacted");
  const producer = new Producer({ ...base, serializers: stringSerializers, transactionalId: "transactor", idempotent: true });
  for (const start of [0, 10, 20]) {
    const transaction = await producer.beginTransaction();
    await transaction.send({ messages: numbers(start, start + 10).map((value) => ({ topic: "transacted", partition: 0, value })) });
    await (start === 10 ? transaction.abort() : transaction.commit());
  }
  await producer.close();
  const read = async (count, isolationLevel) => (await readAll("transacted", count, { isolationLevel })).map(({ value }) => value);
  assert.deepEqual(await read(20, READ_COMMITTED), [...numbers(0, 10), ...numbers(20, 30)]);
  assert.deepEqual(await read(30, READ_UNCOMMITTED), numbers(0, 30));
});

check("reconnect.after-kill", async () => {
  needsBroker();
  await create("survived");
  const member = await join("survivors", "survived");
  const producer = new Producer({ ...base, serializers: stringSerializers });
  for (const value of numbers(0, 100)) {
    if (value === "50") killBroker();
    await producer.send({ messages: [{ topic: "survived", partition: 0, value }], acks: -1 });
  }
  await producer.close();
  await until("100 messages are read", () => new Set(member.values()).size === 100 || member.failed);
  assert.equal(member.failed, undefined);
  await member.leave();
});

runAll().then(() => process.exit(0));
