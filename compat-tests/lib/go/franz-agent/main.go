// An agent on franz-go, told to speak to a broker of an old version: franz-agent VERSION.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"klamm/compat/agent"
)

var versions = map[string]*kversion.Versions{"0.9": kversion.V0_9_0(), "0.10": kversion.V0_10_2(), "0.11": kversion.V0_11_0()}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(),
}

var balancers = map[string]kgo.GroupBalancer{"RangeAssignor": kgo.RangeBalancer(), "RoundRobinAssignor": kgo.RoundRobinBalancer()}

var (
	version = os.Args[1]
	members = map[string]*member{}
)

func main() {
	agent.Serve(map[string]agent.Command{
		"produce":  produce,
		"transact": transact,
		"read":     read,
		"time":     offsetForTime,
		"join":     join,
		"look":     func(words []string, _ []agent.Record) ([]string, error) { return members[words[0]].log.Look(), nil },
		"commit":   func(words []string, _ []agent.Record) ([]string, error) { return nil, members[words[0]].commit() },
		"leave":    func(words []string, _ []agent.Record) ([]string, error) { return nil, members[words[0]].leave() },
		"create":   create,
		"delete":   remove,
	})
}

func background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), agent.Wait)
}

func client(options ...kgo.Opt) (*kgo.Client, error) {
	base := []kgo.Opt{
		kgo.SeedBrokers(agent.Bootstrap), kgo.MaxVersions(versions[version]), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.FetchMaxPartitionBytes(agent.LargestMessage), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	}
	return kgo.NewClient(append(base, options...)...)
}

func producer(options ...kgo.Opt) (*kgo.Client, error) {
	// Several batches to a test, each of several records.
	base := []kgo.Opt{
		kgo.ProducerLinger(20 * time.Millisecond), kgo.ProducerBatchMaxBytes(agent.LargestMessage), kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}
	if version != "0.11" {
		base = append(base, kgo.DisableIdempotentWrite())
	}
	return client(append(base, options...)...)
}

func records(topic string, partition int32, given []agent.Record) []*kgo.Record {
	var all []*kgo.Record
	for _, one := range given {
		record := &kgo.Record{Topic: topic, Partition: partition, Key: one.Key, Value: one.Value}
		if one.Timestamp != nil {
			record.Timestamp = *one.Timestamp
		}
		for _, header := range one.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: header.Name, Value: header.Value})
		}
		all = append(all, record)
	}
	return all
}

func produce(words []string, given []agent.Record) ([]string, error) {
	opened, err := producer(kgo.ProducerBatchCompression(codecs[words[2]]))
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	ctx, cancel := background()
	defer cancel()
	var offsets []string
	for chunk := range slices.Chunk(records(words[0], int32(agent.Number(words[1])), given), 25) {
		results := opened.ProduceSync(ctx, chunk...)
		if err := results.FirstErr(); err != nil {
			return nil, err
		}
		for _, result := range results {
			offsets = append(offsets, strconv.FormatInt(result.Record.Offset, 10))
		}
	}
	return offsets, nil
}

func transact(words []string, given []agent.Record) ([]string, error) {
	opened, err := producer(kgo.TransactionalID("transactor of " + words[0]))
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	ctx, cancel := background()
	defer cancel()
	if err := opened.BeginTransaction(); err != nil {
		return nil, err
	}
	if err := opened.ProduceSync(ctx, records(words[0], 0, given)...).FirstErr(); err != nil {
		return nil, err
	}
	return nil, opened.EndTransaction(ctx, kgo.TransactionEndTry(words[1] == "commit"))
}

func line(record *kgo.Record) string {
	stamp := "-"
	if version != "0.9" {
		stamp = fmt.Sprint("C", record.Timestamp.UnixMilli())
		if record.Attrs.TimestampType() == 1 {
			stamp = "L" + stamp[1:]
		}
	}
	var headers []agent.Header
	for _, header := range record.Headers {
		headers = append(headers, agent.Header{Name: header.Key, Value: header.Value})
	}
	return agent.Line(record.Partition, record.Offset, stamp, record.Key, record.Value, headers)
}

func read(words []string, _ []agent.Record) ([]string, error) {
	offset := kgo.NewOffset().At(agent.Number(words[2]))
	opened, err := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{words[0]: {int32(agent.Number(words[1])): offset}}))
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(agent.Number(words[4]))*time.Second)
	defer cancel()
	var lines []string
	for int64(len(lines)) < agent.Number(words[3]) {
		fetches := opened.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return lines, fmt.Errorf("after %d records: %w", len(lines), err)
		}
		fetches.EachRecord(func(record *kgo.Record) { lines = append(lines, line(record)) })
	}
	return lines, nil
}

func administer(action func(context.Context, *kadm.Client) error) error {
	opened, err := client()
	if err != nil {
		return err
	}
	defer opened.Close()
	ctx, cancel := background()
	defer cancel()
	return action(ctx, kadm.NewClient(opened))
}

func offsetForTime(words []string, _ []agent.Record) (lines []string, err error) {
	err = administer(func(ctx context.Context, admin *kadm.Client) error {
		listed, err := admin.ListOffsetsAfterMilli(ctx, agent.Number(words[2]), words[0])
		if err != nil {
			return err
		}
		found, _ := listed.Lookup(words[0], int32(agent.Number(words[1])))
		// Where no record is that late, kadm answers the end of the log, without a timestamp.
		if found.Timestamp < 0 {
			found.Offset = -1
		}
		lines = []string{strconv.FormatInt(found.Offset, 10)}
		return found.Err
	})
	return lines, err
}

func create(words []string, _ []agent.Record) ([]string, error) {
	return nil, administer(func(ctx context.Context, admin *kadm.Client) error {
		created, err := admin.CreateTopic(ctx, int32(agent.Number(words[1])), 1, nil, words[0])
		if err != nil {
			return err
		}
		return created.Err
	})
}

func remove(words []string, _ []agent.Record) ([]string, error) {
	return nil, administer(func(ctx context.Context, admin *kadm.Client) error {
		_, err := admin.DeleteTopic(ctx, words[0])
		return err
	})
}

// member is a member of a group. It commits what it has seen when it is told to and when partitions are taken from it.
type member struct {
	client *kgo.Client
	lock   sync.Mutex
	owned  map[int32]bool
	log    agent.Log
}

func join(words []string, _ []agent.Record) ([]string, error) {
	joined := &member{owned: map[int32]bool{}}
	opened, err := client(
		kgo.ClientID(words[0]), kgo.ConsumerGroup(words[1]), kgo.ConsumeTopics(words[2]), kgo.Balancers(balancers[words[3]]),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(300*time.Millisecond), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, topics map[string][]int32) { joined.own(topics[words[2]], true) }),
		kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, topics map[string][]int32) {
			if err := client.CommitUncommittedOffsets(ctx); err != nil {
				joined.log.Add("trouble\t" + err.Error())
			}
			joined.own(topics[words[2]], false)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, topics map[string][]int32) { joined.own(topics[words[2]], false) }),
	)
	if err != nil {
		return nil, err
	}
	joined.client = opened
	members[words[0]] = joined
	go joined.poll()
	return nil, nil
}

func (m *member) poll() {
	for {
		fetches := m.client.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		fetches.EachRecord(func(record *kgo.Record) { m.log.Add(line(record)) })
		m.client.AllowRebalance()
	}
}

// own notes that partitions were given or taken.
func (m *member) own(partitions []int32, given bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, partition := range partitions {
		if given {
			m.owned[partition] = true
		} else {
			delete(m.owned, partition)
		}
	}
	var all []int32
	for partition := range m.owned {
		all = append(all, partition)
	}
	slices.Sort(all)
	m.log.Assign(all)
}

func (m *member) commit() error {
	ctx, cancel := background()
	defer cancel()
	return m.client.CommitUncommittedOffsets(ctx)
}

func (m *member) leave() error {
	m.client.CloseAllowingRebalance()
	return nil
}
