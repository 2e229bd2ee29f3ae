import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * What Flume 1.7 and 1.8 do with kafka-clients 0.9: messages of format 0, no ApiVersions request, groups, commitSync.
 * Arguments: bootstrap server, prefix for topics. Prints `ok NAME` per scenario; any failure ends it with a stack trace.
 */
public class Oldest {
    public static void main(String[] args) throws Exception {
        String topic = args[1] + "old";
        Properties props = new Properties();
        props.put("bootstrap.servers", args[0]);
        props.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        props.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        for (String codec : new String[] {"none", "gzip", "snappy"}) {
            for (String acks : new String[] {"0", "1", "all"}) {
                props.put("acks", acks);
                props.put("compression.type", codec);
                props.put("linger.ms", "20");
                KafkaProducer<String, String> producer = new KafkaProducer<>(props);
                for (int i = 0; i < 50; i++) producer.send(new ProducerRecord<>(topic, "k" + i, codec + acks + i));
                producer.close();
            }
        }
        System.out.println("ok producer acks 0, 1, all; none, gzip, snappy");

        props.put("group.id", args[1] + "old-group");
        props.put("enable.auto.commit", "false");
        props.put("auto.offset.reset", "earliest");
        props.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        props.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(props);
        consumer.subscribe(Arrays.asList(topic));
        List<ConsumerRecord<String, String>> got = new ArrayList<>();
        long deadline = System.currentTimeMillis() + 30_000;
        while (got.size() < 450 && System.currentTimeMillis() < deadline) for (ConsumerRecord<String, String> record : consumer.poll(200)) got.add(record);
        check(got.size() == 450, got.size() + " of 450 records");
        for (int i = 0; i < 450; i++) check(got.get(i).offset() == i && got.get(i).key().equals("k" + i % 50), "record " + i);
        consumer.commitSync();
        TopicPartition part = new TopicPartition(topic, 0);
        consumer.commitSync(Collections.singletonMap(part, new OffsetAndMetadata(7)));
        consumer.close();
        consumer = new KafkaConsumer<>(props);
        consumer.assign(Arrays.asList(part));
        check(consumer.position(part) == 7, "position " + consumer.position(part));
        consumer.close();
        System.out.println("ok consumer, group, commitSync");
        System.exit(0);
    }

    static void check(boolean condition, String what) {
        if (!condition) throw new AssertionError(what);
    }
}
