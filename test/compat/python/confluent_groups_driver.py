"""Groups of the new consumer protocol with confluent-kafka (librdkafka) on the broker named on the command line; output as in confluent_driver.py."""
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

address = sys.argv[1]


def ok(name):
    print("ok", name, flush=True)


def member(group, **more):
    options = {"bootstrap.servers": address, "group.id": group, "group.protocol": "consumer", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    return Consumer({**options, **{k.replace("_", "."): v for k, v in more.items()}})


def wait(members, sizes, what):
    deadline = time.time() + 40
    while sorted(len(m.assignment()) for m in members) != sizes and time.time() < deadline:
        for one in members:
            message = one.poll(0.1)
            assert message is None or not message.error(), message.error()
    assert sorted(len(m.assignment()) for m in members) == sizes, (what, [m.assignment() for m in members])


admin = AdminClient({"bootstrap.servers": address})
admin.create_topics([NewTopic("cg", 4, 1)])["cg"].result()
producer = Producer({"bootstrap.servers": address})
for i in range(40):
    producer.produce("cg", b"%d" % i, partition=i % 4)
assert producer.flush(20) == 0

consumer = member("cg-commits")
consumer.subscribe(["cg"])
got = []
deadline = time.time() + 40
while len(got) < 40 and time.time() < deadline:
    message = consumer.poll(0.5)
    if message is not None:
        assert not message.error(), message.error()
        got.append(message)
assert len(got) == 40, len(got)
consumer.commit(asynchronous=False)
assert [one.offset for one in consumer.committed([TopicPartition("cg", i) for i in range(4)], timeout=10)] == [10] * 4
consumer.close()
ok("one member, commits")

for assignor in ("uniform", "range"):
    members = [member("cg-" + assignor, group_remote_assignor=assignor) for _ in range(2)]
    for one in members:
        one.subscribe(["cg"])
    wait(members, [2, 2], assignor)
    shared = set(map(str, members[0].assignment())) & set(map(str, members[1].assignment()))
    assert not shared, shared
    members.pop(0).close()
    wait(members, [4], "one left")
    members[0].close()
ok("two members, one leaves")

pair = [member("cg-static", group_instance_id=name) for name in ("one", "two")]
for one in pair:
    one.subscribe(["cg"])
wait(pair, [2, 2], "static")
before = sorted(one.partition for one in pair[0].assignment())
pair[0].close()
pair[0] = member("cg-static", group_instance_id="one")
pair[0].subscribe(["cg"])
wait(pair, [2, 2], "static again")
assert sorted(one.partition for one in pair[0].assignment()) == before
for one in pair:
    one.close()
ok("static members")

consumer = member("cg-regex", topic_metadata_refresh_interval_ms=500)
consumer.subscribe(["^cg(-late)?$"])
wait([consumer], [4], "regular expression")
admin.create_topics([NewTopic("cg-late", 1, 1)])["cg-late"].result()
wait([consumer], [5], "a late topic")
admin.create_partitions([NewPartitions("cg-late", 2)])["cg-late"].result()
wait([consumer], [6], "a new partition")
consumer.close()
ok("regular expression, new topics and partitions")

listed = admin.list_consumer_groups().result().valid
assert {one.group_id for one in listed if one.type.name == "CONSUMER"} >= {"cg-commits", "cg-static", "cg-regex"}, listed
described = admin.describe_consumer_groups(["cg-commits"])["cg-commits"].result()
assert described.state.name == "EMPTY", described.state
admin.delete_consumer_groups(["cg-commits"])["cg-commits"].result()
ok("admin: list, describe, delete")
