// Kafka in, Kafka out: where the topic header takes events back to where they came from, in one agent and over a hop.
import { describe, expect, it } from 'vitest';
import { load } from './fixture-catalog.ts';

const DIRECT = `a1.sources = s
a1.channels = c
a1.sinks = k
a1.sources.s.type = kafka
a1.sources.s.kafka.bootstrap.servers = b1:9092,b2:9092
a1.sources.s.kafka.topics = in
a1.sources.s.batchSize = 20
a1.sources.s.channels = c
a1.channels.c.type = memory
a1.sinks.k.type = kafka
a1.sinks.k.kafka.bootstrap.servers = b2:9092
a1.sinks.k.kafka.topic = out
a1.sinks.k.channel = c
`;
const interceptor = (lines: string) =>
  `a1.sources.s.interceptors = i\n${lines
    .split(' ')
    .map((line) => `a1.sources.s.interceptors.i.${line.replace('=', ' = ')}\n`)
    .join('')}`;
const HOP = `a1.sources = s
a1.channels = c
a1.sinks = k
a1.sources.s.type = kafka
a1.sources.s.kafka.bootstrap.servers = b:9092
a1.sources.s.kafka.topics = in
a1.sources.s.batchSize = 20
a1.sources.s.channels = c
a1.channels.c.type = memory
a1.sinks.k.type = avro
a1.sinks.k.hostname = 10.0.0.2
a1.sinks.k.port = 4141
a1.sinks.k.channel = c
b1.sources = r
b1.channels = c
b1.sinks = k
b1.sources.r.type = avro
b1.sources.r.bind = 0.0.0.0
b1.sources.r.port = 4141
b1.sources.r.channels = c
b1.channels.c.type = memory
b1.sinks.k.type = kafka
b1.sinks.k.kafka.bootstrap.servers = b:9092
b1.sinks.k.channel = c
`;

const loops = async (text: string) => (await load(text)).findings.filter((finding) => finding.code.startsWith('topic-'));

describe('in one agent', () => {
  it.each<[string, string, number]>([
    ['as it stands', '', 1],
    ['the sink does not override', 'a1.sinks.k.allowTopicOverride = false', 0],
    ['the source sets no header', 'a1.sources.s.setTopicHeader = false', 0],
    ['other headers', 'a1.sinks.k.topicHeader = t', 0],
    ['the same other header', 'a1.sinks.k.topicHeader = t\na1.sources.s.topicHeader = t', 1],
    ['a static header to another topic', interceptor('type=static key=topic value=out preserveExisting=false'), 0],
    ['a static header to the topic that is read', interceptor('type=static key=topic value=in preserveExisting=false'), 1],
    ['a static header that keeps what is there', interceptor('type=static key=topic value=out'), 1],
    ['a static header of another name', interceptor('type=static key=t value=out preserveExisting=false'), 1],
    ['the header removed', interceptor('type=remove_header withName=topic'), 0],
  ])('%s: %s', async (_name, added, count) => {
    expect(await loops(DIRECT + added)).toHaveLength(count);
  });

  it('says what happens and how to end it', async () => {
    const [loop] = await loops(DIRECT);
    expect(loop).toMatchObject({ code: 'topic-loop', severity: 'warning', component: 'sink k (kafka)', where: { line: 10 } });
    expect(loop?.message).toContain('go back to the topic they were read from (in), for ever');
    expect(loop?.fix).toContain('a1.sinks.k.allowTopicOverride = false');
  });

  it('names preserveExisting when that is what is missing', async () => {
    const [loop] = await loops(DIRECT + interceptor('type=static key=topic value=out'));
    expect(loop?.message).toContain('preserveExisting');
    expect(loop?.fix).toContain('a1.sources.s.interceptors.i.preserveExisting = false');
  });

  it('is only worth knowing between two clusters', async () => {
    const [override] = await loops(DIRECT.replace('kafka.bootstrap.servers = b2:9092', 'kafka.bootstrap.servers = other:9092'));
    expect(override).toMatchObject({ code: 'topic-override', severity: 'info' });
  });

  it('follows channels: a sink on another channel is no loop', async () => {
    expect(
      await loops(
        `${DIRECT.replace('a1.sinks.k.channel = c', 'a1.sinks.k.channel = d').replace('channels = c\na1.sinks = k', 'channels = c d\na1.sinks = k')}a1.channels.d.type = memory\n`,
      ),
    ).toEqual([]);
  });
});

describe('over an Avro hop', () => {
  it('is found for both agents', async () => {
    const { agentFindings } = await load(HOP);
    for (const name of ['a1', 'b1']) {
      const [loop] = agentFindings.get(name)!.filter((finding) => finding.code === 'topic-loop');
      expect(loop?.message).toContain('by way of a1 sink k (avro) and b1 source r (avro)');
    }
  });

  it.each<[string, string, number]>([
    ['another port', HOP.replace('r.port = 4141', 'r.port = 4242'), 0],
    ['another machine', HOP.replace('bind = 0.0.0.0', 'bind = 10.0.0.3'), 0],
    ['mended on the far side', `${HOP}b1.sinks.k.allowTopicOverride = false`, 0],
    ['mended on the near side', HOP + interceptor('type=static key=topic value=out preserveExisting=false'), 0],
    ['not mended without preserveExisting', HOP + interceptor('type=static key=topic value=out'), 1],
  ])('%s', async (_name, text, count) => {
    expect(await loops(text)).toHaveLength(count);
  });
});
