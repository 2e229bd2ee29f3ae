"""kafka-python against the broker named on the command line. Prints `ok NAME` per scenario; any failure ends it."""
import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic

address = sys.argv[1]


def ok(name):
    print("ok", name, flush=True)


def read(topic, count, **more):
    consumer = KafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest", consumer_timeout_ms=20000, **more)
    out = []
    for message in consumer:
        out.append(message)
        if len(out) == count:
            break
    consumer.close()
    assert len(out) == count, f"{topic}: {len(out)} of {count}"
    return out


admin = KafkaAdminClient(bootstrap_servers=address)
admin.create_topics([NewTopic(name="kp", num_partitions=3, replication_factor=1)])
assert "kp" in admin.list_topics()
ok("admin create and list")

for acks in (0, 1, "all"):
    producer = KafkaProducer(bootstrap_servers=address, acks=acks, enable_idempotence=acks == "all")
    for i in range(10):
        producer.send("kp", key=b"k%d" % i, value=b"%s-%d" % (str(acks).encode(), i), headers=[("h", b"1")])
    producer.flush()
    producer.close()
ok("producer acks 0, 1, all")

got = read("kp", 30)
assert sorted({m.value.decode().split("-")[0] for m in got}) == ["0", "1", "all"]
assert got[0].headers == [("h", b"1")] or list(got[0].headers) == [("h", b"1")]
ok("consumer without group")

for codec in ("gzip", "snappy", "lz4", "zstd"):
    producer = KafkaProducer(bootstrap_servers=address, compression_type=codec, linger_ms=100)
    for i in range(50):
        producer.send("kp-" + codec, value=b"%s %d %s" % (codec.encode(), i, b"x" * 100))
    producer.flush()
    producer.close()
    assert [int(m.value.split()[1]) for m in read("kp-" + codec, 50)] == list(range(50))
ok("gzip, snappy, lz4, zstd")

consumer = KafkaConsumer("kp", group_id="kpg", bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False)
seen = 0
deadline = time.time() + 30
while seen < 30 and time.time() < deadline:
    seen += sum(len(batch) for batch in consumer.poll(timeout_ms=500).values())
assert seen == 30, seen
consumer.commit()
ends = consumer.end_offsets([TopicPartition("kp", p) for p in range(3)])
assert sum(ends.values()) == 30
part = TopicPartition("kp", 0)
assert consumer.committed(part) == ends[part]
if ends[part] > 0:
    assert consumer.offsets_for_times({part: 0})[part].offset == 0
    consumer.seek_to_beginning(part)
    assert consumer.position(part) == 0
consumer.close()
ok("group, manual commit, committed, offsets for times, seek")

counts = {}
stop = threading.Event()


def member(n):
    consumer = KafkaConsumer("kp", group_id="shared", bootstrap_servers=address, session_timeout_ms=6000, heartbeat_interval_ms=300)
    while not stop.is_set():
        # Not shorter: a poll that times out while it joins can leave kafka-python 3.0.12 without heartbeats, for good.
        consumer.poll(timeout_ms=1000)
        counts[n] = len(consumer.assignment())
    consumer.close()


threads = [threading.Thread(target=member, args=(n,)) for n in range(3)]
for thread in threads:
    thread.start()
deadline = time.time() + 40
while sorted(counts.values()) != [1, 1, 1] and time.time() < deadline:
    time.sleep(0.1)
stop.set()
for thread in threads:
    thread.join()
assert sorted(counts.values()) == [1, 1, 1], counts
ok("three members share three partitions")

producer = KafkaProducer(bootstrap_servers=address, transactional_id="kp-tx", compression_type="gzip")
producer.init_transactions()
for value, commit in ((b"one", True), (b"two", False), (b"three", True)):
    producer.begin_transaction()
    producer.send("kp-out", value=value).get(timeout=20)
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()
producer.close()
assert [m.value for m in read("kp-out", 2, isolation_level="read_committed")] == [b"one", b"three"]
ok("transactions")

admin.create_partitions({"kp": NewPartitions(total_count=5)})
configs = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "kp")])
assert configs
groups = [g if isinstance(g, str) else (g["group_id"] if isinstance(g, dict) else g[0]) for g in admin.list_groups()]
assert "kpg" in groups, groups
admin.describe_groups(["kpg"])
admin.delete_groups(["kpg"])
admin.describe_cluster()
admin.delete_topics(["kp-out"])
assert "kp-out" not in admin.list_topics()
admin.close()
ok("admin partitions, configs, groups, cluster, delete")
