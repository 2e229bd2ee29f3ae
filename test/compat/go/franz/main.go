// franz-go against the broker named on the command line. Prints `ok NAME` per scenario; any failure ends it.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func ok(name string) { fmt.Println("ok", name) }

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func client(opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(os.Args[1]), kgo.AllowAutoTopicCreation()}, opts...)...)
	must(err)
	return cl
}

func read(ctx context.Context, count int, opts ...kgo.Opt) []*kgo.Record {
	cl := client(append(opts, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	defer cl.Close()
	var out []*kgo.Record
	for len(out) < count {
		fetches := cl.PollFetches(ctx)
		for _, e := range fetches.Errors() {
			log.Fatal(e.Topic, e.Err)
		}
		out = append(out, fetches.Records()...)
	}
	if len(out) != count {
		log.Fatalf("%d of %d records", len(out), count)
	}
	cl.CommitUncommittedOffsets(ctx)
	return out
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	adm := kadm.NewClient(client())
	defer adm.Close()
	_, err := adm.CreateTopic(ctx, 3, 1, nil, "fz")
	must(err)
	ok("admin create")

	for _, opts := range [][]kgo.Opt{
		{kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()},
		{kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()},
		{},
		{kgo.ProducerBatchCompression(kgo.GzipCompression())},
		{kgo.ProducerBatchCompression(kgo.SnappyCompression())},
		{kgo.ProducerBatchCompression(kgo.Lz4Compression())},
		{kgo.ProducerBatchCompression(kgo.ZstdCompression())},
	} {
		cl := client(opts...)
		for i := 0; i < 30; i++ {
			must(cl.ProduceSync(ctx, &kgo.Record{Topic: "fz", Key: []byte(fmt.Sprint("k", i)), Value: make([]byte, 100), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}}}).FirstErr())
		}
		cl.Close()
	}
	ok("producer acks 0, 1, all idempotent; gzip, snappy, lz4, zstd")

	read(ctx, 210, kgo.ConsumeTopics("fz"))
	ok("consumer")
	read(ctx, 210, kgo.ConsumeTopics("fz"), kgo.ConsumerGroup("fzg"))
	offsets, err := adm.FetchOffsets(ctx, "fzg")
	must(err)
	sum := int64(0)
	offsets.Each(func(o kadm.OffsetResponse) { sum += o.At })
	if sum != 210 {
		log.Fatal("committed ", sum)
	}
	lags, err := adm.Lag(ctx, "fzg")
	must(err)
	if lags["fzg"].Lag.Total() != 0 {
		log.Fatal("lag ", lags["fzg"].Lag.Total())
	}
	ok("group, commit, lag")

	var members []*kgo.Client
	for i := 0; i < 3; i++ {
		cl := client(kgo.ConsumeTopics("fz"), kgo.ConsumerGroup("fz3"), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(300*time.Millisecond))
		members = append(members, cl)
		go func() {
			for !cl.PollFetches(ctx).IsClientClosed() {
			}
		}()
	}
	for {
		groups, err := adm.DescribeGroups(ctx, "fz3")
		must(err)
		g := groups["fz3"]
		even := g.State == "Stable" && len(g.Members) == 3
		for _, m := range g.Members {
			c, has := m.Assigned.AsConsumer()
			even = even && has && len(c.Topics) == 1 && len(c.Topics[0].Partitions) == 1
		}
		if even {
			break
		}
		time.Sleep(50 * time.Millisecond)
		must(ctx.Err())
	}
	for _, m := range members {
		m.Close()
	}
	ok("three members, cooperative")

	tx := client(kgo.TransactionalID("fz-tx"))
	for _, value := range []string{"one", "two", "three"} {
		must(tx.BeginTransaction())
		must(tx.ProduceSync(ctx, &kgo.Record{Topic: "fz-out", Value: []byte(value)}).FirstErr())
		must(tx.EndTransaction(ctx, kgo.TransactionEndTry(value != "two")))
	}
	tx.Close()
	got := read(ctx, 2, kgo.ConsumeTopics("fz-out"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if string(got[0].Value) != "one" || string(got[1].Value) != "three" {
		log.Fatal("committed values")
	}
	ok("transactions")

	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(os.Args[1]), kgo.TransactionalID("fz-eos"), kgo.ConsumerGroup("fz-eos"), kgo.ConsumeTopics("fz"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets(), kgo.AllowAutoTopicCreation())
	must(err)
	copied := 0
	for copied < 210 {
		fetches := session.PollFetches(ctx)
		must(session.Begin())
		fetches.EachRecord(func(r *kgo.Record) {
			copied++
			session.Produce(ctx, &kgo.Record{Topic: "fz-copy", Value: r.Value}, nil)
		})
		committed, err := session.End(ctx, kgo.TryCommit)
		must(err)
		if !committed {
			log.Fatal("not committed")
		}
	}
	session.Close()
	read(ctx, 210, kgo.ConsumeTopics("fz-copy"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	ok("read, process, write in transactions")

	_, err = adm.ListEndOffsets(ctx, "fz")
	must(err)
	_, err = adm.ListOffsetsAfterMilli(ctx, 0, "fz")
	must(err)
	_, err = adm.DescribeTopicConfigs(ctx, "fz")
	must(err)
	_, err = adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("60000")}}, "fz")
	must(err)
	_, err = adm.CreatePartitions(ctx, 1, "fz")
	must(err)
	_, err = adm.DescribeAllLogDirs(ctx, nil)
	must(err)
	_, err = adm.ListTransactions(ctx, nil, nil)
	must(err)
	_, err = adm.DeleteGroups(ctx, "fzg")
	must(err)
	_, err = adm.DeleteTopics(ctx, "fz-out")
	must(err)
	ok("admin offsets, configs, partitions, log dirs, transactions, groups, delete")
}
