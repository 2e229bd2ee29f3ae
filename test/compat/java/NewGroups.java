import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Groups of the new consumer protocol (group.protocol=consumer), for clients from 3.9 on. Arguments and output as in Tutorial.java. */
public class NewGroups extends Tutorial {
    static Admin admin;

    public static void main(String[] args) throws Exception {
        server = args[0];
        prefix = args[1];
        Properties props = new Properties();
        props.put("bootstrap.servers", server);
        admin = Admin.create(props);
        admin.createTopics(Arrays.asList(new NewTopic(prefix + "four", 4, (short) 1), new NewTopic(prefix + "two", 2, (short) 1))).all().get();
        KafkaProducer<String, String> producer = new KafkaProducer<>(producing());
        for (int i = 0; i < 100; i++) producer.send(new ProducerRecord<>(prefix + "four", i % 4, "k", "v" + i)).get();
        producer.close();
        commits();
        pair("uniform");
        pair("range");
        staticMember();
        grows();
        changesItsMind();
        transaction();
        described();
        migrated();
        if (hasPatterns()) pattern();
        System.exit(0);
    }

    static KafkaConsumer<String, String> member(String group, String... more) {
        Properties props = consuming(group, more);
        props.put("group.protocol", "consumer");
        return new KafkaConsumer<>(props);
    }

    /** Polls until so many partitions are assigned. */
    static void assigned(KafkaConsumer<String, String> consumer, int count) {
        long deadline = System.currentTimeMillis() + 40_000;
        while (consumer.assignment().size() != count && System.currentTimeMillis() < deadline) poll(consumer);
        check(consumer.assignment().size() == count, "assigned " + consumer.assignment());
    }

    static void commits() {
        KafkaConsumer<String, String> consumer = member("commits", "enable.auto.commit", "false");
        consumer.subscribe(Arrays.asList(prefix + "four"));
        read(consumer, 100);
        consumer.commitSync();
        consumer.close();
        consumer = member("commits", "enable.auto.commit", "true", "auto.commit.interval.ms", "100");
        consumer.subscribe(Arrays.asList(prefix + "four"));
        assigned(consumer, 4);
        for (TopicPartition part : consumer.assignment()) check(consumer.position(part) == 25, "position of " + part);
        consumer.seekToBeginning(consumer.assignment());
        List<ConsumerRecord<String, String>> got = read(consumer, 100);
        check(got.size() == 100, "read again");
        consumer.close();
        ok("commitSync, auto commit, seek");
    }

    static void pair(String assignor) throws Exception {
        List<KafkaConsumer<String, String>> members = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            KafkaConsumer<String, String> member = member("pair-" + assignor, "group.remote.assignor", assignor);
            member.subscribe(Arrays.asList(prefix + "four", prefix + "two"));
            members.add(member);
        }
        share(members, 3);
        List<TopicPartition> all = new ArrayList<>(members.get(0).assignment());
        all.retainAll(members.get(1).assignment());
        check(all.isEmpty(), "both have " + all);
        members.remove(0).close();
        share(members, 6);
        members.remove(0).close();
        ok("group of two, one leaves: " + assignor);
    }

    static void staticMember() throws Exception {
        KafkaConsumer<String, String> first = member("static", "group.instance.id", "one");
        KafkaConsumer<String, String> second = member("static", "group.instance.id", "two");
        for (KafkaConsumer<String, String> member : Arrays.asList(first, second)) member.subscribe(Arrays.asList(prefix + "four"));
        share(Arrays.asList(first, second), 2);
        Collection<TopicPartition> before = new ArrayList<>(first.assignment());
        first.close();
        first = member("static", "group.instance.id", "one");
        first.subscribe(Arrays.asList(prefix + "four"));
        assigned(first, 2);
        check(first.assignment().containsAll(before), "the same partitions: " + first.assignment());
        first.close();
        second.close();
        ok("static members");
    }

    static void grows() throws Exception {
        KafkaConsumer<String, String> consumer = member("grows", "metadata.max.age.ms", "500");
        consumer.subscribe(Arrays.asList(prefix + "two"));
        assigned(consumer, 2);
        admin.createPartitions(Collections.singletonMap(prefix + "two", NewPartitions.increaseTo(3))).all().get();
        assigned(consumer, 3);
        consumer.close();
        ok("new partitions");
    }

    static void changesItsMind() {
        KafkaConsumer<String, String> consumer = member("mind");
        consumer.subscribe(Arrays.asList(prefix + "two"));
        assigned(consumer, 3);
        consumer.subscribe(Arrays.asList(prefix + "four"));
        assigned(consumer, 4);
        consumer.unsubscribe();
        check(consumer.assignment().isEmpty(), "unsubscribed");
        consumer.subscribe(Arrays.asList(prefix + "two", prefix + "four"));
        assigned(consumer, 7);
        consumer.close();
        ok("subscribe, unsubscribe");
    }

    static void transaction() throws Exception {
        KafkaConsumer<String, String> consumer = member("tx", "enable.auto.commit", "false");
        consumer.subscribe(Arrays.asList(prefix + "four"));
        read(consumer, 100);
        KafkaProducer<String, String> producer = new KafkaProducer<>(producing("transactional.id", prefix + "new-tx"));
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(prefix + "tx-out", "x")).get();
        TopicPartition part = new TopicPartition(prefix + "four", 0);
        producer.sendOffsetsToTransaction(Collections.singletonMap(part, new OffsetAndMetadata(17)), consumer.groupMetadata());
        producer.commitTransaction();
        producer.close();
        check(consumer.committed(Collections.singleton(part)).get(part).offset() == 17, "offset of the transaction");
        consumer.close();
        ok("offsets in a transaction");
    }

    static void described() throws Exception {
        KafkaConsumer<String, String> consumer = member("described", "client.id", "me");
        consumer.subscribe(Arrays.asList(prefix + "four"));
        assigned(consumer, 4);
        String group = prefix + "described";
        ConsumerGroupDescription description = admin.describeConsumerGroups(Collections.singletonList(group)).all().get().get(group);
        check(description.type().toString().equals("Consumer"), "type " + description.type());
        check(description.partitionAssignor().equals("uniform"), "assignor " + description.partitionAssignor());
        check(description.members().size() == 1, "members " + description.members());
        check(description.members().iterator().next().assignment().topicPartitions().size() == 4, "assignment");
        boolean found = admin.listConsumerGroups().all().get().stream().anyMatch(one -> one.groupId().equals(group) && one.type().get().toString().equals("Consumer"));
        check(found, "listed");
        check(admin.describeFeatures().featureMetadata().get().finalizedFeatures().get("group.version").maxVersionLevel() == 1, "feature");
        consumer.close();
        long deadline = System.currentTimeMillis() + 20_000;
        while (!admin.describeConsumerGroups(Collections.singletonList(group)).all().get().get(group).members().isEmpty()) {
            check(System.currentTimeMillis() < deadline, "the member has left");
            Thread.sleep(50);
        }
        admin.deleteConsumerGroups(Collections.singletonList(group)).all().get();
        ok("admin: describe, list, delete");
    }

    /** A group goes over to the new protocol and back while it has no members; offsets stay. */
    static void migrated() {
        for (String protocol : new String[] {"classic", "consumer", "classic"}) {
            KafkaConsumer<String, String> consumer = new KafkaConsumer<>(consuming("migrated", "group.protocol", protocol, "enable.auto.commit", "false"));
            consumer.subscribe(Arrays.asList(prefix + "four"));
            assigned(consumer, 4);
            TopicPartition part = new TopicPartition(prefix + "four", 1);
            OffsetAndMetadata before = consumer.committed(Collections.singleton(part)).get(part);
            long offset = before == null ? 0 : before.offset();
            consumer.commitSync(Collections.singletonMap(part, new OffsetAndMetadata(offset + 1)));
            check(offset == (before == null ? 0 : offset), "offsets stay");
            consumer.close();
        }
        KafkaConsumer<String, String> last = new KafkaConsumer<>(consuming("migrated"));
        TopicPartition part = new TopicPartition(prefix + "four", 1);
        check(last.committed(Collections.singleton(part)).get(part).offset() == 3, "three commits, one after the other");
        last.close();
        ok("from one protocol to the other");
    }

    static boolean hasPatterns() {
        try {
            Class.forName("org.apache.kafka.clients.consumer.SubscriptionPattern");
            return true;
        } catch (ClassNotFoundException older) {
            return false;
        }
    }

    static void pattern() throws Exception {
        Class<?> type = Class.forName("org.apache.kafka.clients.consumer.SubscriptionPattern");
        Method subscribe = KafkaConsumer.class.getMethod("subscribe", type);
        KafkaConsumer<String, String> consumer = member("pattern", "metadata.max.age.ms", "500");
        subscribe.invoke(consumer, type.getConstructor(String.class).newInstance(prefix + "(four|late)"));
        assigned(consumer, 4);
        admin.createTopics(Collections.singletonList(new NewTopic(prefix + "late", 1, (short) 1))).all().get();
        assigned(consumer, 5);
        consumer.close();
        consumer = member("bad-pattern");
        subscribe.invoke(consumer, type.getConstructor(String.class).newInstance("a("));
        boolean refused = false;
        long deadline = System.currentTimeMillis() + 20_000;
        while (!refused && System.currentTimeMillis() < deadline) {
            try {
                poll(consumer);
            } catch (RuntimeException error) {
                refused = (error + " " + error.getCause()).contains("InvalidRegularExpression");
                if (!refused) throw error;
            }
        }
        check(refused, "a bad pattern is refused");
        consumer.close();
        ok("regular expressions");
    }
}
