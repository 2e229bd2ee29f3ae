"""aiokafka against the broker named on the command line. Prints `ok NAME` per scenario; any failure ends it."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

address = sys.argv[1]


def ok(name):
    print("ok", name, flush=True)


async def read(topic, count, **more):
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest", **more)
    await consumer.start()
    out = []
    try:
        while len(out) < count:
            out.append(await asyncio.wait_for(consumer.getone(), 20))
    finally:
        await consumer.stop()
    return out


async def main():
    for options in ({"acks": 0}, {"acks": 1}, {"acks": "all"}, {"enable_idempotence": True}):
        producer = AIOKafkaProducer(bootstrap_servers=address, **options)
        await producer.start()
        for i in range(10):
            await producer.send_and_wait("aio", b"%d" % i, key=b"k", headers=[("h", b"1")])
        await producer.stop()
    assert [int(m.value) for m in await read("aio", 40)] == list(range(10)) * 4
    ok("producer acks 0, 1, all, idempotent")

    for codec in ("gzip", "snappy", "lz4", "zstd"):
        producer = AIOKafkaProducer(bootstrap_servers=address, compression_type=codec, linger_ms=50)
        await producer.start()
        await asyncio.gather(*[producer.send_and_wait("aio-" + codec, b"%d %s" % (i, b"x" * 100)) for i in range(50)])
        await producer.stop()
        assert sorted(int(m.value.split()[0]) for m in await read("aio-" + codec, 50)) == list(range(50))
    ok("gzip, snappy, lz4, zstd")

    await read("aio", 40, group_id="aiog", enable_auto_commit=True)
    consumer = AIOKafkaConsumer("aio", bootstrap_servers=address, group_id="aiog")
    await consumer.start()
    part = TopicPartition("aio", 0)
    assert await consumer.committed(part) == 40, await consumer.committed(part)
    await consumer.seek_to_beginning(part)
    assert (await asyncio.wait_for(consumer.getone(), 20)).offset == 0
    await consumer.commit({part: 7})
    assert await consumer.committed(part) == 7
    assert (await consumer.offsets_for_times({part: 0}))[part].offset == 0
    await consumer.stop()
    ok("group, auto commit, seek, commit, offsets for times")

    producer = AIOKafkaProducer(bootstrap_servers=address, transactional_id="aio-tx")
    await producer.start()
    for value, commit in ((b"one", True), (b"two", False), (b"three", True)):
        await producer.begin_transaction()
        await producer.send_and_wait("aio-out", value)
        if commit:
            await producer.send_offsets_to_transaction({part: 11 if value == b"one" else 13}, "aiog")
            await producer.commit_transaction()
        else:
            await producer.abort_transaction()
    await producer.stop()
    got = await read("aio-out", 2, isolation_level="read_committed")
    assert [m.value for m in got] == [b"one", b"three"]
    consumer = AIOKafkaConsumer("aio", bootstrap_servers=address, group_id="aiog")
    await consumer.start()
    assert await consumer.committed(part) == 13
    await consumer.stop()
    ok("transactions with offsets")


asyncio.run(main())
