/**
 * What a reload has to do: two models of one agent compared. Channels are compared by themselves; sources, sinks and
 * groups also by their wiring, and they must be rebuilt with any channel of theirs that is. Model: Vector's config diff.
 */
import type { AgentModel, ListedKind, SinkModel, SourceModel } from './model.ts';

/** Names by what becomes of them. */
export interface KindDiff {
  /** In the old model only: stop. */
  readonly left: readonly string[];
  /** In both, but not the same: stop the old, start the new. */
  readonly changed: readonly string[];
  /** In the new model only: start. */
  readonly came: readonly string[];
  /** Must not notice anything. */
  readonly unchanged: readonly string[];
}

export type ModelDiff = Readonly<Record<ListedKind, KindDiff>>;

/** Which changed channels can take their new configuration over while they run (`spec.adopt`); those need no rebuilding around them. */
export type Adopted = ReadonlySet<string>;

/** `old` null = everything came; `next` null = everything left. */
export function diffModels(old: AgentModel | null, next: AgentModel | null, adopted: Adopted = new Set()): ModelDiff {
  const channel = diffKind(old?.channels ?? [], next?.channels ?? [], (a, b) => a.fingerprint === b.fingerprint);
  const rebuilt = new Set([...channel.left, ...channel.came, ...channel.changed.filter((name) => !adopted.has(name))]);
  const source = diffKind(old?.sources ?? [], next?.sources ?? [], (a, b) => sameSource(a, b) && !b.channels.some((name) => rebuilt.has(name)));
  const sink = diffKind(old?.sinks ?? [], next?.sinks ?? [], (a, b) => sameSink(a, b) && !rebuilt.has(b.channel));
  const touched = new Set([...sink.left, ...sink.came, ...sink.changed]);
  const sinkgroup = diffKind(old?.groups ?? [], next?.groups ?? [], (a, b) => a.fingerprint === b.fingerprint && !b.sinks.some((name) => touched.has(name)));
  return { source, channel, sink, sinkgroup };
}

function diffKind<T extends { readonly name: string }>(old: readonly T[], next: readonly T[], same: (a: T, b: T) => boolean): KindDiff {
  const before = new Map(old.map((one) => [one.name, one]));
  const after = new Set(next.map((one) => one.name));
  const diff = { left: [] as string[], changed: [] as string[], came: [] as string[], unchanged: [] as string[] };
  for (const { name } of old) if (!after.has(name)) diff.left.push(name);
  for (const one of next) {
    const earlier = before.get(one.name);
    (earlier === undefined ? diff.came : same(earlier, one) ? diff.unchanged : diff.changed).push(one.name);
  }
  return diff;
}

function sameSource(a: SourceModel, b: SourceModel): boolean {
  return (
    a.fingerprint === b.fingerprint &&
    sameList(a.channels, b.channels) &&
    a.selector.fingerprint === b.selector.fingerprint &&
    sameList(a.interceptors.map(interceptorMark), b.interceptors.map(interceptorMark))
  );
}

function interceptorMark({ name, fingerprint }: { name: string; fingerprint: string }): string {
  return `${name} ${fingerprint}`;
}

function sameSink(a: SinkModel, b: SinkModel): boolean {
  return a.fingerprint === b.fingerprint && a.channel === b.channel;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
