/** Deserializers over bytes in memory, with the log kept. */
import type { DeserializerInput, DeserializerSpec } from '../../../../src/agent/core/define.ts';
import type { Event } from '../../../../src/agent/core/event.ts';
import type { Deserializer } from '../../../../src/agent/core/serializer.ts';
import type { Logger } from '../../../../src/lib/log.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

export interface Reading {
  readonly properties?: Readonly<Record<string, string>>;
  readonly charset?: string;
  readonly policy?: DeserializerInput['decodeErrorPolicy'];
  readonly position?: number;
}

export const warnings: string[] = [];
const note = (first: unknown, second?: unknown): void => void warnings.push(String(second ?? first));
export const quiet = { trace() {}, debug() {}, info() {}, warn: note, error: note, isLevelEnabled: () => false } as unknown as Logger;

// biome-ignore lint/suspicious/noExplicitAny: any deserializer's properties
export function open(spec: DeserializerSpec<any>, bytes: Buffer, reading: Reading = {}): Deserializer {
  warnings.length = 0;
  const raw = Object.fromEntries(Object.entries(reading.properties ?? {}).map(([key, value]) => [key, { value }]));
  const { config } = parseProperties(spec.properties, raw);
  if (!config) throw new Error('bad properties');
  const input: DeserializerInput = {
    source: { path: '/spool/f', length: bytes.length, read: (at, length) => Buffer.from(bytes.subarray(at, at + length)) },
    inputCharset: reading.charset ?? 'UTF-8',
    decodeErrorPolicy: reading.policy ?? 'FAIL',
    position: reading.position ?? 0,
    log: quiet,
  };
  return spec.create(config, input);
}

/** All events, read `max` at a time, with the mark after each read. */
export function drain(deserializer: Deserializer, max = 1000): { events: Event[]; marks: number[] } {
  const events: Event[] = [];
  const marks: number[] = [];
  for (;;) {
    const some = deserializer.read(max);
    if (some.length === 0) return { events, marks };
    events.push(...some);
    marks.push(deserializer.mark());
  }
}

export function texts(events: readonly Event[]): string[] {
  return events.map((event) => event.body.toString());
}
