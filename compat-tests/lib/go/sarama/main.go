// The scenarios of every client, on sarama.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	. "klamm/compat/scenario"
)

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

var addresses = []string{Bootstrap}

func main() {
	var checks []Check
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		checks = append(checks, Check{Name: "codec." + codec, Run: func() error { return roundTrip(codec) }})
	}
	Run(append(checks,
		Check{Name: "headers.duplicate-keys", Run: duplicateHeaders},
		Check{Name: "rebalance.member-joins-and-leaves", Run: joinsAndLeaves},
		Check{Name: "commit.resume", Run: commitAndResume},
		Check{Name: "seek.by-time", Run: seekByTime},
		Check{Name: "admin.crud", Run: adminCrud},
		Check{Name: "large-message.round-trip", Run: largeMessage},
		Check{Name: "compaction.keeps-the-last-of-a-key", Run: compaction},
		Check{Name: "transactions.commit-and-abort", Run: commitAndAbort},
		Check{Name: "reconnect.after-kill", Run: reconnect},
	))
}

func config(change func(*sarama.Config)) *sarama.Config {
	made := sarama.NewConfig()
	made.Version = sarama.MaxVersion
	made.Producer.RequiredAcks = sarama.WaitForAll
	made.Producer.Return.Successes = true
	made.Producer.Idempotent = true
	made.Producer.Partitioner = sarama.NewManualPartitioner
	made.Net.MaxOpenRequests = 1
	made.Consumer.Offsets.Initial = sarama.OffsetOldest
	made.Consumer.Offsets.AutoCommit.Enable = false
	made.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	if change != nil {
		change(made)
	}
	return made
}

func administer(action func(sarama.ClusterAdmin) error) error {
	admin, err := sarama.NewClusterAdmin(addresses, config(nil))
	if err != nil {
		return err
	}
	defer admin.Close()
	return action(admin)
}

func create(topic string, partitions int32, configs map[string]string) error {
	pointers := map[string]*string{}
	for key, value := range configs {
		pointers[key] = &value
	}
	return administer(func(admin sarama.ClusterAdmin) error {
		return admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: pointers}, false)
	})
}

func produce(messages []*sarama.ProducerMessage, change func(*sarama.Config)) error {
	producer, err := sarama.NewSyncProducer(addresses, config(change))
	if err != nil {
		return err
	}
	defer producer.Close()
	return producer.SendMessages(messages)
}

func plain(topic string, values []string) []*sarama.ProducerMessage {
	var messages []*sarama.ProducerMessage
	for _, value := range values {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
	}
	return messages
}

func readFrom(topic string, offset int64, count int) ([]*sarama.ConsumerMessage, error) {
	return readAs(sarama.ReadUncommitted, topic, offset, count)
}

func readAs(level sarama.IsolationLevel, topic string, offset int64, count int) ([]*sarama.ConsumerMessage, error) {
	consumer, err := sarama.NewConsumer(addresses, config(func(c *sarama.Config) { c.Consumer.IsolationLevel = level }))
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(topic, 0, offset)
	if err != nil {
		return nil, err
	}
	defer partition.Close()
	return receive(partition.Messages(), count)
}

func receive(source <-chan *sarama.ConsumerMessage, count int) ([]*sarama.ConsumerMessage, error) {
	var messages []*sarama.ConsumerMessage
	deadline := time.After(Wait)
	for len(messages) < count {
		select {
		case message := <-source:
			messages = append(messages, message)
		case <-deadline:
			return nil, fmt.Errorf("%d of %d messages read", len(messages), count)
		}
	}
	return messages, nil
}

func values(messages []*sarama.ConsumerMessage) []string {
	var texts []string
	for _, message := range messages {
		texts = append(texts, string(message.Value))
	}
	return texts
}

// member is a consumer in a group; it hands on what it reads and commits what it is told to.
type member struct {
	group    sarama.ConsumerGroup
	stop     context.CancelFunc
	ended    chan struct{}
	share    atomic.Int32
	messages chan *sarama.ConsumerMessage
	commits  chan *sarama.ConsumerMessage
	done     chan struct{}
}

func join(group, topic string, change func(*sarama.Config)) (*member, error) {
	opened, err := sarama.NewConsumerGroup(addresses, group, config(change))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	joined := &member{
		group: opened, stop: cancel, ended: make(chan struct{}),
		messages: make(chan *sarama.ConsumerMessage), commits: make(chan *sarama.ConsumerMessage), done: make(chan struct{}),
	}
	go func() {
		defer close(joined.ended)
		for ctx.Err() == nil {
			// It returns at every rebalance, and with an error while there is no broker.
			if err := opened.Consume(ctx, []string{topic}, joined); err != nil {
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	return joined, nil
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	var share int
	for _, partitions := range session.Claims() {
		share += len(partitions)
	}
	m.share.Store(int32(share))
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.share.Store(0)
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	// Either a message is awaited, or the one that came is handed on; a commit may come in both cases.
	in, out := claim.Messages(), chan<- *sarama.ConsumerMessage(nil)
	var next *sarama.ConsumerMessage
	for {
		select {
		case message, open := <-in:
			if !open {
				return nil
			}
			next, in, out = message, nil, m.messages
		case out <- next:
			in, out = claim.Messages(), nil
		case message := <-m.commits:
			session.MarkMessage(message, "a word about it")
			session.Commit()
			m.done <- struct{}{}
		case <-session.Context().Done():
			return nil
		}
	}
}

func (m *member) commit(message *sarama.ConsumerMessage) error {
	select {
	case m.commits <- message:
		<-m.done
		return nil
	case <-time.After(Wait):
		return fmt.Errorf("the member was in no session to commit in")
	}
}

func (m *member) leave() {
	m.stop()
	m.group.Close()
	<-m.ended
}

func roundTrip(codec string) error {
	topic := "codec-" + codec
	if err := create(topic, 1, nil); err != nil {
		return err
	}
	var written []string
	for number := range 500 {
		written = append(written, fmt.Sprintf("value %d of %s", number, codec))
	}
	if err := produce(plain(topic, written), func(c *sarama.Config) { c.Producer.Compression = codecs[codec] }); err != nil {
		return err
	}
	messages, err := readFrom(topic, 0, 500)
	if err != nil {
		return err
	}
	return Equal(values(messages), written, "values")
}

func duplicateHeaders() error {
	if err := create("headers", 1, nil); err != nil {
		return err
	}
	headers := []sarama.RecordHeader{
		{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("b"), Value: []byte("2")}, {Key: []byte("a"), Value: []byte("3")},
	}
	message := &sarama.ProducerMessage{Topic: "headers", Key: sarama.StringEncoder("key"), Value: sarama.StringEncoder("value"), Headers: headers}
	if err := produce([]*sarama.ProducerMessage{message}, nil); err != nil {
		return err
	}
	messages, err := readFrom("headers", 0, 1)
	if err != nil {
		return err
	}
	var stored []sarama.RecordHeader
	for _, header := range messages[0].Headers {
		stored = append(stored, *header)
	}
	return Equal(stored, headers, "headers")
}

func joinsAndLeaves() error {
	if err := create("shared", 4, nil); err != nil {
		return err
	}
	first, err := join("sharing", "shared", nil)
	if err != nil {
		return err
	}
	defer first.leave()
	if err := Until("a lone member has 4 partitions", func() bool { return first.share.Load() == 4 }); err != nil {
		return err
	}
	second, err := join("sharing", "shared", nil)
	if err != nil {
		return err
	}
	err = Until("two members have 2 partitions each", func() bool { return first.share.Load() == 2 && second.share.Load() == 2 })
	second.leave()
	if err != nil {
		return err
	}
	return Until("the member that stays has 4 partitions", func() bool { return first.share.Load() == 4 })
}

func commitAndResume() error {
	if err := create("committed", 1, nil); err != nil {
		return err
	}
	if err := produce(plain("committed", Numbers(0, 10)), nil); err != nil {
		return err
	}
	first, err := join("committers", "committed", nil)
	if err != nil {
		return err
	}
	messages, err := receive(first.messages, 4)
	if err == nil {
		err = first.commit(messages[3])
	}
	first.leave()
	if err != nil {
		return err
	}
	second, err := join("committers", "committed", nil)
	if err != nil {
		return err
	}
	defer second.leave()
	if messages, err = receive(second.messages, 6); err != nil {
		return err
	}
	if err := Equal(values(messages), Numbers(4, 10), "values of the second member"); err != nil {
		return err
	}
	return administer(func(admin sarama.ClusterAdmin) error {
		offsets, err := admin.ListConsumerGroupOffsets("committers", map[string][]int32{"committed": {0}})
		if err != nil {
			return err
		}
		stored := offsets.GetBlock("committed", 0)
		return Equal(fmt.Sprint(stored.Offset, " ", stored.Metadata), "4 a word about it", "the committed offset")
	})
}

func seekByTime() error {
	if err := create("sought", 1, nil); err != nil {
		return err
	}
	base := time.Now().Add(-100 * time.Second).Truncate(time.Millisecond)
	messages := plain("sought", Numbers(0, 10))
	for number, message := range messages {
		message.Timestamp = base.Add(time.Duration(10*number) * time.Millisecond)
	}
	if err := produce(messages, nil); err != nil {
		return err
	}
	client, err := sarama.NewClient(addresses, config(nil))
	if err != nil {
		return err
	}
	defer client.Close()
	offset, err := client.GetOffset("sought", 0, base.Add(45*time.Millisecond).UnixMilli())
	if err != nil {
		return err
	}
	if err := Equal(offset, int64(5), "offset at the time"); err != nil {
		return err
	}
	found, err := readFrom("sought", offset, 1)
	if err != nil {
		return err
	}
	return Equal(values(found), []string{"5"}, "value at the time")
}

func adminCrud() error {
	if err := create("managed", 3, map[string]string{"retention.ms": "3600000"}); err != nil {
		return err
	}
	return administer(func(admin sarama.ClusterAdmin) error {
		if err := admin.CreatePartitions("managed", 5, nil, false); err != nil {
			return err
		}
		// Apache Kafka shows them a moment after it has answered.
		err := Until("5 partitions after growth", func() bool {
			topics, err := admin.DescribeTopics([]string{"managed"})
			return err == nil && len(topics[0].Partitions) == 5
		})
		if err != nil {
			return err
		}
		value := "7200000"
		entries := map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}
		if err := admin.IncrementalAlterConfig(sarama.TopicResource, "managed", entries, false); err != nil {
			return err
		}
		configs, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: "managed", ConfigNames: []string{"retention.ms"}})
		if err != nil {
			return err
		}
		if err := Equal(configs[0].Value, value, "retention.ms"); err != nil {
			return err
		}
		if err := admin.DeleteTopic("managed"); err != nil {
			return err
		}
		topics, err := admin.ListTopics()
		if err != nil {
			return err
		}
		if _, listed := topics["managed"]; listed {
			return fmt.Errorf("a deleted topic is listed")
		}
		return adminGroups(admin)
	})
}

// adminGroups looks at the group of commitAndResume and deletes it.
func adminGroups(admin sarama.ClusterAdmin) error {
	described, err := admin.DescribeConsumerGroups([]string{"committers"})
	if err != nil {
		return err
	}
	if err := Equal(described[0].State, "Empty", "state of a group without members"); err != nil {
		return err
	}
	if err := admin.DeleteConsumerGroup("committers"); err != nil {
		return err
	}
	groups, err := admin.ListConsumerGroups()
	if err != nil {
		return err
	}
	if _, listed := groups["committers"]; listed {
		return fmt.Errorf("a deleted group is listed")
	}
	return nil
}

func largeMessage() error {
	if err := create("large", 1, map[string]string{"max.message.bytes": "6000000"}); err != nil {
		return err
	}
	value := make([]byte, 5_000_000)
	rand.Read(value)
	message := &sarama.ProducerMessage{Topic: "large", Value: sarama.ByteEncoder(value)}
	if err := produce([]*sarama.ProducerMessage{message}, func(c *sarama.Config) { c.Producer.MaxMessageBytes = 6_000_000 }); err != nil {
		return err
	}
	messages, err := readFrom("large", 0, 1)
	if err != nil {
		return err
	}
	return Equal(bytes.Equal(messages[0].Value, value), true, "whether the value read is the value written")
}

func compaction() error {
	configs := map[string]string{"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
	if err := create("cleaned", 1, configs); err != nil {
		return err
	}
	for _, record := range [][]string{{"a", "old"}, {"a", "new"}, {"b", "only"}} {
		message := &sarama.ProducerMessage{Topic: "cleaned", Key: sarama.StringEncoder(record[0]), Value: sarama.StringEncoder(record[1])}
		if err := produce([]*sarama.ProducerMessage{message}, nil); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
	}
	return Until("only the last value of each key is left", func() bool {
		messages, err := readFrom("cleaned", sarama.OffsetOldest, 2)
		return err == nil && Equal(values(messages), []string{"new", "only"}, "values left") == nil
	})
}

func commitAndAbort() error {
	if err := create("transacted", 1, nil); err != nil {
		return err
	}
	if err := writeTransactions(); err != nil {
		return err
	}
	messages, err := readAs(sarama.ReadCommitted, "transacted", sarama.OffsetOldest, 20)
	if err != nil {
		return err
	}
	if err := Equal(values(messages), append(Numbers(0, 10), Numbers(20, 30)...), "committed values"); err != nil {
		return err
	}
	if messages, err = readAs(sarama.ReadUncommitted, "transacted", sarama.OffsetOldest, 30); err != nil {
		return err
	}
	return Equal(values(messages), Numbers(0, 30), "values written")
}

// writeTransactions writes ten values in each of three transactions, and aborts the second.
func writeTransactions() error {
	producer, err := sarama.NewSyncProducer(addresses, config(func(c *sarama.Config) { c.Producer.Transaction.ID = "transactor" }))
	if err != nil {
		return err
	}
	defer producer.Close()
	for _, start := range []int{0, 10, 20} {
		if err := producer.BeginTxn(); err != nil {
			return err
		}
		if err := producer.SendMessages(plain("transacted", Numbers(start, start+10))); err != nil {
			return err
		}
		end := producer.CommitTxn
		if start == 10 {
			end = producer.AbortTxn
		}
		if err := end(); err != nil {
			return err
		}
	}
	return nil
}

func reconnect() error {
	if err := NeedsBroker(); err != nil {
		return err
	}
	if err := create("survived", 1, nil); err != nil {
		return err
	}
	reader, err := join("survivors", "survived", nil)
	if err != nil {
		return err
	}
	defer reader.leave()
	patient := func(c *sarama.Config) { c.Producer.Retry.Max, c.Producer.Retry.Backoff = 100, 200*time.Millisecond }
	writer, err := sarama.NewSyncProducer(addresses, config(patient))
	if err != nil {
		return err
	}
	defer writer.Close()
	failed := make(chan error, 1)
	go func() { failed <- writeThroughKill(writer) }()
	// Nothing is committed before the end: a session after the kill begins with the first message again.
	var last *sarama.ConsumerMessage
	seen := map[string]bool{}
	var distinct []string
	for len(distinct) < 100 && err == nil {
		var messages []*sarama.ConsumerMessage
		if messages, err = receive(reader.messages, 1); err == nil {
			last = messages[0]
			if value := string(last.Value); !seen[value] {
				seen[value] = true
				distinct = append(distinct, value)
			}
		}
	}
	if err := <-failed; err != nil {
		return err
	}
	if err := Equal(distinct, Numbers(0, 100), "distinct values read"); err != nil {
		return err
	}
	return reader.commit(last)
}

func writeThroughKill(writer sarama.SyncProducer) error {
	for number, message := range plain("survived", Numbers(0, 100)) {
		if number == 50 {
			if err := KillBroker(); err != nil {
				return err
			}
		}
		if _, _, err := writer.SendMessage(message); err != nil {
			return fmt.Errorf("produce %d: %w", number, err)
		}
	}
	return nil
}
