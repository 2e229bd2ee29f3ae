import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import avsc from 'avsc';
import { afterEach, describe, expect, it } from 'vitest';
import type { SerializerSpec } from '../../../../src/agent/core/define.ts';
import type { Sealed } from '../../../../src/agent/core/event.ts';
import type { Serializer } from '../../../../src/agent/core/serializer.ts';
import avroEvent from '../../../../src/agent/serializers/avro-event.ts';
import hdfsAvro from '../../../../src/agent/serializers/hdfs-avro.ts';
import headerAndText from '../../../../src/agent/serializers/header-and-text.ts';
import textSerializer from '../../../../src/agent/serializers/text.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

// biome-ignore lint/suspicious/noExplicitAny: any serializer's properties
function make(spec: SerializerSpec<any>, properties: Record<string, string> = {}): Serializer {
  const { config } = parseProperties(spec.properties, Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, { value }])));
  if (!config) throw new Error('bad properties');
  return spec.create(config);
}

function event(body: string | Buffer, headers: Record<string, string> = {}): Sealed {
  return { headers, body: Buffer.from(body as string) };
}

/** What a file has after these batches, each flushed, as file_roll does. */
function file(serializer: Serializer, ...batches: Sealed[][]): Buffer {
  const out: Buffer[] = [];
  const add = (bytes: Buffer | null | undefined): void => void (bytes && out.push(bytes));
  add(serializer.head?.());
  for (const batch of batches) {
    serializer.write(batch, out);
    add(serializer.flush?.());
  }
  add(serializer.tail?.());
  return Buffer.concat(out);
}

/** Decodes a container with avsc, an implementation that is not ours. */
function decode(bytes: Buffer): Promise<{ schema: unknown; values: unknown[] }> {
  return new Promise((resolve, reject) => {
    const values: unknown[] = [];
    let schema: unknown;
    const decoder = new avsc.streams.BlockDecoder();
    decoder.on('metadata', (type: avsc.Type) => {
      schema = type.schema();
    });
    decoder.on('data', (value: unknown) => values.push(value));
    decoder.on('error', reject);
    decoder.on('end', () => resolve({ schema, values }));
    decoder.end(bytes);
  });
}

describe('TEXT', () => {
  it('writes body and newline, or the body alone', () => {
    const batch = [event('a'), event(''), event(Buffer.from([0xff, 0x0a]))];
    expect(file(make(textSerializer), batch)).toEqual(Buffer.from([0x61, 0x0a, 0x0a, 0xff, 0x0a, 0x0a]));
    expect(file(make(textSerializer, { appendNewline: 'false' }), batch)).toEqual(Buffer.from([0x61, 0xff, 0x0a]));
  });
});

describe('HEADER_AND_TEXT', () => {
  it('writes headers in the order of a Java HashMap', () => {
    const batch = [event('x', { timestamp: '1', host: 'h', file: '/f', basename: 'f' }), event('y')];
    expect(file(make(headerAndText), batch).toString()).toBe('{file=/f, basename=f, host=h, timestamp=1} x\n{} y\n');
    expect(file(make(headerAndText, { appendNewline: 'false' }), batch).toString()).toBe('{file=/f, basename=f, host=h, timestamp=1} x{} y');
  });
});

describe('AVRO_EVENT', () => {
  const batch = [event('eins', { k: 'v', 中: '文' }), event(''), event(Buffer.from([0, 255]), { topic: 't' })];

  it.each(['null', 'deflate'])('is read by Avro (%s)', async (compressionCodec) => {
    const many = Array.from({ length: 1000 }, (_, i) => event(`line ${i}`));
    const { schema, values } = await decode(file(make(avroEvent, { compressionCodec }), batch, many));
    expect(schema).toMatchObject({ type: 'record', name: 'Event' });
    expect(values).toHaveLength(1003);
    expect(values[0]).toEqual({ headers: { k: 'v', 中: '文' }, body: Buffer.from('eins') });
    expect(values[2]).toEqual({ headers: { topic: 't' }, body: Buffer.from([0, 255]) });
    expect(values[1002]).toEqual({ headers: {}, body: Buffer.from('line 999') });
  });

  it('ends a block at syncIntervalBytes and with a flush', () => {
    const serializer = make(avroEvent, { syncIntervalBytes: '100' });
    const out: Buffer[] = [];
    serializer.write(
      Array.from({ length: 10 }, () => event('x'.repeat(40))),
      out,
    );
    expect(out).toHaveLength(3);
    expect(serializer.flush?.()).not.toBeNull();
    expect(serializer.flush?.()).toBeNull();
    expect(serializer.supportsReopen).toBe(false);
  });

  it('writes without compression and warns when the codec is not known', async () => {
    const serializer = make(avroEvent, { compressionCodec: 'bzip2' });
    expect((await decode(file(serializer, batch))).values).toHaveLength(3);
    const { config } = parseProperties(avroEvent.properties, { compressionCodec: { value: 'bzip2' } });
    expect(avroEvent.check?.(config as never, {})[0]).toMatchObject({ severity: 'warning', code: 'unknown-codec' });
  });
});

describe('the AvroEventSerializer of hdfs', () => {
  const literal = '{"type":"record","name":"R","fields":[{"name":"id","type":"int"}]}';
  const datum = avsc.Type.forSchema(JSON.parse(literal)).toBuffer({ id: 42 });
  let folder: string | undefined;
  afterEach(() => folder && rmSync(folder, { recursive: true, force: true }));

  it('writes bodies as datums of the schema in the header', async () => {
    const serializer = make(hdfsAvro);
    const batch = [event(datum, { 'flume.avro.schema.literal': literal }), event(datum)];
    expect((await decode(file(serializer, batch))).values).toEqual([{ id: 42 }, { id: 42 }]);
  });

  it('takes the schema from a file', async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'schema-'));
    const schema = path.join(folder, 'r.avsc');
    writeFileSync(schema, literal);
    expect((await decode(file(make(hdfsAvro, { schemaURL: schema }), [event(datum)]))).values).toEqual([{ id: 42 }]);
    const byHeader = event(datum, { 'flume.avro.schema.url': `file://${schema}`, 'flume.avro.schema.literal': 'not this' });
    expect((await decode(file(make(hdfsAvro), [byHeader]))).values).toEqual([{ id: 42 }]);
  });

  it('says what is missing', () => {
    expect(() => file(make(hdfsAvro), [event(datum)])).toThrow('an event names no Avro schema');
    expect(() => file(make(hdfsAvro, { schemaURL: 'hdfs://nn/x' }), [event(datum)])).toThrow('hdfs: is not supported');
    expect(() => file(make(hdfsAvro, { schemaURL: '/nonexistent/x' }), [event(datum)])).toThrow('the Avro schema at /nonexistent/x cannot be read');
  });
});
