// An agent (agent.py says what that is) on an old release of kafkajs. It consumes only in groups, so each read joins one of its own.
const readline = require("node:readline");
const crypto = require("node:crypto");
const { Kafka, CompressionTypes, logLevel } = require("kafkajs");

const LARGEST_MESSAGE = 6000000;
const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP };
const kafka = new Kafka({ clientId: "ages", brokers: [process.env.BOOTSTRAP], logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 1000 } });

const bytes = (field) => (field === "-" ? null : Buffer.from(field, "base64"));
const field = (value) => (value === null || value === undefined ? "-" : Buffer.from(value).toString("base64"));
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

function parse(line) {
  const [timestamp, key, value, headers] = line.split("\t");
  const message = { key: bytes(key), value: bytes(value) };
  if (timestamp !== "-") message.timestamp = timestamp;
  if (headers !== "-") {
    message.headers = {};
    for (const header of headers.split(",")) {
      const end = header.indexOf("=");
      message.headers[header.slice(0, end)] = bytes(header.slice(end + 1));
    }
  }
  return message;
}

function line(partition, message) {
  const headers = Object.entries(message.headers ?? {}).flatMap(([name, values]) => [values].flat().map((value) => `${name}=${field(value)}`));
  const words = ["record", partition, message.offset, `?${message.timestamp}`, field(message.key), field(message.value), headers.join(",") || "-"];
  return words.join("\t");
}

async function produce([topic, partition, codec], given) {
  const producer = kafka.producer();
  await producer.connect();
  try {
    const offsets = [];
    // One call is one batch.
    for (let start = 0; start < given.length; start += 25) {
      const messages = given.slice(start, start + 25).map((message) => ({ ...message, partition: Number(partition) }));
      const [{ baseOffset, offset }] = await producer.send({ topic, messages, acks: -1, compression: CODECS[codec] });
      messages.forEach((_, index) => offsets.push(String(BigInt(baseOffset ?? offset) + BigInt(index))));
    }
    return offsets;
  } finally {
    await producer.disconnect();
  }
}

// A consumer that keeps the lines of what it has read and the partitions it has.
class Member {
  constructor(name, groupId, topic) {
    this.topic = topic;
    this.lines = [];
    this.partitions = [];
    this.positions = new Map();
    this.consumer = kafka.consumer({ groupId, heartbeatInterval: 300, sessionTimeout: 6000, maxWaitTimeInMs: 100, maxBytesPerPartition: LARGEST_MESSAGE });
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => (this.partitions = payload.memberAssignment[topic] ?? []));
  }

  async start(only) {
    await this.consumer.connect();
    await this.consumer.subscribe({ topic: this.topic, fromBeginning: true });
    // It must not end before what it runs: the promise of some releases ends only with the consumer.
    this.running = this.consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        if (only !== undefined && only !== partition) return;
        this.lines.push(line(partition, message));
        this.positions.set(partition, String(BigInt(message.offset) + 1n));
      },
    });
    await this.running;
  }

  look() {
    return [`assigned\t${[...this.partitions].sort((a, b) => a - b).join(",")}`, ...this.lines.splice(0)];
  }

  async commit() {
    // The oldest releases commit by themselves behind each batch, and cannot be asked to.
    if (!this.consumer.commitOffsets) return;
    const offsets = [...this.positions].map(([partition, offset]) => ({ topic: this.topic, partition, offset }));
    await this.consumer.commitOffsets(offsets);
  }
}

async function read([topic, partition, offset, count, seconds]) {
  const reader = new Member("reader", `reader-${crypto.randomUUID()}`, topic);
  await reader.start(Number(partition));
  try {
    reader.consumer.seek({ topic, partition: Number(partition), offset });
    const first = BigInt(offset);
    // What came before the seek took effect does not count, nor what came twice because of it.
    const wanted = () => [...new Set(reader.lines.filter((text) => BigInt(text.split("\t")[2]) >= first))];
    const deadline = Date.now() + 1000 * Number(seconds);
    while (wanted().length < Number(count)) {
      if (Date.now() > deadline) throw new Error(`only ${wanted().length} records came`);
      await sleep(10);
    }
    return wanted();
  } finally {
    await reader.consumer.disconnect();
  }
}

async function administer(action) {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await action(admin);
  } finally {
    await admin.disconnect();
  }
}

const members = new Map();
const commands = {
  produce,
  read,
  join: async ([name, group, topic]) => {
    const member = new Member(name, group, topic);
    members.set(name, member);
    await member.start();
  },
  look: async ([name]) => members.get(name).look(),
  commit: async ([name]) => members.get(name).commit(),
  leave: async ([name]) => {
    await members.get(name).consumer.disconnect();
    members.delete(name);
  },
  create: async ([topic, partitions]) => {
    await administer((admin) => admin.createTopics({ topics: [{ topic, numPartitions: Number(partitions), replicationFactor: 1 }] }));
  },
  delete: async ([topic]) => {
    await administer((admin) => admin.deleteTopics({ topics: [topic] }));
  },
};

async function serve() {
  const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  for (let next = await input.next(); !next.done; next = await input.next()) {
    const [word, ...words] = next.value.split("\t");
    try {
      const given = [];
      if (word === "produce") {
        for (let left = Number(words.pop()); left > 0; left--) given.push(parse((await input.next()).value));
      }
      const lines = (await commands[word](words, given)) ?? [];
      process.stdout.write([...lines, "ok", ""].join("\n"));
    } catch (error) {
      process.stdout.write(`error\t${String(error).replaceAll(/\s+/g, " ")}\n`);
    }
  }
  process.exit(0);
}

serve();
