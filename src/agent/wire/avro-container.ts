/**
 * Avro object container files (Avro 1.11 specification, "Object Container Files"): header, blocks, codecs.
 *
 *   "Obj" 1 | map<bytes> with avro.schema, avro.codec, … | sync (16 bytes) | blocks
 *   block = count (long) | size (long) | packed datums (size bytes) | sync
 *
 * The framing is written out here: it is twenty lines, blocks must be cut where a flush wants them, and Flume's position
 * files carry a metadata entry of their own. Schemas and datums are avro-schema.ts.
 */
import { randomBytes } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import { plainSnappy } from '../../lib/codec/snappy.ts';
import { CODECS, compress, decompress } from '../../lib/codecs.ts';
import { ProtocolError } from '../../lib/errors.ts';

const MAGIC = Buffer.from('Obj\u0001', 'latin1');

/** Length of a sync marker. */
export const SYNC_BYTES = 16;

/** Largest block that is unpacked; Avro writers cut at some tens of kilobytes. */
const BLOCK_LIMIT_BYTES = 256 * 1024 * 1024;

export interface ContainerHeader {
  readonly meta: Readonly<Record<string, Buffer>>;
  readonly sync: Buffer;
  /** Position of the first block. */
  readonly length: number;
}

/** Bytes that open a container; `meta` goes in after schema and codec. */
export function containerHeader(schema: string, sync: Buffer, codec = 'null', meta: Readonly<Record<string, string>> = {}): Buffer {
  const out = new ByteWriter(256 + schema.length);
  const entries = Object.entries({ ...meta, 'avro.codec': codec, 'avro.schema': schema });
  out.bytes(MAGIC);
  out.varlong(entries.length);
  for (const [key, value] of entries) {
    for (const text of [key, value]) {
      out.varlong(Buffer.byteLength(text));
      out.utf8(text);
    }
  }
  out.varlong(0);
  out.bytes(sync);
  return out.finish();
}

/** A fresh sync marker. */
export function newSync(): Buffer {
  return randomBytes(SYNC_BYTES);
}

/** @throws ProtocolError not a container, or `bytes` holds less than the whole header */
export function readContainerHeader(bytes: Buffer): ContainerHeader {
  const input = new ByteReader(bytes);
  if (!input.bytes(4).equals(MAGIC)) throw new ProtocolError('it does not begin as an Avro container file');
  const meta: Record<string, Buffer> = {};
  for (let count = input.varlong(); count !== 0; count = input.varlong()) {
    if (count < 0) input.varlong();
    for (let i = Math.abs(count); i > 0; i--) {
      const key = input.utf8(input.varlong());
      meta[key] = input.bytes(input.varlong());
    }
  }
  return { meta, sync: input.bytes(SYNC_BYTES), length: input.pos };
}

/** One block of `count` datums, `packed` being their bytes after the codec. */
export function containerBlock(count: number, packed: Buffer, sync: Buffer): Buffer {
  const out = new ByteWriter(packed.length + SYNC_BYTES + 20);
  out.varlong(count);
  out.varlong(packed.length);
  out.bytes(packed);
  out.bytes(sync);
  return out.finish();
}

/** How the datums of a block are packed. */
export interface ContainerCodec {
  pack(data: Buffer): Buffer;
  /** @throws an error of any kind when damaged */
  unpack(packed: Buffer): Buffer;
}

const codecs: Readonly<Record<string, ContainerCodec>> = {
  null: { pack: (data) => data, unpack: (packed) => packed },
  deflate: { pack: (data) => deflateRawSync(data), unpack: (packed) => inflateRawSync(packed, { maxOutputLength: BLOCK_LIMIT_BYTES }) },
  snappy: { pack: packSnappy, unpack: unpackSnappy },
  zstandard: { pack: (data) => compress(CODECS.zstd, data), unpack: (packed) => decompress(CODECS.zstd, packed, BLOCK_LIMIT_BYTES) },
};

/** The codec of that name, as `avro.codec` spells it; undefined = not to be had here (bzip2, xz). */
export function containerCodec(name: string): ContainerCodec | undefined {
  return Object.hasOwn(codecs, name) ? codecs[name] : undefined;
}

/** Names that {@link containerCodec} knows. */
export const CONTAINER_CODECS: readonly string[] = Object.keys(codecs);

/** Avro's snappy block: one raw block and the CRC-32 of the plain bytes, big endian. */
function packSnappy(data: Buffer): Buffer {
  // lib/codecs packs in Kafka's xerial form, which Avro does not know.
  const raw = plainSnappy.compress(data);
  const out = Buffer.allocUnsafe(raw.length + 4);
  raw.copy(out);
  out.writeUInt32BE(crc32(data), raw.length);
  return out;
}

function unpackSnappy(packed: Buffer): Buffer {
  const body = packed.subarray(0, Math.max(0, packed.length - 4));
  const data = decompress(CODECS.snappy, body, BLOCK_LIMIT_BYTES);
  if (packed.length < 4 || crc32(data) !== packed.readUInt32BE(packed.length - 4)) throw new ProtocolError('the checksum of a snappy block does not fit');
  return data;
}

let crcTable: Int32Array | undefined;

/** CRC-32 of gzip and Ethernet (node:zlib has it from Node 22 on only). */
function crc32(data: Buffer): number {
  crcTable ??= Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc;
  });
  let crc = -1;
  for (let i = 0; i < data.length; i++) crc = (crc >>> 8) ^ (crcTable[(crc ^ (data[i] as number)) & 0xff] as number);
  return ~crc >>> 0;
}
