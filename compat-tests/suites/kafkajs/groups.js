// Scenarios of the JavaScript client in consumer groups, of compaction, and of a broker that is killed under it.
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const path = require("node:path");
const { Partitioners } = require("kafkajs");
const { check, killBroker, needsBroker, sleep, until } = require(path.join(process.env.COMPAT, "lib/checks.js"));

const numbers = (from, to) => Array.from({ length: to - from }, (_, index) => `${from + index}`);

// A consumer in a group that keeps what it has read, and knows how many partitions it has.
async function join(kafka, groupId, topic, options = {}) {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 200, sessionTimeout: 10000, maxWaitTimeInMs: 100, ...options.consumer });
  const member = { consumer, messages: [], partitions: [] };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => (member.partitions = payload.memberAssignment[topic] ?? []));
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message }) => {
      if (member.messages.length < (options.limit ?? Infinity)) member.messages.push(message);
    },
  });
  return member;
}

const values = (member) => member.messages.map((message) => message.value.toString());

function declare(kafka, admin, create, produce) {
  // Everything in a topic with one partition, read in a group of its own.
  async function readAll(topic, count, options) {
    const member = await join(kafka, `reader-of-${topic}-${crypto.randomUUID()}`, topic, options);
    try {
      await until(`${count} messages of ${topic} are read`, () => member.messages.length >= count);
    } finally {
      await member.consumer.disconnect();
    }
    return member.messages;
  }

  check("codec.none", async () => {
    await create("none");
    await produce("none", numbers(0, 500).map((value) => ({ value })));
    assert.deepEqual((await readAll("none", 500)).map((message) => message.value.toString()), numbers(0, 500));
  });

  check("headers.duplicate-keys", async () => {
    await create("headers");
    await produce("headers", [{ key: "key", value: "value", headers: { a: ["1", "3"], b: "2" } }]);
    const [{ headers }] = await readAll("headers", 1);
    assert.deepEqual([headers.a.map(String), String(headers.b)], [["1", "3"], "2"]);
  });

  check("rebalance.member-joins-and-leaves", async () => {
    await create("shared", 4);
    const first = await join(kafka, "sharing", "shared");
    await until("a lone member has 4 partitions", () => first.partitions.length === 4);
    const second = await join(kafka, "sharing", "shared");
    await until("two members have 2 partitions each", () => first.partitions.length === 2 && second.partitions.length === 2);
    assert.deepEqual([...first.partitions, ...second.partitions].sort(), [0, 1, 2, 3]);
    await second.consumer.disconnect();
    await until("the member that stays has 4 partitions", () => first.partitions.length === 4);
    await first.consumer.disconnect();
  });

  check("commit.resume", async () => {
    await create("committed");
    await produce("committed", numbers(0, 10).map((value) => ({ value })));
    const first = await join(kafka, "committers", "committed", { limit: 4 });
    await until("4 messages are read", () => first.messages.length === 4);
    await first.consumer.commitOffsets([{ topic: "committed", partition: 0, offset: "4", metadata: "a word about it" }]);
    await first.consumer.disconnect();
    const second = await join(kafka, "committers", "committed");
    await until("6 messages are read", () => second.messages.length === 6);
    assert.deepEqual(values(second), numbers(4, 10));
    await second.consumer.disconnect();
    const [{ partitions }] = await admin.fetchOffsets({ groupId: "committers", topics: ["committed"] });
    assert.deepEqual([partitions[0].offset, partitions[0].metadata], ["4", "a word about it"]);
  });

  check("admin.groups", async () => {
    assert.ok((await admin.listGroups()).groups.some(({ groupId, protocolType }) => groupId === "committers" && protocolType === "consumer"));
    const { groups } = await admin.describeGroups(["committers"]);
    assert.deepEqual([groups[0].state, groups[0].members], ["Empty", []]);
    await admin.setOffsets({ groupId: "committers", topic: "committed", partitions: [{ partition: 0, offset: "7" }] });
    const [{ partitions }] = await admin.fetchOffsets({ groupId: "committers", topics: ["committed"] });
    assert.equal(partitions[0].offset, "7");
    await admin.deleteGroups(["committers"]);
    assert.ok(!(await admin.listGroups()).groups.some(({ groupId }) => groupId === "committers"));
  });

  check("seek.by-time", async () => {
    await create("sought");
    const base = Date.now() - 100000;
    await produce("sought", numbers(0, 10).map((value) => ({ value, timestamp: `${base + 10 * Number(value)}` })));
    const [{ offset }] = await admin.fetchTopicOffsetsByTimestamp("sought", base + 45);
    const member = await join(kafka, "seekers", "sought");
    await until("10 messages are read", () => member.messages.length === 10);
    member.messages.length = 0;
    member.consumer.seek({ topic: "sought", partition: 0, offset });
    await until("5 messages are read again", () => member.messages.length === 5);
    assert.deepEqual(values(member), numbers(5, 10));
    await member.consumer.disconnect();
  });

  check("large-message.round-trip", async () => {
    await create("large", 1, [{ name: "max.message.bytes", value: "6000000" }]);
    const value = crypto.randomBytes(5000000);
    await produce("large", [{ value }]);
    const [message] = await readAll("large", 1);
    assert.ok(message.value.equals(value));
  });

  check("compaction.keeps-the-last-of-a-key", async () => {
    const configs = { "cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01" };
    await create("cleaned", 1, Object.entries(configs).map(([name, value]) => ({ name, value })));
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
    const producer = kafka.producer({
      createPartitioner: Partitioners.DefaultPartitioner, transactionalId: "transactor", idempotent: true, maxInFlightRequests: 1,
    });
    await producer.connect();
    for (const start of [0, 10, 20]) {
      const transaction = await producer.transaction();
      await transaction.send({ topic: "transacted", messages: numbers(start, start + 10).map((value) => ({ value })) });
      await (start === 10 ? transaction.abort() : transaction.commit());
    }
    await producer.disconnect();
    const read = async (count, readUncommitted) =>
      (await readAll("transacted", count, { consumer: { readUncommitted } })).map((message) => message.value.toString());
    assert.deepEqual(await read(20, false), [...numbers(0, 10), ...numbers(20, 30)]);
    assert.deepEqual(await read(30, true), numbers(0, 30));
  });

  check("reconnect.after-kill", async () => {
    needsBroker();
    await create("survived");
    const retry = { retries: 50, initialRetryTime: 100, maxRetryTime: 1000 };
    const member = await join(kafka, "survivors", "survived", { consumer: { retry } });
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, retry });
    await producer.connect();
    for (const value of numbers(0, 100)) {
      if (value === "50") killBroker();
      await producer.send({ topic: "survived", messages: [{ value }] });
    }
    await producer.disconnect();
    // Nothing is committed: a member that has joined anew begins with the first message again.
    await until("100 distinct messages are read", () => new Set(values(member)).size === 100, 60000);
    await member.consumer.disconnect();
  });
}

module.exports = { declare };
