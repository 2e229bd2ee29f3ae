import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SinkCounters } from '../../../../src/agent/core/counters.ts';
import type { SerializerSpec } from '../../../../src/agent/core/define.ts';
import type { Sealed } from '../../../../src/agent/core/event.ts';
import type { Serializer } from '../../../../src/agent/core/serializer.ts';
import type { Sink } from '../../../../src/agent/core/sink.ts';
import avroEvent from '../../../../src/agent/serializers/avro-event.ts';
import textSerializer from '../../../../src/agent/serializers/text.ts';
import fileRoll from '../../../../src/agent/sinks/file-roll.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { AppError } from '../../../../src/lib/errors.ts';
import type { Logger } from '../../../../src/lib/log.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'roll-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const START = Date.UTC(2024, 0, 2, 3, 4, 5);

function roll(written: Record<string, string> = {}, serializerOf?: () => Serializer) {
  const raw = Object.fromEntries(Object.entries({ 'sink.directory': folder, ...written }).map(([key, value]) => [key, { value }]));
  const { config, findings } = parseProperties(fileRoll.properties, raw);
  if (!config) throw new Error(findings.map((finding) => finding.message).join());
  const clock = new ManualClock(START);
  const counters = new SinkCounters();
  const state = { healthy: true };
  const log = Object.fromEntries(['trace', 'debug', 'info', 'warn', 'error'].map((level) => [level, () => {}])) as unknown as Logger;
  const sink = fileRoll.create(config, {
    name: 'k1',
    agent: 'a1',
    log,
    clock,
    home: '/',
    counters,
    extra: {},
    degraded() {
      state.healthy = false;
    },
    healthy() {
      state.healthy = true;
    },
    failed: (error) => {
      throw error;
    },
    serializer: (type, properties) => {
      if (serializerOf) return serializerOf;
      // biome-ignore lint/suspicious/noExplicitAny: any serializer's properties
      const spec: SerializerSpec<any> = type === 'AVRO_EVENT' ? avroEvent : textSerializer;
      const parsed = parseProperties(spec.properties, Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, { value }])));
      return () => spec.create(parsed.config as never);
    },
  }) as Sink;
  return { sink, clock, counters, state };
}

const events = (...bodies: string[]): Sealed[] => bodies.map((body) => ({ headers: {}, body: Buffer.from(body) }));
const files = (): string[] => readdirSync(folder).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
const content = (name: string): string => readFileSync(path.join(folder, name), 'utf8');

describe('files', () => {
  it('appear with the start and are named by it and a number', async () => {
    const { sink, counters } = roll();
    await sink.start();
    expect(files()).toEqual([`${START}-1`]);
    await sink.deliver(events('a', 'b'));
    expect(content(`${START}-1`)).toBe('a\nb\n');
    await sink.stop();
    await sink.stop();
    expect(counters).toMatchObject({ ConnectionCreatedCount: 1, ConnectionClosedCount: 1, ConnectionFailedCount: 0 });
  });

  it('roll every 30 seconds, with or without events', async () => {
    const { sink, clock } = roll();
    await sink.start();
    await sink.deliver(events('a'));
    await clock.advance(30_000);
    await clock.advance(30_000);
    await sink.deliver(events('b'));
    expect(files()).toEqual([1, 2, 3].map((n) => `${START}-${n}`));
    expect(files().map(content)).toEqual(['a\n', '', 'b\n']);
    await sink.stop();
    await clock.advance(90_000);
    expect(files()).toHaveLength(3);
  });

  it('never roll with an interval of 0 or less', async () => {
    for (const interval of ['0', '-1']) {
      const { sink, clock } = roll({ 'sink.rollInterval': interval });
      await sink.start();
      await clock.advance(1e9);
      await sink.stop();
    }
    expect(files()).toHaveLength(2);
  });

  it('have prefix, time and extension with ROLLTIME, and numbers that start again each second', async () => {
    const { sink, clock } = roll({
      'sink.pathManager': 'rolltime',
      'sink.pathManager.prefix': 'web-',
      'sink.pathManager.extension': 'log',
      'sink.rollInterval': '1',
    });
    await sink.start();
    await clock.advance(1_000);
    const date = new Date(START);
    const two = (n: number): string => String(n).padStart(2, '0');
    const minute = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}${two(date.getHours())}${two(date.getMinutes())}`;
    expect(files()).toEqual([`web-${minute}05-1.log`, `web-${minute}06-1.log`]);
    await sink.stop();
  });

  it('are never written over', async () => {
    writeFileSync(path.join(folder, `${START}-1`), 'precious');
    const { sink } = roll();
    await sink.start();
    await sink.deliver(events('a'));
    expect(content(`${START}-1`)).toBe('precious');
    expect(content(`${START}-2`)).toBe('a\n');
    await sink.stop();
  });

  it('that somebody deletes are not written to any longer', async () => {
    const { sink } = roll();
    await sink.start();
    await sink.deliver(events('a'));
    rmSync(path.join(folder, `${START}-1`));
    await sink.deliver(events('b'));
    expect(files().map(content)).toEqual(['b\n']);
    await sink.stop();
  });

  it('are whole Avro containers when closed', async () => {
    const { sink } = roll({ 'sink.serializer': 'AVRO_EVENT', 'sink.serializer.compressionCodec': 'deflate' });
    await sink.start();
    await sink.deliver(events('a'));
    await sink.deliver(events('b'));
    await sink.stop();
    const bytes = readFileSync(path.join(folder, `${START}-1`));
    const sync = bytes.subarray(-16);
    expect(bytes.toString('latin1').split(sync.toString('latin1'))).toHaveLength(4);
  });

  it('are synced with sink.fsync', async () => {
    const { sink, clock } = roll({ 'sink.fsync': 'true' });
    await sink.start();
    const delivery = sink.deliver(events('a'));
    await clock.advance(30_000);
    await delivery;
    expect(files().map(content)).toEqual(['a\n', '']);
    await sink.stop();
  });
});

describe('trouble', () => {
  it('a missing directory fails the start with what to do, and the next start succeeds once it is there', async () => {
    const directory = path.join(folder, 'later');
    const { sink, counters } = roll({ 'sink.directory': directory });
    const error = await sink.start().then(
      () => undefined,
      (reason: unknown) => reason as AppError,
    );
    expect(error).toBeInstanceOf(AppError);
    expect(error?.message).toBe(`sink.directory ${directory} does not exist`);
    expect(error?.retriable).toBe(true);
    expect(error?.fix).toContain('mkdir');
    expect(counters.ConnectionFailedCount).toBe(1);
    mkdirSync(directory);
    await sink.start();
    await sink.deliver(events('a'));
    await sink.stop();
    expect(readdirSync(directory)).toEqual([`${START}-2`]);
  });

  it('a directory removed while it runs keeps events waiting until it is back', async () => {
    const { sink, clock, state } = roll();
    await sink.start();
    rmSync(folder, { recursive: true });
    await clock.advance(30_000);
    expect(state.healthy).toBe(false);
    await expect(sink.deliver(events('a'))).rejects.toThrow('does not exist');
    mkdirSync(folder);
    await sink.deliver(events('a'));
    expect(state.healthy).toBe(true);
    expect(files().map(content)).toEqual(['a\n']);
    await sink.stop();
  });

  it('a serializer that throws in the middle of a batch costs its file, not the batch', async () => {
    let bad = true;
    const serializer: Serializer = {
      supportsReopen: true,
      write(batch, out) {
        for (const { body } of batch) {
          if (bad && body.toString() === 'b') throw new Error('no b');
          out.push(body);
        }
      },
    };
    const { sink } = roll({}, () => serializer);
    await sink.start();
    await expect(sink.deliver(events('a', 'b'))).rejects.toThrow('cannot serialize an event for');
    bad = false;
    await sink.deliver(events('a', 'b'));
    await sink.stop();
    expect(files().map(content)).toEqual(['', 'ab']);
  });

  it('writes batches of more parts than one system call takes', async () => {
    const { sink } = roll({ 'sink.serializer.appendNewline': 'false' });
    await sink.start();
    await sink.deliver(events(...Array.from({ length: 5_000 }, (_, i) => (i % 3 ? `${i},` : ''))));
    await sink.stop();
    expect(content(`${START}-1`)).toBe(Array.from({ length: 5_000 }, (_, i) => (i % 3 ? `${i},` : '')).join(''));
  });
});
