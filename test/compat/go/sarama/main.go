// sarama, speaking as several protocol versions, against the broker named on the command line. Prints `ok NAME` per scenario.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

type handler struct {
	seen   func()
	setups chan int
}

func (h handler) Setup(s sarama.ConsumerGroupSession) error {
	n := 0
	for _, p := range s.Claims() {
		n += len(p)
	}
	h.setups <- n
	return nil
}
func (handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (h handler) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for m := range c.Messages() {
		s.MarkMessage(m, "")
		h.seen()
	}
	return nil
}

func main() {
	addr := []string{os.Args[1]}
	for _, version := range []sarama.KafkaVersion{sarama.V0_10_2_0, sarama.V1_0_0_0, sarama.V2_1_0_0, sarama.V3_6_0_0, sarama.MaxVersion} {
		topic := "sarama-" + strings.ReplaceAll(version.String(), ".", "_")
		cfg := sarama.NewConfig()
		cfg.Version = version
		cfg.Producer.Return.Successes = true
		cfg.Producer.RequiredAcks = sarama.WaitForAll
		cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
		cfg.Consumer.Group.Session.Timeout = 6 * time.Second
		cfg.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
		admin, err := sarama.NewClusterAdmin(addr, cfg)
		must(err)
		must(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false))
		described, err := admin.DescribeTopics([]string{topic})
		must(err)
		if len(described[0].Partitions) != 2 {
			log.Fatal("partitions of ", topic)
		}
		total := 0
		codecs := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4}
		if version.IsAtLeast(sarama.V2_1_0_0) {
			codecs = append(codecs, sarama.CompressionZSTD)
		}
		for _, codec := range codecs {
			pc := *cfg
			pc.Producer.Compression = codec
			p, err := sarama.NewSyncProducer(addr, &pc)
			must(err)
			for i := 0; i < 20; i++ {
				_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fmt.Sprint(i)), Value: sarama.StringEncoder(strings.Repeat("v", 100))})
				must(err)
				total++
			}
			must(p.Close())
		}
		if version.IsAtLeast(sarama.V0_11_0_0) {
			pc := *cfg
			pc.Producer.Idempotent = true
			pc.Net.MaxOpenRequests = 1
			pc.Producer.Transaction.ID = topic
			p, err := sarama.NewSyncProducer(addr, &pc)
			must(err)
			for _, commit := range []bool{true, false} {
				must(p.BeginTxn())
				_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("tx")})
				must(err)
				if commit {
					must(p.CommitTxn())
					total++
				} else {
					must(p.AbortTxn())
				}
			}
			must(p.Close())
			cfg.Consumer.IsolationLevel = sarama.ReadCommitted
		}
		fmt.Println("ok producer", version)

		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		var lock sync.Mutex
		count := 0
		setups := make(chan int, 100)
		all := make(chan bool, 1)
		h := handler{setups: setups, seen: func() {
			lock.Lock()
			defer lock.Unlock()
			if count++; count == total {
				all <- true
			}
		}}
		var groups []sarama.ConsumerGroup
		for i := 0; i < 2; i++ {
			g, err := sarama.NewConsumerGroup(addr, topic, cfg)
			must(err)
			groups = append(groups, g)
			go func() {
				for ctx.Err() == nil {
					if err := g.Consume(ctx, []string{topic}, h); err != nil {
						return
					}
				}
			}()
		}
		select {
		case <-all:
		case <-ctx.Done():
			log.Fatalf("%d of %d messages with %s", count, total, version)
		}
		for even := 0; even < 2; {
			select {
			case n := <-setups:
				if n == 1 {
					even++
				} else {
					even = 0
				}
			case <-ctx.Done():
				log.Fatal("no even share with ", version)
			}
		}
		cancel()
		for _, g := range groups {
			must(g.Close())
		}
		time.Sleep(100 * time.Millisecond)
		if count != total {
			log.Fatalf("%d of %d messages with %s", count, total, version)
		}
		offsets, err := admin.ListConsumerGroupOffsets(topic, map[string][]int32{topic: {0, 1}})
		must(err)
		if b := offsets.GetBlock(topic, 0); b == nil || b.Offset <= 0 {
			log.Fatal("nothing committed with ", version)
		}
		must(admin.DeleteTopic(topic))
		must(admin.Close())
		fmt.Println("ok group", version)
	}
}
