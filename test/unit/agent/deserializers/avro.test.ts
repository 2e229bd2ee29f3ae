/** The fixtures are three blocks of 3, 2 and 2 records, written by Avro 1.11 for Java; so were the fingerprints. */
import { readFileSync } from 'node:fs';
import avsc from 'avsc';
import { describe, expect, it } from 'vitest';
import avro from '../../../../src/agent/deserializers/avro.ts';
import { containerBlock, containerCodec, containerHeader, readContainerHeader } from '../../../../src/agent/wire/avro-container.ts';
import { canonicalForm, schemaFingerprint } from '../../../../src/agent/wire/avro-schema.ts';
import { drain, open } from './reading.ts';

const fixture = (codec: string): Buffer => readFileSync(new URL(`../../../fixtures/avro/records-${codec}.avro`, import.meta.url));
const plain = fixture('null');
const HASH = '0b76e60f66c6d794';

describe('AVRO', () => {
  it.each(['null', 'deflate'])('gives one event per datum (%s)', (codec) => {
    const { events } = drain(open(avro, fixture(codec)));
    expect(events.map((event) => event.headers)).toEqual(Array(7).fill({ 'flume.avro.schema.hash': HASH }));
    expect(events[1]?.body.toString('hex')).toBe('020204733102010203040004020400');
    // The first id is the largest long there is.
    expect(events[0]?.body.toString('hex')).toMatch(/^feffffffffffffffff01/);
  });

  it('puts the schema itself into a header', () => {
    const { events } = drain(open(avro, plain, { properties: { schemaType: 'literal' } }));
    const literal = events[0]?.headers['flume.avro.schema.literal'] as string;
    expect(schemaFingerprint(literal)).toBe(HASH);
  });

  it('marks the sync marker before the block under way, and goes on from any mark', () => {
    const { length } = readContainerHeader(plain);
    const input = open(avro, plain);
    expect(input.mark()).toBe(length - 16);
    expect(input.read(2)).toHaveLength(2);
    expect(input.mark()).toBe(length - 16);
    expect(input.read(2)).toHaveLength(1);
    const second = input.mark();
    expect(second).toBeGreaterThan(length);
    expect(drain(open(avro, plain, { position: second })).events).toHaveLength(4);
    expect(drain(input).marks.at(-1)).toBe(plain.length - 16);
    expect(drain(open(avro, plain, { position: plain.length - 16 })).events).toHaveLength(0);
    // A position within a block, as a sync search allows: the next block.
    expect(drain(open(avro, plain, { position: length + 1 })).events).toHaveLength(4);
  });

  it('says which file is no container, torn, or damaged', () => {
    expect(() => open(avro, Buffer.from('hello'))).toThrow('/spool/f cannot be read as an Avro container file: header: it does not begin as');
    expect(() => drain(open(avro, plain.subarray(0, plain.length - 3)))).toThrow('goes on behind the end');
    const damaged = Buffer.from(plain);
    damaged.writeUInt8((damaged.at(-1) as number) ^ 1, plain.length - 1);
    expect(() => drain(open(avro, damaged))).toThrow('does not end with the sync marker');
    const { length } = readContainerHeader(plain);
    const wrongCount = Buffer.from(plain);
    wrongCount[length] = 2;
    expect(() => drain(open(avro, wrongCount))).toThrow('bytes follow the 1 datums');
  });

  it('reads files of another implementation, snappy and zstandard blocks, and headers longer than a read', () => {
    const schema = JSON.stringify({ type: 'record', name: 'Long', doc: 'x'.repeat(50_000), fields: [{ name: 's', type: 'string' }] });
    const sync = Buffer.alloc(16, 7);
    const datum = avsc.Type.forSchema(JSON.parse(schema)).toBuffer({ s: 'hello '.repeat(100) });
    for (const name of ['snappy', 'zstandard']) {
      const packed = containerCodec(name)?.pack(Buffer.concat([datum, datum])) as Buffer;
      expect(packed.length).toBeLessThan(datum.length);
      const file = Buffer.concat([containerHeader(schema, sync, name), containerBlock(2, packed, sync)]);
      expect(drain(open(avro, file)).events.map((event) => event.body)).toEqual([datum, datum]);
    }
    const bzip2 = containerHeader(schema, sync, 'bzip2');
    expect(() => open(avro, bzip2)).toThrow('its codec bzip2 is not supported here');
  });
});

describe('schemas', () => {
  it('have the canonical form and fingerprint of Java', () => {
    const event = '{"type":"record","name":"Event","fields":[{"name":"headers","type":{"type":"map","values":"string"}},{"name":"body","type":"bytes"}]}';
    expect(canonicalForm(event)).toBe(
      '{"name":"Event","type":"record","fields":[{"name":"headers","type":{"type":"map","values":"string"}},{"name":"body","type":"bytes"}]}',
    );
    expect(schemaFingerprint(event)).toBe('8a878e615f1bfc26');
    expect(schemaFingerprint('"string"')).toBe('c70345637248018f');
    const names =
      '{"namespace":"n.s","type":"record","doc":"x","aliases":["Old"],"name":"R","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"again","type":["null","E"],"default":null}]}';
    expect(canonicalForm(names)).toBe(
      '{"name":"n.s.R","type":"record","fields":[{"name":"e","type":{"name":"n.s.E","type":"enum","symbols":["A"]}},{"name":"again","type":["null","n.s.E"]}]}',
    );
  });
});
