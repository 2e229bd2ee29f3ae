import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeader;

/** Headers, transactions and the admin client, for clients from 1.1 on. Arguments and output as in Tutorial.java. */
public class Newer extends Tutorial {
    public static void main(String[] args) throws Exception {
        server = args[0];
        prefix = args[1];
        transactions();
        fencing();
        admin();
        System.exit(0);
    }

    static void transactions() throws Exception {
        KafkaProducer<String, String> producer = new KafkaProducer<>(producing("transactional.id", prefix + "tx"));
        producer.initTransactions();
        TopicPartition in = new TopicPartition(prefix + "first", 0);
        for (String value : new String[] {"one", "two", "three"}) {
            producer.beginTransaction();
            ProducerRecord<String, String> record = new ProducerRecord<>(prefix + "out", value);
            record.headers().add(new RecordHeader("h", new byte[] {1}));
            producer.send(record).get();
            if (value.equals("two")) {
                producer.abortTransaction();
                continue;
            }
            Map<TopicPartition, OffsetAndMetadata> offsets = Collections.singletonMap(in, new OffsetAndMetadata(value.length()));
            sendOffsets(producer, offsets);
            producer.commitTransaction();
        }
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(consuming("committed", "isolation.level", "read_committed"));
        consumer.subscribe(Arrays.asList(prefix + "out"));
        List<ConsumerRecord<String, String>> got = read(consumer, 2);
        check(got.get(0).value().equals("one") && got.get(1).value().equals("three"), "committed values");
        check(got.get(0).headers().lastHeader("h").value()[0] == 1, "headers");
        consumer.close();
        consumer = new KafkaConsumer<>(consuming("uncommitted"));
        consumer.subscribe(Arrays.asList(prefix + "out"));
        read(consumer, 3);
        consumer.close();
        consumer = new KafkaConsumer<>(consuming("tx-group"));
        consumer.assign(Collections.singletonList(in));
        check(consumer.position(in) == 5, "offset sent with the transaction: " + consumer.position(in));
        consumer.close();
        producer.close();
        ok("transactions with offsets, read_committed");
    }

    static void sendOffsets(KafkaProducer<String, String> producer, Map<TopicPartition, OffsetAndMetadata> offsets) throws Exception {
        try {
            KafkaProducer.class.getMethod("sendOffsetsToTransaction", Map.class, String.class).invoke(producer, offsets, prefix + "tx-group");
        } catch (NoSuchMethodException newer) {
            Class<?> meta = Class.forName("org.apache.kafka.clients.consumer.ConsumerGroupMetadata");
            Object group = meta.getConstructor(String.class).newInstance(prefix + "tx-group");
            KafkaProducer.class.getMethod("sendOffsetsToTransaction", Map.class, meta).invoke(producer, offsets, group);
        }
    }

    static void fencing() throws Exception {
        KafkaProducer<String, String> old = new KafkaProducer<>(producing("transactional.id", prefix + "fence"));
        old.initTransactions();
        old.beginTransaction();
        old.send(new ProducerRecord<>(prefix + "fenced", "old")).get();
        KafkaProducer<String, String> young = new KafkaProducer<>(producing("transactional.id", prefix + "fence"));
        young.initTransactions();
        boolean fenced = false;
        try {
            old.commitTransaction();
        } catch (org.apache.kafka.common.KafkaException error) {
            fenced = (error + " " + error.getCause()).matches("(?s).*(Fenced|Epoch).*");
        }
        check(fenced, "the old producer was fenced");
        young.beginTransaction();
        young.send(new ProducerRecord<>(prefix + "fenced", "young")).get();
        young.commitTransaction();
        young.close();
        old.close();
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(consuming("fenced", "isolation.level", "read_committed"));
        consumer.subscribe(Arrays.asList(prefix + "fenced"));
        check(read(consumer, 1).get(0).value().equals("young"), "only the young one's record");
        consumer.close();
        ok("fencing");
    }

    static void admin() throws Exception {
        Properties props = new Properties();
        props.put("bootstrap.servers", server);
        try (org.apache.kafka.clients.admin.AdminClient admin = org.apache.kafka.clients.admin.AdminClient.create(props)) {
            String topic = prefix + "admin";
            admin.createTopics(Collections.singletonList(new org.apache.kafka.clients.admin.NewTopic(topic, 2, (short) 1))).all().get();
            check(admin.listTopics().names().get().contains(topic), "list");
            Object description = admin.describeTopics(Collections.singletonList(topic));
            check(description != null, "describe");
            org.apache.kafka.common.config.ConfigResource resource =
                new org.apache.kafka.common.config.ConfigResource(org.apache.kafka.common.config.ConfigResource.Type.TOPIC, topic);
            check(admin.describeConfigs(Collections.singletonList(resource)).all().get().get(resource).get("retention.ms").value().equals("604800000"), "configs");
            admin.createPartitions(Collections.singletonMap(topic, org.apache.kafka.clients.admin.NewPartitions.increaseTo(4))).all().get();
            check(admin.describeCluster().nodes().get().size() == 1, "cluster");
            try {
                admin.createTopics(Collections.singletonList(new org.apache.kafka.clients.admin.NewTopic(topic + "2", 1, (short) 2))).all().get();
                check(false, "two replicas must be refused");
            } catch (java.util.concurrent.ExecutionException expected) {
                check(expected.getCause() instanceof org.apache.kafka.common.errors.InvalidReplicationFactorException, "two replicas: " + expected.getCause());
            }
            admin.deleteTopics(Collections.singletonList(topic)).all().get();
            check(!admin.listTopics().names().get().contains(topic), "delete");
        }
        ok("admin");
    }
}
