// The scenarios of every client, on franz-go.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	. "klamm/compat/scenario"
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func main() {
	var checks []Check
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		checks = append(checks, Check{Name: "codec." + codec, Run: func() error { return roundTrip(codec) }})
	}
	Run(append(checks,
		Check{Name: "headers.duplicate-keys", Run: duplicateHeaders},
		Check{Name: "rebalance.member-joins-and-leaves", Run: func() error { return joinsAndLeaves("shared", kgo.RangeBalancer()) }},
		Check{Name: "rebalance.cooperative", Run: func() error { return joinsAndLeaves("cooperating", kgo.CooperativeStickyBalancer()) }},
		Check{Name: "groups.consumer-protocol", Run: func() error { return joinsAndLeaves("reconciled", kgo.RangeBalancer(), kgo.ServerSideBalancer()) }},
		Check{Name: "commit.resume", Run: commitAndResume},
		Check{Name: "seek.by-time", Run: seekByTime},
		Check{Name: "admin.crud", Run: adminCrud},
		Check{Name: "large-message.round-trip", Run: largeMessage},
		Check{Name: "compaction.keeps-the-last-of-a-key", Run: compaction},
		Check{Name: "transactions.commit-and-abort", Run: commitAndAbort},
		Check{Name: "reconnect.after-kill", Run: reconnect},
	))
}

func background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), Wait)
}

func client(options ...kgo.Opt) *kgo.Client {
	opened, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(Bootstrap)}, options...)...)
	if err != nil {
		panic(err)
	}
	return opened
}

func administer(action func(context.Context, *kadm.Client) error) error {
	ctx, cancel := background()
	defer cancel()
	admin := kadm.NewClient(client())
	defer admin.Close()
	return action(ctx, admin)
}

func create(topic string, partitions int32, configs map[string]string) error {
	return administer(func(ctx context.Context, admin *kadm.Client) error {
		pointers := map[string]*string{}
		for key, value := range configs {
			pointers[key] = &value
		}
		_, err := admin.CreateTopic(ctx, partitions, 1, pointers, topic)
		return err
	})
}

func produce(records []*kgo.Record, options ...kgo.Opt) error {
	ctx, cancel := background()
	defer cancel()
	producer := client(append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	defer producer.Close()
	return producer.ProduceSync(ctx, records...).FirstErr()
}

func plain(topic string, values []string) []*kgo.Record {
	var records []*kgo.Record
	for _, value := range values {
		records = append(records, &kgo.Record{Topic: topic, Value: []byte(value)})
	}
	return records
}

func produceNumbers(topic string, count int) error {
	if err := create(topic, 1, nil); err != nil {
		return err
	}
	return produce(plain(topic, Numbers(0, count)))
}

func read(reader *kgo.Client, count int) ([]*kgo.Record, error) {
	ctx, cancel := background()
	defer cancel()
	var records []*kgo.Record
	for len(records) < count {
		fetches := reader.PollRecords(ctx, count-len(records))
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%d of %d records read: %w", len(records), count, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records, nil
}

func readAll(topic string, count int, options ...kgo.Opt) ([]*kgo.Record, error) {
	start := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}
	reader := client(append(options, kgo.ConsumePartitions(start))...)
	defer reader.Close()
	return read(reader, count)
}

func values(records []*kgo.Record) []string {
	var texts []string
	for _, record := range records {
		texts = append(texts, string(record.Value))
	}
	return texts
}

// member is a group's consumer that knows which partitions it has.
type member struct {
	*kgo.Client
	mutex      sync.Mutex
	partitions map[int32]bool
}

func join(group, topic string, options ...kgo.Opt) *member {
	joined := &member{partitions: map[int32]bool{}}
	change := func(own bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
			joined.mutex.Lock()
			defer joined.mutex.Unlock()
			for _, partition := range changed[topic] {
				if own {
					joined.partitions[partition] = true
				} else {
					delete(joined.partitions, partition)
				}
			}
		}
	}
	joined.Client = client(append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(200 * time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)),
	}, options...)...)
	return joined
}

func (m *member) share() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return len(m.partitions)
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
	if err := produce(plain(topic, written), kgo.ProducerBatchCompression(codecs[codec]), kgo.ProducerLinger(10*time.Millisecond)); err != nil {
		return err
	}
	records, err := readAll(topic, 500)
	if err != nil {
		return err
	}
	return Equal(values(records), written, "values")
}

func duplicateHeaders() error {
	if err := create("headers", 1, nil); err != nil {
		return err
	}
	headers := []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("2")}, {Key: "a", Value: []byte("3")}}
	if err := produce([]*kgo.Record{{Topic: "headers", Key: []byte("key"), Value: []byte("value"), Headers: headers}}); err != nil {
		return err
	}
	records, err := readAll("headers", 1)
	if err != nil {
		return err
	}
	return Equal(records[0].Headers, headers, "headers")
}

func joinsAndLeaves(topic string, balancer kgo.GroupBalancer, options ...kgo.Opt) error {
	options = append(options, kgo.Balancers(balancer))
	if err := create(topic, 4, nil); err != nil {
		return err
	}
	first := join(topic+"-group", topic, options...)
	defer first.Close()
	if err := Until("a lone member has 4 partitions", func() bool { return first.share() == 4 }); err != nil {
		return err
	}
	second := join(topic+"-group", topic, options...)
	if err := Until("two members have 2 partitions each", func() bool { return first.share() == 2 && second.share() == 2 }); err != nil {
		second.Close()
		return err
	}
	second.Close()
	return Until("the member that stays has 4 partitions", func() bool { return first.share() == 4 })
}

func commitAndResume() error {
	if err := produceNumbers("committed", 10); err != nil {
		return err
	}
	first := join("committers", "committed")
	records, err := read(first.Client, 4)
	if err != nil {
		return err
	}
	ctx, cancel := background()
	defer cancel()
	if err := first.CommitRecords(ctx, records...); err != nil {
		return err
	}
	first.Close()
	second := join("committers", "committed")
	defer second.Close()
	if records, err = read(second.Client, 6); err != nil {
		return err
	}
	if err := Equal(values(records), Numbers(4, 10), "values of the second member"); err != nil {
		return err
	}
	return administer(func(ctx context.Context, admin *kadm.Client) error {
		offsets, err := admin.FetchOffsets(ctx, "committers")
		if err != nil {
			return err
		}
		offset, _ := offsets.Lookup("committed", 0)
		return Equal(offset.At, int64(4), "the committed offset")
	})
}

func seekByTime() error {
	if err := create("sought", 1, nil); err != nil {
		return err
	}
	base := time.Now().Add(-100 * time.Second).Truncate(time.Millisecond)
	records := plain("sought", Numbers(0, 10))
	for number, record := range records {
		record.Timestamp = base.Add(time.Duration(10*number) * time.Millisecond)
	}
	if err := produce(records); err != nil {
		return err
	}
	at := base.Add(45 * time.Millisecond).UnixMilli()
	err := administer(func(ctx context.Context, admin *kadm.Client) error {
		found, err := admin.ListOffsetsAfterMilli(ctx, at, "sought")
		if err != nil {
			return err
		}
		offset, _ := found.Lookup("sought", 0)
		return Equal(offset.Offset, int64(5), "offset at the time")
	})
	if err != nil {
		return err
	}
	start := map[string]map[int32]kgo.Offset{"sought": {0: kgo.NewOffset().AfterMilli(at)}}
	reader := client(kgo.ConsumePartitions(start))
	defer reader.Close()
	if records, err = read(reader, 1); err != nil {
		return err
	}
	return Equal(values(records), []string{"5"}, "value at the time")
}

func adminCrud() error {
	if err := create("managed", 3, map[string]string{"retention.ms": "3600000"}); err != nil {
		return err
	}
	return administer(func(ctx context.Context, admin *kadm.Client) error {
		if grown, err := admin.UpdatePartitions(ctx, 5, "managed"); err != nil || grown.Error() != nil {
			return fmt.Errorf("add partitions: %v, %v", err, grown.Error())
		}
		// Apache Kafka shows them a moment after it has answered.
		err := Until("5 partitions after growth", func() bool {
			topics, err := admin.ListTopics(ctx, "managed")
			return err == nil && len(topics["managed"].Partitions) == 5
		})
		if err != nil {
			return err
		}
		value := "7200000"
		if _, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}, "managed"); err != nil {
			return err
		}
		configs, err := admin.DescribeTopicConfigs(ctx, "managed")
		if err != nil {
			return err
		}
		for _, config := range configs[0].Configs {
			if config.Key == "retention.ms" {
				if err := Equal(*config.Value, value, "retention.ms"); err != nil {
					return err
				}
			}
		}
		if deleted, err := admin.DeleteTopic(ctx, "managed"); err != nil || deleted.Err != nil {
			return fmt.Errorf("delete: %v, %v", err, deleted.Err)
		}
		topics, err := admin.ListTopics(ctx)
		if err != nil {
			return err
		}
		if err := Equal(topics.Has("managed"), false, "whether a deleted topic is listed"); err != nil {
			return err
		}
		return adminGroups(ctx, admin)
	})
}

// adminGroups looks at the group of commitAndResume and deletes it.
func adminGroups(ctx context.Context, admin *kadm.Client) error {
	described, err := admin.DescribeGroups(ctx, "committers")
	if err != nil {
		return err
	}
	if err := Equal(described["committers"].State, "Empty", "state of a group without members"); err != nil {
		return err
	}
	if deleted, err := admin.DeleteGroup(ctx, "committers"); err != nil || deleted.Err != nil {
		return fmt.Errorf("delete the group: %v, %v", err, deleted.Err)
	}
	groups, err := admin.ListGroups(ctx)
	if err != nil {
		return err
	}
	if strings.Contains(strings.Join(groups.Groups(), " "), "committers") {
		return fmt.Errorf("a deleted group is among %v", groups.Groups())
	}
	return nil
}

func largeMessage() error {
	if err := create("large", 1, map[string]string{"max.message.bytes": "6000000"}); err != nil {
		return err
	}
	value := make([]byte, 5_000_000)
	rand.Read(value)
	if err := produce([]*kgo.Record{{Topic: "large", Value: value}}, kgo.ProducerBatchMaxBytes(6_000_000)); err != nil {
		return err
	}
	records, err := readAll("large", 1, kgo.FetchMaxPartitionBytes(1_000_000))
	if err != nil {
		return err
	}
	return Equal(bytes.Equal(records[0].Value, value), true, "whether the value read is the value written")
}

func compaction() error {
	configs := map[string]string{"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
	if err := create("cleaned", 1, configs); err != nil {
		return err
	}
	for _, record := range [][]string{{"a", "old"}, {"a", "new"}, {"b", "only"}} {
		if err := produce([]*kgo.Record{{Topic: "cleaned", Key: []byte(record[0]), Value: []byte(record[1])}}); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
	}
	return Until("only the last value of each key is left", func() bool {
		records, err := readAll("cleaned", 2)
		return err == nil && Equal(values(records), []string{"new", "only"}, "values left") == nil
	})
}

func commitAndAbort() error {
	if err := create("transacted", 1, nil); err != nil {
		return err
	}
	if err := writeTransactions(); err != nil {
		return err
	}
	records, err := readAll("transacted", 20, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	if err := Equal(values(records), append(Numbers(0, 10), Numbers(20, 30)...), "committed values"); err != nil {
		return err
	}
	if records, err = readAll("transacted", 30, kgo.FetchIsolationLevel(kgo.ReadUncommitted())); err != nil {
		return err
	}
	return Equal(values(records), Numbers(0, 30), "values written")
}

// writeTransactions writes ten values in each of three transactions, and aborts the second.
func writeTransactions() error {
	ctx, cancel := background()
	defer cancel()
	producer := client(kgo.TransactionalID("transactor"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer producer.Close()
	for _, start := range []int{0, 10, 20} {
		if err := producer.BeginTransaction(); err != nil {
			return err
		}
		if err := producer.ProduceSync(ctx, plain("transacted", Numbers(start, start+10))...).FirstErr(); err != nil {
			return err
		}
		if err := producer.EndTransaction(ctx, kgo.TransactionEndTry(start != 10)); err != nil {
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
	reader := join("survivors", "survived", kgo.SessionTimeout(10*time.Second))
	defer reader.Close()
	writer := client()
	defer writer.Close()
	for number, value := range Numbers(0, 100) {
		if number == 50 {
			if err := KillBroker(); err != nil {
				return err
			}
		}
		ctx, cancel := background()
		err := writer.ProduceSync(ctx, plain("survived", []string{value})...).FirstErr()
		cancel()
		if err != nil {
			return err
		}
	}
	records, err := read(reader.Client, 100)
	if err != nil {
		return err
	}
	if err := Equal(values(records), Numbers(0, 100), "values read"); err != nil {
		return err
	}
	ctx, cancel := background()
	defer cancel()
	return reader.CommitRecords(ctx, records...)
}
