import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * What the tutorials' Java programs do, with the kafka-clients on the class path: producing with callback and acks, consuming
 * with auto commit, commitSync, commitAsync; groups; codecs. For clients from 0.10 on; what newer ones have is in Newer.java.
 * Arguments: bootstrap server, prefix for topics. Prints `ok NAME` per scenario; any failure ends it with a stack trace.
 */
public class Tutorial {
    static String server;
    static String prefix;

    public static void main(String[] args) throws Exception {
        server = args[0];
        prefix = args[1];
        String version = org.apache.kafka.common.utils.AppInfoParser.getVersion();
        System.out.println("kafka-clients " + version);
        produce();
        autoCommit();
        commitSync();
        commitAsync();
        group();
        codecs(version);
        System.exit(0);
    }

    static void ok(String name) {
        System.out.println("ok " + name);
    }

    static void check(boolean condition, String what) {
        if (!condition) throw new AssertionError(what);
    }

    static Properties producing(String... more) {
        Properties props = new Properties();
        props.put("bootstrap.servers", server);
        props.put("acks", "all");
        props.put("retries", 3);
        props.put("batch.size", 16384);
        props.put("linger.ms", 1);
        props.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        props.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        for (int i = 0; i < more.length; i += 2) props.put(more[i], more[i + 1]);
        return props;
    }

    static Properties consuming(String group, String... more) {
        Properties props = new Properties();
        props.put("bootstrap.servers", server);
        props.put("group.id", prefix + group);
        props.put("auto.offset.reset", "earliest");
        props.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        props.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        for (int i = 0; i < more.length; i += 2) props.put(more[i], more[i + 1]);
        return props;
    }

    /** poll(long) until 3.x, poll(Duration) from 2.0 on. */
    @SuppressWarnings("unchecked")
    static ConsumerRecords<String, String> poll(KafkaConsumer<String, String> consumer) {
        try {
            try {
                Method method = KafkaConsumer.class.getMethod("poll", java.time.Duration.class);
                return (ConsumerRecords<String, String>) method.invoke(consumer, java.time.Duration.ofMillis(200));
            } catch (NoSuchMethodException old) {
                return (ConsumerRecords<String, String>) KafkaConsumer.class.getMethod("poll", long.class).invoke(consumer, 200L);
            }
        } catch (ReflectiveOperationException error) {
            throw new RuntimeException(error.getCause() == null ? error : error.getCause());
        }
    }

    static List<ConsumerRecord<String, String>> read(KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> got = new ArrayList<>();
        long deadline = System.currentTimeMillis() + 30_000;
        while (got.size() < count && System.currentTimeMillis() < deadline) for (ConsumerRecord<String, String> record : poll(consumer)) got.add(record);
        check(got.size() == count, got.size() + " of " + count + " records");
        return got;
    }

    static void produce() throws Exception {
        for (String acks : new String[] {"0", "1", "all"}) {
            Properties props = producing("acks", acks);
            if (!acks.equals("all")) props.put("enable.idempotence", "false");
            KafkaProducer<String, String> producer = new KafkaProducer<>(props);
            AtomicInteger answered = new AtomicInteger();
            for (int i = 0; i < 100; i++) {
                producer.send(new ProducerRecord<>(prefix + "first", "k" + i, "v" + i), (meta, error) -> {
                    if (error != null) error.printStackTrace();
                    else answered.incrementAndGet();
                });
            }
            producer.send(new ProducerRecord<>(prefix + "first", "last")).get();
            producer.close();
            check(answered.get() == 100, "callbacks: " + answered.get());
        }
        ok("producer acks 0, 1, all");
    }

    static void autoCommit() throws Exception {
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(consuming("auto", "enable.auto.commit", "true", "auto.commit.interval.ms", "100"));
        consumer.subscribe(Arrays.asList(prefix + "first"));
        read(consumer, 303);
        consumer.close();
        consumer = new KafkaConsumer<>(consuming("auto"));
        TopicPartition part = new TopicPartition(prefix + "first", 0);
        consumer.assign(Collections.singletonList(part));
        check(consumer.position(part) == 303, "position " + consumer.position(part));
        consumer.close();
        ok("auto commit");
    }

    static void commitSync() throws Exception {
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(consuming("sync", "enable.auto.commit", "false"));
        consumer.subscribe(Arrays.asList(prefix + "first"));
        List<ConsumerRecord<String, String>> got = read(consumer, 303);
        consumer.commitSync();
        TopicPartition part = new TopicPartition(prefix + "first", 0);
        consumer.commitSync(Collections.singletonMap(part, new OffsetAndMetadata(got.get(9).offset() + 1, "ten")));
        consumer.seek(part, 300);
        check(read(consumer, 3).get(0).offset() == 300, "seek");
        consumer.seekToBeginning(Collections.singletonList(part));
        check(read(consumer, 303).get(0).offset() == 0, "seek to beginning");
        consumer.close();
        consumer = new KafkaConsumer<>(consuming("sync", "enable.auto.commit", "false"));
        consumer.assign(Collections.singletonList(part));
        check(consumer.position(part) == 10, "position " + consumer.position(part));
        check(consumer.endOffsets(Collections.singletonList(part)).get(part) == 303, "end offset");
        check(consumer.offsetsForTimes(Collections.singletonMap(part, 0L)).get(part).offset() == 0, "offsets for times");
        consumer.close();
        ok("commitSync, seek, offsets");
    }

    static void commitAsync() throws Exception {
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(consuming("async", "enable.auto.commit", "false"));
        consumer.subscribe(Arrays.asList(prefix + "first"));
        read(consumer, 303);
        Map<TopicPartition, OffsetAndMetadata> done = new ConcurrentHashMap<>();
        consumer.commitAsync((offsets, error) -> {
            if (error != null) error.printStackTrace();
            else done.putAll(offsets);
        });
        long deadline = System.currentTimeMillis() + 20_000;
        while (done.isEmpty() && System.currentTimeMillis() < deadline) poll(consumer);
        check(done.values().iterator().next().offset() == 303, "commitAsync");
        consumer.close();
        ok("commitAsync");
    }

    static void group() throws Exception {
        KafkaProducer<String, String> producer = new KafkaProducer<>(producing());
        check(producer.partitionsFor(prefix + "first").size() == 1, "partitions");
        producer.close();
        List<KafkaConsumer<String, String>> members = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            KafkaConsumer<String, String> member = new KafkaConsumer<>(consuming("pair", "session.timeout.ms", "6000", "heartbeat.interval.ms", "300",
                "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RoundRobinAssignor"));
            member.subscribe(Arrays.asList(prefix + "first", prefix + "second"));
            members.add(member);
        }
        new KafkaProducer<>(producing()) {{ send(new ProducerRecord<>(prefix + "second", "x")).get(); close(); }};
        share(members, 1);
        members.remove(0).close();
        share(members, 2);
        members.remove(0).close();
        ok("group of two, one leaves");
    }

    /** Every member polls in a thread of its own (an old one blocks until the group is whole) until each has its share. */
    static void share(List<KafkaConsumer<String, String>> members, int each) throws Exception {
        Map<Integer, Integer> sizes = new ConcurrentHashMap<>();
        java.util.concurrent.atomic.AtomicBoolean done = new java.util.concurrent.atomic.AtomicBoolean();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < members.size(); i++) {
            int n = i;
            Thread thread = new Thread(() -> {
                while (!done.get()) {
                    poll(members.get(n));
                    sizes.put(n, members.get(n).assignment().size());
                }
            });
            thread.start();
            threads.add(thread);
        }
        long deadline = System.currentTimeMillis() + 40_000;
        boolean even = false;
        while (!even && System.currentTimeMillis() < deadline) {
            Thread.sleep(20);
            even = sizes.size() == members.size();
            for (int size : sizes.values()) even &= size == each;
        }
        done.set(true);
        for (Thread thread : threads) thread.join();
        check(even, "an even share: " + sizes);
    }

    static void codecs(String version) throws Exception {
        boolean zstd = !version.matches("(0|1|2\\.0)\\..*");
        for (String codec : zstd ? new String[] {"gzip", "snappy", "lz4", "zstd"} : new String[] {"gzip", "snappy", "lz4"}) {
            KafkaProducer<String, String> producer = new KafkaProducer<>(producing("compression.type", codec, "linger.ms", "50"));
            for (int i = 0; i < 200; i++) producer.send(new ProducerRecord<>(prefix + codec, "k" + i, codec + "-value-" + i));
            producer.close();
            KafkaConsumer<String, String> consumer = new KafkaConsumer<>(consuming(codec));
            consumer.subscribe(Arrays.asList(prefix + codec));
            List<ConsumerRecord<String, String>> got = read(consumer, 200);
            check(got.get(199).value().equals(codec + "-value-199"), codec);
            consumer.close();
        }
        ok("codecs");
    }
}
