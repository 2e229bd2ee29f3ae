/**
 * Rules between components of one agent, in Flume's order: channels first, then what is wired to them, so that each
 * rule sees only what can still run. Flume: FlumeConfiguration.validateSources/Sinks, AbstractConfigurationProvider.
 */
import { errorText } from '../../lib/errors.ts';
import { nearest } from '../../lib/suggest.ts';
import type { SelectorSpec, SourceSpec } from '../core/define.ts';
import { conflicts } from './conflicts.ts';
import { type DraftAgent, type DraftPart, type DraftSink, type DraftSource, remark, runs } from './draft.ts';
import { checkGroups } from './groups.ts';

/** Applies all rules; findings go into the drafts. */
export function checkAgent(agent: DraftAgent): void {
  checkLists(agent);
  for (const channel of agent.channels.values()) checkCapacity(channel);
  conflicts([...agent.channels.values()]);
  for (const source of agent.sources.values()) checkSource(source, agent);
  for (const sink of agent.sinks.values()) checkSink(sink, agent);
  conflicts([...agent.channels.values(), ...agent.sources.values(), ...agent.sinks.values()]);
  checkGroups(agent);
  checkUse(agent);
}

function checkLists(agent: DraftAgent): void {
  const say = (severity: 'error' | 'warning', message: string, fix: string) =>
    agent.findings.push({ code: 'incomplete-agent', severity, message, fix, where: agent.where, component: `agent ${agent.name}` });
  const { name } = agent;
  if (agent.channels.size === 0) say('error', 'has no channels, so nothing of it can run', `add ${name}.channels = c1, and the properties of c1`);
  if (agent.sources.size === 0) say('warning', 'has no sources: nothing comes in', `add ${name}.sources = r1, and the properties of r1`);
  if (agent.sinks.size === 0) say('warning', 'has no sinks: nothing goes out and its channels fill up', `add ${name}.sinks = k1, and the properties of k1`);
}

function checkCapacity(channel: DraftPart): void {
  const { capacity, transactionCapacity } = channel.facts;
  if (!runs(channel) || capacity === undefined || transactionCapacity === undefined || transactionCapacity <= capacity) return;
  const key = 'transactionCapacity' in channel.raw ? 'transactionCapacity' : 'capacity';
  remark(channel, {
    code: 'capacity-below-transaction',
    severity: 'error',
    message: `transactionCapacity (${transactionCapacity}) is larger than capacity (${capacity})`,
    fix: `set ${channel.prefix}capacity to ${transactionCapacity} or more, or ${channel.prefix}transactionCapacity to ${capacity} or less`,
    where: channel.raw[key]?.where,
  });
}

function checkSource(source: DraftSource, agent: DraftAgent): void {
  if ('channel' in source.raw && source.channelsWhere === undefined) {
    remark(source, {
      code: 'source-channel-key',
      severity: 'error',
      message: 'a source has channels, and the key is "channels"; "channel" is ignored',
      fix: `write ${source.prefix}channels = ${source.raw.channel!.value}`,
      where: source.raw.channel!.where,
    });
  } else if (source.channels.length === 0) {
    remark(source, {
      code: 'missing-channel',
      severity: 'error',
      message: 'is not connected to a channel',
      fix: `add ${source.prefix}channels = ${exampleChannel(agent)}`,
    });
  }
  keepRunningChannels(source, agent);
  for (const part of [source.selector, ...source.interceptors]) {
    source.findings.push(...part.findings);
  }
  if (!runs(source)) return;
  trySelector(source);
  checkBatch(source, source.channels, agent);
  checkAckThrough(source, agent);
}

/** A channel that acknowledges through helps only sources that send again what was not acknowledged. */
function checkAckThrough(source: DraftSource, agent: DraftAgent): void {
  const { spec, config } = source;
  if (spec === undefined || config === null || (spec as SourceSpec).delivery?.(config as never).replays === true) return;
  for (const name of source.channels) {
    const channel = agent.channels.get(name)!;
    if (channel.facts.ackThrough !== true) continue;
    remark(source, {
      code: 'ack-through-without-replay',
      severity: 'warning',
      message: `channel ${name} has ackThrough = true, but this source cannot send again what was not acknowledged: a crash still loses what is in memory`,
      fix: `use a channel of type = file for it, or leave ackThrough out`,
      where: channel.raw.ackThrough?.where,
    });
  }
}

/** Takes out channels that do not exist or cannot run; a source with none left cannot run either. */
function keepRunningChannels(source: DraftSource, agent: DraftAgent): void {
  const kept = source.channels.filter((name) => runs(agent.channels.get(name)));
  if (kept.length === source.channels.length) return;
  const severity = kept.length === 0 ? 'error' : 'warning';
  const then = kept.length === 0 ? 'the source has no other and cannot run' : `events go to ${kept.join(', ')} only`;
  for (const name of source.channels) {
    if (kept.includes(name) || (kept.length > 0 && name.includes(','))) continue;
    remark(source, { ...absentChannel(name, agent, `${source.prefix}channels`, then), severity, where: source.channelsWhere });
  }
  source.channels = kept;
}

function absentChannel(name: string, agent: DraftAgent, key: string, then: string): { code: string; message: string; fix: string } {
  if (agent.channels.has(name)) {
    return { code: 'channel-left-out', message: `channel ${name} cannot run; ${then}`, fix: `correct channel ${name}` };
  }
  const meant = nearest(name, agent.channels.keys());
  const fix = meant === undefined ? `add ${name} to ${agent.name}.channels, or correct ${key}` : `did you mean ${meant}?`;
  return { code: 'unknown-channel', message: `channel ${name} does not exist; ${then}`, fix };
}

function exampleChannel(agent: DraftAgent): string {
  return [...agent.channels.keys()][0] ?? 'c1';
}

/** A selector's `create` is pure and knows which channels it names: what it throws is the finding. */
function trySelector(source: DraftSource): void {
  const { spec, config } = source.selector;
  if (spec === undefined || config === null) return;
  try {
    (spec as SelectorSpec).create(config as never, source.channels);
  } catch (error) {
    const where = Object.values(source.selector.raw)[0]?.where;
    const fix =
      (error instanceof Error && 'fix' in error && typeof error.fix === 'string' && error.fix) ||
      `name only channels of ${source.prefix}channels: ${source.channels.join(', ')}`;
    remark(source, { code: 'bad-selector', severity: 'error', message: errorText(error), fix, where: where ?? source.where });
  }
}

function checkSink(sink: DraftSink, agent: DraftAgent): void {
  const written = sink.channelWritten;
  if (written === undefined) {
    if (!sink.findings.some((finding) => finding.code === 'sink-channels-key')) {
      remark(sink, {
        code: 'missing-channel',
        severity: 'error',
        message: 'is not connected to a channel',
        fix: `add ${sink.prefix}channel = ${exampleChannel(agent)}`,
      });
    }
    return;
  }
  const names = written.value.split(/[\s,]+/).filter((name) => name !== '');
  if (names.length > 1) {
    remark(sink, {
      code: 'several-channels',
      severity: 'error',
      message: `a sink takes from one channel, not from ${names.join(' and ')}`,
      fix: 'add a second sink of the same kind for the other channel',
      where: written.where,
    });
  } else if (runs(agent.channels.get(written.value))) {
    sink.channel = written.value;
    if (runs(sink)) checkBatch(sink, [written.value], agent);
  } else {
    remark(sink, { ...absentChannel(written.value, agent, `${sink.prefix}channel`, 'the sink cannot run'), severity: 'error', where: written.where });
  }
}

/** Flume's rule since 1.9; a batch as large as a transaction is fine. */
function checkBatch(part: DraftSource | DraftSink, channels: readonly string[], agent: DraftAgent): void {
  const { batchSize } = part.facts;
  if (batchSize === undefined) return;
  const key = batchKey(part);
  for (const name of channels) {
    const channel = agent.channels.get(name)!;
    const { transactionCapacity, capacity } = channel.facts;
    if (transactionCapacity === undefined || batchSize <= transactionCapacity) continue;
    const room = capacity !== undefined && capacity < batchSize ? ` and ${channel.prefix}capacity to ${batchSize} or more` : '';
    remark(part, {
      code: 'batch-exceeds-transaction',
      severity: 'error',
      message: `its batch (${key} ${batchSize}${key in part.raw ? '' : ' by default'}) is larger than the transactionCapacity (${transactionCapacity}) of channel ${name}`,
      fix: `set ${channel.prefix}transactionCapacity to ${batchSize} or more${room}, or ${part.prefix}${key} to ${transactionCapacity} or less`,
      where: part.raw[key]?.where,
    });
  }
}

/** The key an author would change: the one written, else the spec's first that reads like a batch size. */
function batchKey(part: DraftPart): string {
  const like = /(^|\.)(flume)?batch-?size$/i;
  return Object.keys(part.raw).find((key) => like.test(key)) ?? Object.keys(part.spec?.properties ?? {}).find((key) => like.test(key)) ?? 'batchSize';
}

/** Channels that nobody uses are left out; those with one end only are kept, as in Flume, and said. */
function checkUse(agent: DraftAgent): void {
  const sources = [...agent.sources.values()].filter(runs);
  const sinks = [...agent.sinks.values()].filter(runs);
  for (const channel of agent.channels.values()) {
    if (!runs(channel)) continue;
    const filled = sources.some((source) => source.channels.includes(channel.name));
    const drained = sinks.some((sink) => sink.channel === channel.name);
    const { name } = channel;
    if (!filled && !drained) {
      const fix = `name it in the channels of a source and the channel of a sink, or take it out of ${agent.name}.channels`;
      remark(channel, { code: 'unused-channel', severity: 'warning', message: 'no source and no sink that can run uses it; it is left out', fix });
    } else if (!drained && agent.sinks.size > 0) {
      const fix = `add a sink with channel = ${name}, or take ${name} out of the channels of the source`;
      remark(channel, {
        code: 'dangling-channel',
        severity: 'warning',
        message: 'no sink that can run takes from it: it fills up, and then its sources wait or fail',
        fix,
      });
    } else if (!filled && agent.sources.size > 0) {
      remark(channel, {
        code: 'dangling-channel',
        severity: 'warning',
        message: 'no source that can run puts into it: its sinks have nothing to do',
        fix: `name ${name} in the channels of a source`,
      });
    }
  }
}
