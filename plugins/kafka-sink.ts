/**
 * org.apache.flume.plugins.KafkaSink, the third-party sink of the years before Flume had its own, with the keys of
 * Kafka's old producer (0.8). Definitions that name it run as they are:
 *   producer.sinks.r.type = org.apache.flume.plugins.KafkaSink
 *   producer.sinks.r.metadata.broker.list = host1:9092,host2:9092
 *   producer.sinks.r.custom.topic.name = test-topic
 * It sends the body, decoded from custom.encoding and encoded as UTF-8; it resolves when the brokers have acknowledged
 * the batch, with producer.type = async too, so nothing is lost on the way.
 */
import { type Config, ConfigError, defineSink, duration, int, list, oneOf, openKafkaProducer, type Sealed, size, text } from 'millrace/plugin';

const NO_CLASSES = 'Java classes cannot be loaded';
const NO_QUEUE = 'events wait in the channel, not in the producer';

const properties = {
  'metadata.broker.list': list({ separator: 'comma', required: true, doc: 'Brokers to ask first, host:port.' }),
  'custom.topic.name': text({ required: true, doc: 'Topic to write to.' }),
  'custom.encoding': text({ default: 'UTF-8', doc: 'Character set of the bodies; they are sent as UTF-8.' }),
  'request.required.acks': oneOf(['0', '1', '-1', 'all'], { default: '1', doc: '0: do not wait; 1: the leader has it; -1: all in-sync replicas have it.' }),
  'max.message.size': size({ default: 1_000_000, min: 1, doc: 'A larger event is left out, said and counted.' }),
  'producer.type': oneOf(['sync', 'async'], { default: 'sync', doc: 'async sends larger batches; acknowledgements are waited for in both.' }),
  'batch.num.messages': int({ default: 200, min: 1, unit: 'events', doc: 'Events sent at once with producer.type = async; sync sends up to 100.' }),
  'custom.partition.key': text({ doc: 'Key of every record, which chooses the partition.' }),
  'partition.key': text({ doc: 'The same, as other releases of the plug-in have it.' }),
  'partitioner.class': text({ doc: 'A class whose name holds SinglePartition sends everything to partition 0; others by key, or any.' }),
  'compression.codec': oneOf(['none', 'gzip', 'snappy', '0', '1', '2'], { default: 'none', doc: 'How batches are packed.' }),
  'request.timeout.ms': duration({ default: 10_000, min: 1, unit: 'ms', doc: 'How long to wait for an answer.' }),
  'message.send.max.retries': int({ default: 3, min: 0, doc: 'How often a request is repeated before the whole batch comes again.' }),
  'retry.backoff.ms': duration({ default: 100, unit: 'ms', doc: 'Pause before that.' }),
  'client.id': text({ doc: 'Name shown in the broker’s log.' }),
  'queue.buffering.max.ms': text({ ignored: NO_QUEUE, doc: 'No effect.' }),
  'queue.buffering.max.messages': text({ ignored: NO_QUEUE, doc: 'No effect.' }),
  'queue.enqueue.timeout.ms': text({ ignored: NO_QUEUE, doc: 'No effect.' }),
  'send.buffer.bytes': text({ ignored: 'the operating system sizes socket buffers', doc: 'No effect.' }),
  'topic.metadata.refresh.interval.ms': text({ ignored: 'brokers are asked anew every five minutes, and when one fails', doc: 'No effect.' }),
  'compressed.topics': text({ ignored: 'there is one topic', doc: 'No effect.' }),
  'serializer.class': text({ ignored: `texts and bytes are sent as they are; ${NO_CLASSES}`, doc: 'No effect.' }),
  'key.serializer.class': text({ ignored: `keys are text; ${NO_CLASSES}`, doc: 'No effect.' }),
} as const;

const SYNC_BATCH = 100;
const CODECS: Readonly<Record<string, string>> = { '0': 'none', '1': 'gzip', '2': 'snappy' };

/** Bytes as UTF-8, from another character set. */
function recoder(name: string): (body: Buffer) => Buffer {
  const label = name.replace(/^UTF_?8$/i, 'utf-8');
  if (/^(utf-8|ascii|us-ascii)$/i.test(label)) return (body) => body;
  try {
    const decoder = new TextDecoder(label);
    return (body) => Buffer.from(decoder.decode(body));
  } catch (cause) {
    throw new ConfigError(`no character set "${name}"`, { fix: 'name one such as UTF-8 or GBK in custom.encoding', cause });
  }
}

function batchSize(config: Config<typeof properties>): number {
  return config['producer.type'] === 'async' ? config['batch.num.messages'] : SYNC_BATCH;
}

export default defineSink({
  type: 'plugins.kafka',
  aliases: ['org.apache.flume.plugins.KafkaSink'],
  summary: 'Writes bodies to one Kafka topic, with the keys of a plug-in for early Flume.',
  properties,
  counters: { EventsSetAsideCount: 'Events that the topic will never take.' },
  facts: (config) => ({ batchSize: batchSize(config) }),
  delivery: () => ({
    crash: { effect: 'doubles', note: 'a batch that was sent but not yet committed is sent again' },
    stop: { effect: 'nothing', note: 'the batch under way is finished' },
    dead: { effect: 'waits', note: 'events stay in the channel until a broker answers' },
  }),
  create(config, { log, clock, name, agent, extra }) {
    const codec = config['compression.codec'];
    const recode = recoder(config['custom.encoding']);
    const named = config['custom.partition.key'] ?? config['partition.key'];
    const key = named === undefined ? null : Buffer.from(named);
    const partition = config['partitioner.class']?.includes('SinglePartition') ? 0 : -1;
    const producer = openKafkaProducer({
      brokers: config['metadata.broker.list'],
      clientId: config['client.id'] ?? `${agent}-${name}`,
      clock,
      log,
      settings: {
        acks: config['request.required.acks'],
        'max.request.size': `${config['max.message.size']}`,
        'compression.type': CODECS[codec] ?? codec,
        'request.timeout.ms': `${config['request.timeout.ms']}`,
        'retry.backoff.ms': `${config['retry.backoff.ms']}`,
        retries: `${config['message.send.max.retries']}`,
      },
    });
    return {
      async deliver(batch: readonly Sealed[]) {
        const now = clock.now();
        const refusals = await producer.send({
          count: batch.length,
          load(index, record) {
            record.topic = config['custom.topic.name'];
            record.partition = partition;
            record.key = key;
            record.value = recode((batch[index] as Sealed).body);
            record.timestamp = now;
            return true;
          },
        });
        const [first] = refusals;
        if (first === undefined) return;
        extra.EventsSetAsideCount = (extra.EventsSetAsideCount ?? 0) + refusals.length;
        log.error(`${refusals.length} events are left out, topic ${first.topic} will not take them: ${first.reason}`);
      },
      stop: () => producer.close(),
    };
  },
});
