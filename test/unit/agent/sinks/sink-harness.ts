/** Runs one sink through its declaration, as the runtime would. */
import { SinkCounters } from '../../../../src/agent/core/counters.ts';
import type { SinkContext, SinkSpec } from '../../../../src/agent/core/define.ts';
import type { Sink } from '../../../../src/agent/core/sink.ts';
import { type Clock, systemClock } from '../../../../src/lib/clock.ts';
import type { Logger } from '../../../../src/lib/log.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

export interface SinkRig {
  readonly sink: Sink;
  readonly counters: SinkCounters;
  /** `LEVEL message` per line. */
  readonly logged: string[];
}

/** Builds a sink from properties as users write them. @throws when they do not parse or a check finds an error */
// biome-ignore lint/suspicious/noExplicitAny: any sink's properties
export function sinkRig(spec: SinkSpec<any>, written: Record<string, string>, clock: Clock = systemClock): SinkRig {
  const raw = Object.fromEntries(Object.entries(written).map(([key, value]) => [key, { value, where: { file: 'test.conf', line: 1 } }]));
  const parsed = parseProperties(spec.properties, raw);
  const findings = [...parsed.findings, ...(parsed.config === null ? [] : (spec.check?.(parsed.config, raw) ?? []))];
  const errors = findings.filter((finding) => finding.severity === 'error');
  if (parsed.config === null || errors.length > 0) throw new Error(errors.map((finding) => finding.message).join('; '));
  const logged: string[] = [];
  const note =
    (level: string) =>
    (first: unknown, second?: unknown): void => {
      logged.push(`${level} ${String(typeof first === 'string' ? first : second)}`);
    };
  const log = Object.fromEntries(['trace', 'debug', 'info', 'warn', 'error'].map((level) => [level, note(level)]));
  const counters = new SinkCounters();
  const ctx: SinkContext = {
    name: 'k1',
    agent: 'a1',
    log: { ...log, isLevelEnabled: () => true } as unknown as Logger,
    clock,
    home: '/nonexistent',
    counters,
    extra: {},
    degraded: () => undefined,
    healthy: () => undefined,
    failed: () => undefined,
    serializer: () => {
      throw new Error('none here');
    },
  };
  const made = spec.create(parsed.config, ctx);
  return {
    counters,
    logged,
    sink: { start: async () => made.start?.(), stop: async () => made.stop?.(), deliver: (batch) => made.deliver(batch) },
  };
}
