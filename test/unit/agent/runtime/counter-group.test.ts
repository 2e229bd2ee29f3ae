// What the log says when a component starts and stops: Flume's lines to the letter, because scripts read them.
import { describe, expect, it } from 'vitest';
import { ChannelCounters, SinkCounters, SourceCounters } from '../../../../src/agent/core/counters.ts';
import { Agent } from '../../../../src/agent/runtime/agent.ts';
import { shutdownName } from '../../../../src/agent/runtime/counter-group.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { baseOf, channel, eventually, HandSink, HandSource, Lines, model, noCatalog, passing, sink, source } from './fixture.ts';

/** The names in Flume 1.11's SourceCounter, ChannelCounter, SinkCounter, their Kafka kin and FileChannelCounter. */
const FLUME = {
  source: [
    'src.append-batch.accepted',
    'src.append-batch.received',
    'src.append.accepted',
    'src.append.received',
    'src.channel.write.fail',
    'src.event.read.fail',
    'src.events.accepted',
    'src.events.received',
    'src.generic.processing.fail',
    'src.open-connection.count',
  ],
  channel: ['channel.event.put.attempt', 'channel.event.put.success', 'channel.event.take.attempt', 'channel.event.take.success'],
  sink: [
    'sink.batch.complete',
    'sink.batch.empty',
    'sink.batch.underflow',
    'sink.channel.read.fail',
    'sink.connection.closed.count',
    'sink.connection.creation.count',
    'sink.connection.failed.count',
    'sink.event.drain.attempt',
    'sink.event.drain.sucess',
    'sink.event.write.fail',
  ],
} as const;

function agentOf(clock = new ManualClock(1_000)) {
  const [lines, from, to] = [new Lines(), new HandSource(), new HandSink()];
  const parts = { channels: [channel('c1')], sinks: [sink('k1', to.spec, 'c1')], sources: [source('r1', from.spec, ['c1'])] };
  const agent = new Agent({ model: model(parts), catalog: noCatalog, base: baseOf(lines, clock), stopTimeoutMs: 0 });
  return { agent, lines, from, to, clock };
}

describe('counters in the log', () => {
  it.each(['source', 'channel', 'sink'] as const)('of a %s have Flume’s names', (kind) => {
    const counters = { source: new SourceCounters(), channel: new ChannelCounters(), sink: new SinkCounters() }[kind];
    const names = Object.keys(counters).filter((name) => name !== 'StartTime' && name !== 'StopTime');
    expect(names.map((name) => shutdownName(kind, name)).sort()).toEqual(FLUME[kind]);
  });

  it('that Flume’s Kafka and file parts have, and our own, too', () => {
    expect(shutdownName('source', 'KafkaEventGetTimer')).toBe('source.kafka.event.get.time');
    expect(shutdownName('sink', 'KafkaEventSendTimer')).toBe('channel.kafka.event.send.time');
    expect(shutdownName('channel', 'CheckpointBackupWriteErrorCount')).toBe('channel.file.checkpoint.backup.write.error');
    expect(shutdownName('source', 'LineCutCount')).toBe('src.line.cut.count');
  });

  it('are there when the agent stops, sources first, times first, then by name', async () => {
    const { agent, lines, from, to, clock } = agentOf();
    await agent.start();
    expect(lines.all).toEqual(['CHANNEL, name: c1', 'SINK, name: k1', 'SOURCE, name: r1'].map((who) => `info Component type: ${who} started`));
    await from.put('1', '2');
    await eventually(() => to.got.length === 2);
    await clock.advance(500);
    lines.all.length = 0;
    await agent.stop();
    const said = lines.all.map((line) => line.replace(/^info /, ''));
    const metric = (who: string, name: string, value: number): string => `Shutdown Metric for type: ${who}. ${name} == ${value}`;
    expect(said.slice(0, 4)).toEqual([
      'Component type: SOURCE, name: r1 stopped',
      metric('SOURCE, name: r1', 'source.start.time', 1_000),
      metric('SOURCE, name: r1', 'source.stop.time', 1_500),
      metric('SOURCE, name: r1', 'src.append-batch.accepted', 0),
    ]);
    expect(said).toContain(metric('SOURCE, name: r1', 'src.events.received', 2));
    expect(said).toContain(metric('SINK, name: k1', 'sink.event.drain.sucess', 2));
    expect(said.slice(-9)).toEqual([
      'Component type: CHANNEL, name: c1 stopped',
      metric('CHANNEL, name: c1', 'channel.start.time', 1_000),
      metric('CHANNEL, name: c1', 'channel.stop.time', 1_500),
      metric('CHANNEL, name: c1', 'channel.capacity', 1_000),
      metric('CHANNEL, name: c1', 'channel.current.size', 0),
      metric('CHANNEL, name: c1', 'channel.event.put.attempt', 2),
      metric('CHANNEL, name: c1', 'channel.event.put.success', 2),
      metric('CHANNEL, name: c1', 'channel.event.take.attempt', 2),
      metric('CHANNEL, name: c1', 'channel.event.take.success', 2),
    ]);
    expect(said).toHaveLength(3 + 2 * 3 + 10 + 10 + 6);
  });

  it('begin with the attempt that succeeds, and a component that never ran has none', async () => {
    const { agent, lines, from, to, clock } = agentOf();
    from.startError = passing('not yet');
    to.startError = passing('never');
    await agent.start();
    from.startError = undefined;
    await clock.advance(40_000);
    await eventually(() => agent.snapshot().components.find(({ name }) => name === 'r1')?.status === 'running');
    const startTime = agent.snapshot().components.find(({ name }) => name === 'r1')?.counters.StartTime;
    expect(startTime).toBeGreaterThan(1_000);
    await agent.stop();
    expect(lines.all).toContain(`info Shutdown Metric for type: SOURCE, name: r1. source.start.time == ${startTime}`);
    expect(lines.all.filter((line) => line.includes('SINK'))).toEqual([]);
  });
});
