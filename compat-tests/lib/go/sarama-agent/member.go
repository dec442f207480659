package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"klamm/compat/agent"
)

// member is a member of a group. It commits what it has seen when it is told to and when a session ends.
type member struct {
	group   sarama.ConsumerGroup
	stop    context.CancelFunc
	ended   chan struct{}
	log     agent.Log
	lock    sync.Mutex
	session sarama.ConsumerGroupSession
}

func join(words []string, _ []agent.Record) ([]string, error) {
	settings := config()
	settings.ClientID = words[0]
	settings.Consumer.Return.Errors = false
	settings.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{balancers[words[3]]}
	group, err := sarama.NewConsumerGroup(addresses, words[1], settings)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	joined := &member{group: group, stop: cancel, ended: make(chan struct{})}
	members[words[0]] = joined
	go func() {
		defer close(joined.ended)
		for ctx.Err() == nil {
			// It returns at every rebalance, and with an error while there is no broker.
			if err := group.Consume(ctx, []string{words[2]}, joined); err != nil {
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	return nil, nil
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	var all []int32
	for _, partitions := range session.Claims() {
		all = append(all, partitions...)
	}
	slices.Sort(all)
	m.log.Assign(all)
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session = session
	return nil
}

func (m *member) Cleanup(session sarama.ConsumerGroupSession) error {
	session.Commit()
	m.log.Assign(nil)
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session = nil
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.log.Add(line(message))
		session.MarkMessage(message, agent.Metadata)
	}
	return nil
}

func (m *member) commit() error {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.session == nil {
		return fmt.Errorf("the member is in no session to commit in")
	}
	m.session.Commit()
	return nil
}

func (m *member) leave() error {
	m.stop()
	err := m.group.Close()
	<-m.ended
	return err
}
