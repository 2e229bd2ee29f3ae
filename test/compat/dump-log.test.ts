/**
 * The real kafka-dump-log reads our segments and indexes without complaint. See real-kafka.ts.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { CODECS } from '../../src/lib/codecs.ts';
import { realDisk } from '../../src/lib/files.ts';
import { BatchBuilder, controlBatch } from '../../src/records/builder.ts';
import { Log } from '../../src/wal/log.ts';
import { NEEDS_KAFKA, realKafka } from './real-kafka.ts';

const run = promisify(execFile);

async function dump(files: readonly string[], ...flags: string[]): Promise<string> {
  const { stdout, stderr } = await run(realKafka!.script, ['dump-log', '--files', files.join(','), ...flags], { maxBuffer: 50_000_000 });
  return stdout + stderr;
}

describe.runIf(realKafka)(`kafka-dump-log on our files (${NEEDS_KAFKA})`, () => {
  let dir: string;
  const T0 = 1_795_226_193_000;
  let log: Log;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-dump-'));
    log = Log.open({ dir, disk: realDisk, clock: systemClock, config: { segmentBytes: 12_000, indexIntervalBytes: 500 } });
    for (let i = 0; i < 200; i++) {
      const codec = i % 5;
      const builder = new BatchBuilder({ codec, producerId: 7, producerEpoch: 1, baseSequence: i * 3 });
      for (let r = 0; r < 3; r++) {
        const value = r === 2 ? null : Buffer.from(`value-${i}-${r}-${'x'.repeat(100)}`);
        builder.append(Buffer.from(`k${i}`), value, T0 + i * 10 + ((r * 7) % 5), [
          ['h', Buffer.from('1')],
          ['n', null],
        ]);
      }
      log.append(builder.finish(), 0);
    }
    log.append(controlBatch({ type: 1, producerId: 7, producerEpoch: 1, coordinatorEpoch: 4, timestamp: T0 + 5000 }), 0);
    await log.close();
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test('every batch and record is valid, of every codec', async () => {
    const files = log.segments().map((s) => `${s.path}.log`);
    expect(files.length).toBeGreaterThan(2);
    const out = await dump(files, '--deep-iteration', '--print-data-log');
    expect(out).not.toMatch(/invalid|isvalid: false|Mismatch|Non-consecutive|not found|Exception/i);
    expect(out.match(/isvalid: true/g)?.length).toBe(201);
    for (const codec of Object.keys(CODECS)) expect(out).toContain(`compresscodec: ${codec}`);
    expect(out.match(/\| offset: \d+ /g)?.length).toBe(601);
    expect(out).toContain(
      `| offset: 4 CreateTime: ${T0 + 12} keySize: 2 valueSize: 110 sequence: 4 headerKeys: [h,n] key: k1 payload: value-1-1-${'x'.repeat(100)}`,
    );
    expect(out).toContain('endTxnMarker: COMMIT coordinatorEpoch: 4');
  });

  test('offset and time indexes agree with the log', async () => {
    const indexes = readdirSync(dir)
      .filter((name) => /\.(time)?index$/.test(name))
      .map((name) => join(dir, name));
    expect(indexes.length).toBe(log.segments().length * 2);
    const out = await dump(indexes);
    expect(out).not.toMatch(/mismatch|out of order|not found|Exception|empty/i);
    expect(out.match(/offset: \d+ position: \d+/g)?.length).toBeGreaterThan(30);
    expect(out.match(/timestamp: \d+ offset: \d+/g)?.length).toBeGreaterThan(30);
    expect(await dump(indexes, '--index-sanity-check')).toContain('passed sanity check');
  });
});
