"""confluent-kafka (librdkafka) against the broker named on the command line. Prints `ok NAME` per scenario; any failure ends it."""
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType

address = sys.argv[1]


def ok(name):
    print("ok", name, flush=True)


def failing(message):
    raise SystemExit(message)


def read(topic, count, group, **more):
    consumer = Consumer({"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest", **{k.replace("_", "."): v for k, v in more.items()}})
    consumer.subscribe([topic])
    out = []
    deadline = time.time() + 30
    while len(out) < count and time.time() < deadline:
        message = consumer.poll(0.5)
        if message is not None:
            assert not message.error(), message.error()
            out.append(message)
    assert len(out) == count, f"{topic}: {len(out)} of {count}"
    consumer.close()
    return out


admin = AdminClient({"bootstrap.servers": address})
admin.create_topics([NewTopic("ck", 2, 1)])["ck"].result()
assert "ck" in admin.list_topics(timeout=10).topics
ok("admin create and list")

for options in ({"acks": 0}, {"acks": 1}, {"acks": "all"}, {"enable.idempotence": True}):
    errors = []
    producer = Producer({"bootstrap.servers": address, **options})
    for i in range(10):
        producer.produce("ck", key=b"k%d" % i, value=b"%d" % i, headers=[("h", b"1")], on_delivery=lambda e, m: errors.append(e) if e else None)
    assert producer.flush(20) == 0 and not errors, errors
got = read("ck", 40, "ck-read")
assert got[0].headers() == [("h", b"1")]
ok("producer acks 0, 1, all, idempotent; consumer with auto commit")

for codec in ("gzip", "snappy", "lz4", "zstd"):
    producer = Producer({"bootstrap.servers": address, "compression.type": codec, "linger.ms": 100})
    for i in range(50):
        producer.produce("ck-" + codec, b"%d %s" % (i, b"x" * 100))
    assert producer.flush(20) == 0
    assert [int(m.value().split()[0]) for m in read("ck-" + codec, 50, "g-" + codec)] == list(range(50))
ok("gzip, snappy, lz4, zstd")

consumer = Consumer({"bootstrap.servers": address, "group.id": "manual", "enable.auto.commit": False})
part = TopicPartition("ck", 0, 3)
consumer.commit(offsets=[part], asynchronous=False)
assert consumer.committed([TopicPartition("ck", 0)], timeout=10)[0].offset == 3
low, high = consumer.get_watermark_offsets(TopicPartition("ck", 0), timeout=10)
assert low == 0 and high > 0, (low, high)
assert consumer.offsets_for_times([TopicPartition("ck", 0, 0)], timeout=10)[0].offset == 0
consumer.assign([TopicPartition("ck", 0, high - 1)])
message = None
deadline = time.time() + 20
while message is None and time.time() < deadline:
    message = consumer.poll(1)
assert message is not None and message.offset() == high - 1
consumer.close()
ok("commit, committed, watermarks, offsets for times, assign")

for strategy in ("range", "roundrobin", "cooperative-sticky"):
    members = [
        Consumer({"bootstrap.servers": address, "group.id": "bal-" + strategy, "partition.assignment.strategy": strategy, "session.timeout.ms": 6000, "heartbeat.interval.ms": 300})
        for _ in range(2)
    ]
    deadline = time.time() + 40
    for member in members:
        member.subscribe(["ck"])
    while sorted(len(m.assignment()) for m in members) != [1, 1] and time.time() < deadline:
        for member in members:
            member.poll(0.1)
    assert sorted(len(m.assignment()) for m in members) == [1, 1], strategy
    members[0].close()
    while len(members[1].assignment()) != 2 and time.time() < deadline:
        members[1].poll(0.1)
    assert len(members[1].assignment()) == 2, strategy
    members[1].close()
ok("range, roundrobin and cooperative-sticky groups")

static = Consumer({"bootstrap.servers": address, "group.id": "static", "group.instance.id": "one", "session.timeout.ms": 6000})
static.subscribe(["ck"])
deadline = time.time() + 20
while len(static.assignment()) != 2 and time.time() < deadline:
    static.poll(0.2)
assert len(static.assignment()) == 2
static.close()
ok("static member")

producer = Producer({"bootstrap.servers": address, "transactional.id": "ck-tx"})
producer.init_transactions(20)
consumer = Consumer({"bootstrap.servers": address, "group.id": "ck-tx-group", "auto.offset.reset": "earliest", "enable.auto.commit": False})
consumer.subscribe(["ck"])
while not consumer.assignment():
    consumer.poll(0.2)
for value, commit in ((b"one", True), (b"two", False), (b"three", True)):
    producer.begin_transaction()
    producer.produce("ck-out", value)
    if commit:
        producer.send_offsets_to_transaction([TopicPartition("ck", 0, 5 if value == b"one" else 6)], consumer.consumer_group_metadata(), 20)
        producer.commit_transaction(20)
    else:
        producer.flush(20)
        producer.abort_transaction(20)
assert consumer.committed([TopicPartition("ck", 0)], timeout=10)[0].offset == 6
consumer.close()
assert [m.value() for m in read("ck-out", 2, "ck-out", isolation_level="read_committed")] == [b"one", b"three"]
old = producer
fencing = Producer({"bootstrap.servers": address, "transactional.id": "ck-tx"})
fencing.init_transactions(20)
try:
    old.begin_transaction()
    old.produce("ck-out", b"zombie")
    old.commit_transaction(20)
    failing("the old producer was not fenced")
except KafkaException as error:
    assert error.args[0].fatal() or "FENCED" in str(error) or "INVALID_PRODUCER_EPOCH" in str(error), error
ok("transactions, offsets in them, fencing")

admin.create_partitions([NewPartitions("ck", 3)])["ck"].result()
resource = ConfigResource(ResourceType.TOPIC, "ck", incremental_configs=[ConfigEntry("retention.ms", "60000", incremental_operation=AlterConfigOpType.SET)])
admin.incremental_alter_configs([resource])[resource].result()
described = ConfigResource(ResourceType.TOPIC, "ck")
assert admin.describe_configs([described])[described].result()["retention.ms"].value == "60000"
part = TopicPartition("ck", 0)
assert admin.list_offsets({part: OffsetSpec.latest()})[part].result().offset > 0
assert admin.list_offsets({part: OffsetSpec.max_timestamp()})[part].result().offset >= 0
admin.delete_records([TopicPartition("ck", 0, 2)])[TopicPartition("ck", 0, 2)].result()
assert admin.list_offsets({part: OffsetSpec.earliest()})[part].result().offset == 2
groups = admin.list_consumer_groups().result()
assert "manual" in [g.group_id for g in groups.valid] and not groups.errors
admin.describe_consumer_groups(["manual"])["manual"].result()
admin.describe_cluster().result()
admin.describe_topics(__import__("confluent_kafka").TopicCollection(["ck"]))["ck"].result()
admin.delete_consumer_groups(["manual"])["manual"].result()
admin.delete_topics(["ck-out"])["ck-out"].result()
ok("admin partitions, configs, offsets, records, groups, cluster, delete")
