import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;

/**
 * Two members of a group are replaced one by one, from group.protocol=classic to consumer and back, under a running producer:
 * every record is read, and no committed offset goes back. For clients from 3.9 on. Arguments and output as in Tutorial.java.
 */
public class Rolling extends Tutorial {
    static final int PARTITIONS = 4;
    static final String ASSIGNORS = "org.apache.kafka.clients.consumer.";
    static Admin admin;

    public static void main(String[] args) throws Exception {
        server = args[0];
        prefix = args[1];
        Properties props = new Properties();
        props.put("bootstrap.servers", server);
        admin = Admin.create(props);
        new Rolling("default", null, false).roll();
        new Rolling("eager", ASSIGNORS + "RangeAssignor", true).roll();
        new Rolling("cooperative", ASSIGNORS + "CooperativeStickyAssignor", true).roll();
        System.exit(0);
    }

    final String name;
    final String assignor;
    /** Whether a successor comes before its predecessor goes. */
    final boolean overlaps;
    final String topic;
    final Set<String> seen = ConcurrentHashMap.newKeySet();
    final List<Member> members = new ArrayList<>();
    volatile int written = 0;
    volatile boolean running = true;
    volatile Throwable failure;

    Rolling(String name, String assignor, boolean overlaps) {
        this.name = name;
        this.assignor = assignor;
        this.overlaps = overlaps;
        this.topic = prefix + name;
    }

    void roll() throws Exception {
        admin.createTopics(Collections.singletonList(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
        Thread producer = start(this::write);
        Thread watcher = start(this::watch);
        members.add(new Member("classic"));
        members.add(new Member("classic"));
        settled("Classic");
        replace("consumer");
        settled("Consumer");
        replace("consumer");
        settled("Consumer");
        replace("classic");
        settled("Consumer");
        replace("classic");
        settled("Classic");
        running = false;
        producer.join();
        watcher.join();
        long deadline = System.currentTimeMillis() + 30_000;
        while (seen.size() < written && System.currentTimeMillis() < deadline) Thread.sleep(20);
        check(seen.size() == written, "read " + seen.size() + " of " + written);
        while (!members.isEmpty()) members.remove(0).close();
        if (failure != null) throw new AssertionError(name, failure);
        ok("member by member to the new protocol and back: " + name);
    }

    interface Work {
        void run() throws Exception;
    }

    Thread start(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Throwable error) {
                failure = error;
            }
        });
        thread.start();
        return thread;
    }

    void write() throws Exception {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(producing())) {
            while (running) {
                producer.send(new ProducerRecord<>(topic, written % PARTITIONS, "k", "v" + written)).get();
                written++;
                Thread.sleep(2);
            }
        }
    }

    void watch() throws Exception {
        Map<TopicPartition, Long> last = new HashMap<>();
        while (running) {
            Map<TopicPartition, OffsetAndMetadata> now = admin.listConsumerGroupOffsets(prefix + name).partitionsToOffsetAndMetadata().get();
            now.forEach((part, offset) -> {
                if (offset == null) return;
                Long before = last.put(part, offset.offset());
                check(before == null || before <= offset.offset(), part + " went back from " + before + " to " + offset.offset());
            });
            Thread.sleep(50);
        }
    }

    void replace(String protocol) throws Exception {
        if (overlaps) members.add(new Member(protocol));
        if (overlaps) shared();
        members.remove(0).close();
        if (!overlaps) members.add(new Member(protocol));
    }

    /** Every partition has one reader, and everybody reads. */
    void shared() throws Exception {
        long deadline = System.currentTimeMillis() + 60_000;
        while (true) {
            if (failure != null) throw new AssertionError(name, failure);
            Set<TopicPartition> all = new HashSet<>();
            int count = 0;
            boolean idle = false;
            for (Member one : members) {
                Set<TopicPartition> has = one.has;
                all.addAll(has);
                count += has.size();
                idle |= has.isEmpty();
            }
            if (!idle && count == PARTITIONS && all.size() == PARTITIONS) return;
            check(System.currentTimeMillis() < deadline, "the partitions have readers: " + all);
            Thread.sleep(20);
        }
    }

    void settled(String type) throws Exception {
        shared();
        int from = seen.size();
        long deadline = System.currentTimeMillis() + 60_000;
        while (true) {
            boolean is = admin.listConsumerGroups().all().get().stream()
                .anyMatch(one -> one.groupId().equals(prefix + name) && one.type().get().toString().equals(type));
            if (is && seen.size() > from + 50) return;
            if (failure != null) throw new AssertionError(name, failure);
            check(System.currentTimeMillis() < deadline, "the group is of type " + type + " and reads");
            Thread.sleep(20);
        }
    }

    class Member {
        final String protocol;
        volatile Set<TopicPartition> has = Collections.emptySet();
        volatile boolean open = true;
        final Thread thread;

        Member(String protocol) {
            this.protocol = protocol;
            this.thread = start(this::live);
        }

        void live() {
            Properties props = consuming(name, "group.protocol", protocol, "enable.auto.commit", "false");
            if (protocol.equals("classic")) {
                props.put("heartbeat.interval.ms", "200");
                props.put("session.timeout.ms", "10000");
                if (assignor != null) props.put("partition.assignment.strategy", assignor);
            }
            try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(props)) {
                consumer.subscribe(Arrays.asList(topic));
                while (open) {
                    for (ConsumerRecord<String, String> record : poll(consumer)) seen.add(record.value());
                    has = new HashSet<>(consumer.assignment());
                    try {
                        consumer.commitSync();
                    } catch (CommitFailedException | RebalanceInProgressException rebalancing) {
                        // What it read belongs to a generation that is over: whoever reads on commits.
                        has = Collections.emptySet();
                    }
                }
            }
        }

        void close() throws Exception {
            open = false;
            thread.join();
        }
    }
}
