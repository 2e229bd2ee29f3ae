/**
 * The topic loop: a Kafka source writes the topic it read from into a header, and a Kafka sink lets that header override
 * its own topic, so events go back to where they came from, for ever. Followed through channels and through Avro or
 * Thrift hops between agents whose files were given together. Works on raw keys, so it needs nothing of the components.
 */
import type { Finding } from '../../lib/props/finding.ts';
import { type DraftAgent, type DraftPart, type DraftSink, type DraftSource, runs } from './draft.ts';

/** A finding and the agents it concerns. */
export interface LoopFinding {
  readonly finding: Finding;
  readonly agents: readonly string[];
}

interface Place {
  readonly agent: DraftAgent;
  readonly source: DraftSource;
}

/** What travels in the header. */
interface Trace {
  readonly origin: Place;
  readonly header: string;
  readonly hops: readonly string[];
  /** A static interceptor that would mend it, were it not for preserveExisting. */
  readonly kept: DraftPart | undefined;
}

/** All loops of these agents. */
export function topicLoops(agents: readonly DraftAgent[]): LoopFinding[] {
  const found: LoopFinding[] = [];
  for (const agent of agents) {
    for (const source of agent.sources.values()) {
      if (!runs(source) || source.spec?.type !== 'kafka' || isFalse(source, 'setTopicHeader')) continue;
      const trace: Trace = { origin: { agent, source }, header: written(source, 'topicHeader') ?? 'topic', hops: [], kept: undefined };
      follow({ agent, source }, trace, { agents, found, visited: new Set() });
    }
  }
  return found;
}

interface Walk {
  readonly agents: readonly DraftAgent[];
  readonly found: LoopFinding[];
  readonly visited: Set<DraftSource>;
}

function follow(place: Place, trace: Trace, walk: Walk): void {
  if (walk.visited.has(place.source)) return;
  walk.visited.add(place.source);
  const after = throughInterceptors(place.source, trace);
  if (after === undefined) return;
  for (const sink of place.agent.sinks.values()) {
    if (!runs(sink) || sink.channel === undefined || !place.source.channels.includes(sink.channel)) continue;
    const type = sink.spec?.type;
    if (type === 'kafka') {
      if (!isFalse(sink, 'allowTopicOverride') && (written(sink, 'topicHeader') ?? 'topic') === after.header) report(after, sink, place.agent, walk);
    } else if (type === 'avro' || type === 'thrift') {
      for (const next of receivers(sink, type, walk.agents)) follow(next, { ...after, hops: [...after.hops, `${sink.label} and ${next.source.label}`] }, walk);
    }
  }
}

/** Undefined when an interceptor takes the header away or sets it to another topic. */
function throughInterceptors(source: DraftSource, trace: Trace): Trace | undefined {
  let { kept } = trace;
  const topics = topicsOf(trace.origin.source);
  for (const part of source.interceptors) {
    const type = part.spec?.type;
    if (type === 'static' && (written(part, 'key') ?? 'key') === trace.header) {
      if (!isFalse(part, 'preserveExisting')) kept = part;
      else if (!topics.includes(written(part, 'value') ?? 'value')) return undefined;
    }
    if (type === 'remove_header' && [written(part, 'withName'), ...(written(part, 'fromList')?.split(/\s*,\s*/) ?? [])].includes(trace.header))
      return undefined;
    if (type === 'regex_extractor' && Object.entries(part.raw).some(([key, { value }]) => key.endsWith('.name') && value === trace.header)) return undefined;
  }
  return { ...trace, kept };
}

function receivers(sink: DraftSink, type: string, agents: readonly DraftAgent[]): Place[] {
  const port = written(sink, 'port');
  const host = written(sink, 'hostname');
  const places: Place[] = [];
  for (const agent of agents) {
    for (const source of agent.sources.values()) {
      if (runs(source) && source.spec?.type === type && port !== undefined && written(source, 'port') === port && reaches(host, written(source, 'bind')))
        places.push({ agent, source });
    }
  }
  return places;
}

/** Names may stand for any address; only two different numeric addresses are taken as different machines. */
function reaches(host: string | undefined, bind: string | undefined): boolean {
  const numeric = (text: string) => /^[\d.]+$|:/.test(text);
  if (host === undefined || bind === undefined || bind === '0.0.0.0' || bind === '::' || !numeric(host) || !numeric(bind)) return true;
  return host === bind || host === '127.0.0.1';
}

function report(trace: Trace, sink: DraftSink, sinkAgent: DraftAgent, walk: Walk): void {
  const { source, agent } = trace.origin;
  const topics = topicsOf(source).join(', ') || 'the topics that match';
  const own = written(sink, 'kafka.topic') ?? written(sink, 'topic') ?? 'default-flume-topic';
  const way = trace.hops.length === 0 ? '' : ` by way of ${trace.hops.join(', ')}`;
  const other = otherCluster(source, sink);
  const kept = trace.kept === undefined ? '' : `; ${trace.kept.label} does not prevent it, because preserveExisting is true unless it is set to false`;
  const goes = other ? `go to a topic of the same name (${topics}) on the other cluster` : `go back to the topic they were read from (${topics}), for ever`;
  const message = `the header "${trace.header}" of ${source.label} overrides topic ${own}${way}: events ${goes}${kept}`;
  const remedy =
    trace.kept === undefined
      ? `set ${sink.prefix}allowTopicOverride = false, or set the header with a static interceptor and preserveExisting = false`
      : `set ${trace.kept.prefix}preserveExisting = false, or ${sink.prefix}allowTopicOverride = false`;
  const finding: Finding = {
    code: other ? 'topic-override' : 'topic-loop',
    severity: other ? 'info' : 'warning',
    message,
    fix: remedy,
    where: sink.where,
    component: sink.label,
  };
  walk.found.push({ finding, agents: [...new Set([agent.name, sinkAgent.name])] });
}

function topicsOf(source: DraftPart): string[] {
  const text = written(source, 'kafka.topics') ?? written(source, 'topic') ?? written(source, 'kafka.topics.regex');
  return text?.split(/\s*,\s*/).filter((topic) => topic !== '') ?? [];
}

/** True only when both name their brokers and have none in common. */
function otherCluster(source: DraftPart, sink: DraftPart): boolean {
  const brokers = (part: DraftPart) => (written(part, 'kafka.bootstrap.servers') ?? written(part, 'brokerList'))?.split(/\s*,\s*/);
  const one = brokers(source);
  const two = brokers(sink);
  return one !== undefined && two !== undefined && !one.some((broker) => two.includes(broker));
}

function written(part: DraftPart, key: string): string | undefined {
  return part.raw[key]?.value;
}

function isFalse(part: DraftPart, key: string): boolean {
  const value = written(part, key);
  return value !== undefined && value.toLowerCase() !== 'true';
}
