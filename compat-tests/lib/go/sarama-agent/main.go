// An agent on sarama, told to speak to a broker of an old version: sarama-agent VERSION.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"klamm/compat/agent"
)

var versions = map[string]sarama.KafkaVersion{
	"0.9": sarama.V0_9_0_1, "0.10": sarama.V0_10_2_0, "0.11": sarama.V0_11_0_0, "1.0": sarama.V1_0_0_0, "2.0": sarama.V2_0_0_0,
}

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4,
}

var balancers = map[string]sarama.BalanceStrategy{
	"RangeAssignor": sarama.NewBalanceStrategyRange(), "RoundRobinAssignor": sarama.NewBalanceStrategyRoundRobin(),
}

var (
	addresses = []string{agent.Bootstrap}
	version   = versions[os.Args[1]]
	members   = map[string]*member{}
)

func main() {
	agent.Serve(map[string]agent.Command{
		"produce":   produce,
		"read":      read,
		"time":      offsetForTime,
		"join":      join,
		"look":      func(words []string, _ []agent.Record) ([]string, error) { return members[words[0]].log.Look(), nil },
		"commit":    func(words []string, _ []agent.Record) ([]string, error) { return nil, members[words[0]].commit() },
		"leave":     func(words []string, _ []agent.Record) ([]string, error) { return nil, members[words[0]].leave() },
		"committed": committed,
		"create":    create,
		"delete":    remove,
	})
}

func config() *sarama.Config {
	settings := sarama.NewConfig()
	settings.Version = version
	// As a client of that time, it asks for versions only if they had that.
	settings.ApiVersionsRequest = version.IsAtLeast(sarama.V0_10_0_0)
	settings.Producer.Return.Successes = true
	settings.Producer.RequiredAcks = sarama.WaitForAll
	settings.Producer.Partitioner = sarama.NewManualPartitioner
	settings.Producer.MaxMessageBytes = agent.LargestMessage
	// Several batches to a test, each of several records.
	settings.Producer.Flush.Messages, settings.Producer.Flush.MaxMessages, settings.Producer.Flush.Frequency = 25, 25, 20*time.Millisecond
	settings.Producer.Retry.Max, settings.Producer.Retry.Backoff = 100, 200*time.Millisecond
	settings.Consumer.Return.Errors = true
	settings.Consumer.MaxWaitTime = 100 * time.Millisecond
	settings.Consumer.Fetch.Default = agent.LargestMessage
	settings.Consumer.Offsets.Initial = sarama.OffsetOldest
	settings.Consumer.Offsets.AutoCommit.Enable = false
	settings.Consumer.Group.Session.Timeout, settings.Consumer.Group.Heartbeat.Interval = 6*time.Second, 300*time.Millisecond
	if version.IsAtLeast(sarama.V0_11_0_0) {
		settings.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	return settings
}

func produce(words []string, given []agent.Record) ([]string, error) {
	settings := config()
	settings.Producer.Compression = codecs[words[2]]
	producer, err := sarama.NewSyncProducer(addresses, settings)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for _, record := range given {
		message := &sarama.ProducerMessage{Topic: words[0], Partition: int32(agent.Number(words[1]))}
		if record.Timestamp != nil {
			message.Timestamp = *record.Timestamp
		}
		if record.Key != nil {
			message.Key = sarama.ByteEncoder(record.Key)
		}
		if record.Value != nil {
			message.Value = sarama.ByteEncoder(record.Value)
		}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(header.Name), Value: header.Value})
		}
		messages = append(messages, message)
	}
	if err := producer.SendMessages(messages); err != nil {
		var failed sarama.ProducerErrors
		if errors.As(err, &failed) {
			err = failed[0]
		}
		return nil, err
	}
	var offsets []string
	for _, message := range messages {
		offsets = append(offsets, strconv.FormatInt(message.Offset, 10))
	}
	return offsets, nil
}

func line(message *sarama.ConsumerMessage) string {
	stamp := "-"
	if version.IsAtLeast(sarama.V0_10_0_0) {
		stamp = "?-1"
		if !message.Timestamp.IsZero() {
			stamp = fmt.Sprint("?", message.Timestamp.UnixMilli())
		}
	}
	var headers []agent.Header
	for _, header := range message.Headers {
		headers = append(headers, agent.Header{Name: string(header.Key), Value: header.Value})
	}
	return agent.Line(message.Partition, message.Offset, stamp, message.Key, message.Value, headers)
}

func read(words []string, _ []agent.Record) ([]string, error) {
	consumer, err := sarama.NewConsumer(addresses, config())
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(words[0], int32(agent.Number(words[1])), agent.Number(words[2]))
	if err != nil {
		return nil, err
	}
	defer partition.AsyncClose()
	var lines []string
	deadline := time.After(time.Duration(agent.Number(words[4])) * time.Second)
	for int64(len(lines)) < agent.Number(words[3]) {
		select {
		case message := <-partition.Messages():
			lines = append(lines, line(message))
		case failed := <-partition.Errors():
			return lines, failed
		case <-deadline:
			return lines, fmt.Errorf("only %d records came", len(lines))
		}
	}
	return lines, nil
}

func offsetForTime(words []string, _ []agent.Record) ([]string, error) {
	client, err := sarama.NewClient(addresses, config())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	offset, err := client.GetOffset(words[0], int32(agent.Number(words[1])), agent.Number(words[2]))
	return []string{fmt.Sprint(offset)}, err
}

func committed(words []string, _ []agent.Record) ([]string, error) {
	client, err := sarama.NewClient(addresses, config())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	manager, err := sarama.NewOffsetManagerFromClient(words[0], client)
	if err != nil {
		return nil, err
	}
	defer manager.Close()
	partition, err := manager.ManagePartition(words[1], int32(agent.Number(words[2])))
	if err != nil {
		return nil, err
	}
	// The manager closes it.
	defer partition.AsyncClose()
	offset, metadata := partition.NextOffset()
	if offset < 0 {
		return []string{"-"}, nil
	}
	return []string{fmt.Sprint(offset, "\t", metadata)}, nil
}

func administer(action func(sarama.ClusterAdmin) error) error {
	admin, err := sarama.NewClusterAdmin(addresses, config())
	if err != nil {
		return err
	}
	defer admin.Close()
	return action(admin)
}

func create(words []string, _ []agent.Record) ([]string, error) {
	return nil, administer(func(admin sarama.ClusterAdmin) error {
		detail := &sarama.TopicDetail{NumPartitions: int32(agent.Number(words[1])), ReplicationFactor: 1}
		return admin.CreateTopic(words[0], detail, false)
	})
}

func remove(words []string, _ []agent.Record) ([]string, error) {
	return nil, administer(func(admin sarama.ClusterAdmin) error { return admin.DeleteTopic(words[0]) })
}
