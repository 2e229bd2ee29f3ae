/**
 * Snappy as Kafka clients send it: one raw block (librdkafka, franz-go, sarama), or the "xerial" stream of the Java
 * client: 82 53 4E 41 50 50 59 00 · version i32 · compatible i32 · then (size i32, raw block of ≤ 32 KiB) repeated.
 * Raw blocks here are plain JavaScript (https://github.com/google/snappy/blob/main/format_description.txt); codecs.ts
 * swaps in the native package where it is installed.
 */
import { damaged, tooLarge } from './fault.ts';

const XERIAL = Buffer.from('82534e4150505900', 'hex');
const XERIAL_HEADER_BYTES = 16;
/** Uncompressed bytes per block of the Java writer; its readers accept any, but this one all of them know. */
const XERIAL_BLOCK_BYTES = 32_768;
const FRAGMENT_BYTES = 65_536;
const HASH_BITS = 14;

/** Functions on one raw block. */
export interface RawSnappy {
  compress(data: Buffer): Buffer;
  /** `sizeBytes` is the unpacked size that the block states, already checked against the limit. */
  uncompress(block: Buffer, sizeBytes: number): Buffer;
}

/** The unpacked size that a raw block states (a varint in front), and where its elements begin. */
function preamble(block: Buffer): readonly [sizeBytes: number, at: number] {
  let size = 0;
  for (let i = 0; i < 5 && i < block.length; i++) {
    const byte = block[i]!;
    size += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return [size, i + 1];
  }
  throw damaged('snappy', 'no length in front');
}

function uncompressRaw(block: Buffer, sizeBytes: number): Buffer {
  const out = Buffer.allocUnsafeSlow(sizeBytes);
  let [, pos] = preamble(block);
  let to = 0;
  const end = block.length;
  while (pos < end) {
    const tag = block[pos++]!;
    let length = (tag >> 2) + 1;
    let distance = 0;
    const kind = tag & 3;
    if (kind === 0) {
      if (length > 60) {
        const bytes = length - 60;
        if (pos + bytes > end) throw damaged('snappy', 'cut short');
        length = block.readUIntLE(pos, bytes) + 1;
        pos += bytes;
      }
      if (pos + length > end || to + length > sizeBytes) throw damaged('snappy', 'a literal reaches beyond the data');
      if (length > 16) block.copy(out, to, pos, pos + length);
      else for (let i = 0; i < length; i++) out[to + i] = block[pos + i]!;
      pos += length;
      to += length;
      continue;
    }
    const bytes = kind === 1 ? 1 : kind === 2 ? 2 : 4;
    if (pos + bytes > end) throw damaged('snappy', 'cut short');
    if (kind === 1) {
      length = ((tag >> 2) & 7) + 4;
      distance = ((tag >> 5) << 8) | block[pos]!;
    } else distance = block.readUIntLE(pos, bytes);
    pos += bytes;
    if (distance === 0 || distance > to || to + length > sizeBytes) throw damaged('snappy', 'a copy reaches beyond the data');
    if (distance >= length && length > 32) out.copyWithin(to, to - distance, to - distance + length);
    else for (let i = 0; i < length; i++) out[to + i] = out[to - distance + i]!;
    to += length;
  }
  if (to !== sizeBytes) throw damaged('snappy', 'shorter than it says');
  return out;
}

function putLiteral(src: Buffer, range: readonly [number, number], out: Buffer, at: number): number {
  const [from, end] = range;
  const length = end - from;
  if (length === 0) return at;
  let to = at;
  if (length <= 60) out[to++] = (length - 1) << 2;
  else if (length <= 256) {
    out[to++] = 60 << 2;
    out[to++] = length - 1;
  } else {
    out[to++] = 61 << 2;
    out[to++] = (length - 1) & 0xff;
    out[to++] = (length - 1) >> 8;
  }
  src.copy(out, to, from, end);
  return to + length;
}

function putCopy(out: Buffer, at: number, distance: number, length: number): number {
  let to = at;
  let rest = length;
  while (rest > 0) {
    const part = rest > 64 ? (rest < 68 ? 60 : 64) : rest;
    out[to++] = ((part - 1) << 2) | 2;
    out[to++] = distance & 0xff;
    out[to++] = distance >> 8;
    rest -= part;
  }
  return to;
}

/** Packs one fragment of at most 64 KiB: copies never reach over its start, so 16 bits of distance do. */
function packFragment(src: Buffer, range: readonly [number, number], out: Buffer, at: number): number {
  const [from, end] = range;
  const table = new Uint16Array(1 << HASH_BITS);
  let anchor = from;
  let to = at;
  for (let pos = from; pos + 4 <= end; ) {
    const word = src[pos]! | (src[pos + 1]! << 8) | (src[pos + 2]! << 16) | (src[pos + 3]! << 24);
    const hash = Math.imul(word, 0x1e35a7bd) >>> (32 - HASH_BITS);
    const candidate = from + table[hash]!;
    table[hash] = pos - from;
    const same =
      candidate < pos &&
      src[candidate] === src[pos] &&
      src[candidate + 1] === src[pos + 1] &&
      src[candidate + 2] === src[pos + 2] &&
      src[candidate + 3] === src[pos + 3];
    if (!same) {
      pos += 1 + ((pos - anchor) >> 5);
      continue;
    }
    let length = 4;
    while (pos + length < end && src[candidate + length] === src[pos + length]) length++;
    to = putLiteral(src, [anchor, pos], out, to);
    to = putCopy(out, to, pos - candidate, length);
    pos += length;
    anchor = pos;
  }
  return putLiteral(src, [anchor, end], out, to);
}

function compressRaw(data: Buffer): Buffer {
  const out = Buffer.allocUnsafeSlow(32 + data.length + Math.ceil(data.length / 6));
  let to = 0;
  let rest = data.length;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) out[to++] = (rest & 0x7f) | 0x80;
  out[to++] = rest;
  for (let from = 0; from < data.length; from += FRAGMENT_BYTES) to = packFragment(data, [from, Math.min(data.length, from + FRAGMENT_BYTES)], out, to);
  return out.subarray(0, to);
}

/** Raw blocks by plain JavaScript. */
export const plainSnappy: RawSnappy = { compress: compressRaw, uncompress: uncompressRaw };

export function isXerial(data: Buffer): boolean {
  return data.length >= XERIAL_HEADER_BYTES && data.compare(XERIAL, 0, 8, 0, 8) === 0;
}

/**
 * Unpacks both forms, to at most `limitBytes`.
 * @throws CodecError
 */
export function snappyDecompress(data: Buffer, limitBytes: number, raw: RawSnappy = plainSnappy): Buffer {
  if (!isXerial(data)) return uncompressWithin(data, [limitBytes, limitBytes], raw);
  const parts: Buffer[] = [];
  let total = 0;
  for (let pos = XERIAL_HEADER_BYTES; pos < data.length; ) {
    const size = pos + 4 <= data.length ? data.readUInt32BE(pos) : -1;
    if (size < 0 || pos + 4 + size > data.length) throw damaged('snappy', 'a block reaches beyond the data');
    const part = uncompressWithin(data.subarray(pos + 4, pos + 4 + size), [limitBytes - total, limitBytes], raw);
    parts.push(part);
    total += part.length;
    pos += 4 + size;
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts, total);
}

/** The unpacked size of a raw block as it states it; -1 when it states none. */
export function rawSnappySize(block: Buffer): number {
  return block.length === 0 ? -1 : preamble(block)[0];
}

/** `left` of `limitBytes` are left for this block. */
function uncompressWithin(block: Buffer, [left, limitBytes]: readonly [number, number], raw: RawSnappy): Buffer {
  const [size] = preamble(block);
  if (size > left) throw tooLarge('snappy', limitBytes);
  // Three bytes make at most 64, so a length that the block cannot hold must not be allocated.
  if (size > block.length * 64) throw damaged('snappy', 'the stated length is impossible');
  return raw.uncompress(block, size);
}

/** Packs into the xerial form, which every Kafka client reads. */
export function snappyCompress(data: Buffer, raw: RawSnappy = plainSnappy): Buffer {
  const parts: Buffer[] = [Buffer.concat([XERIAL, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])])];
  for (let from = 0; from < data.length || from === 0; from += XERIAL_BLOCK_BYTES) {
    const block = raw.compress(data.subarray(from, from + XERIAL_BLOCK_BYTES));
    const size = Buffer.allocUnsafe(4);
    size.writeUInt32BE(block.length, 0);
    parts.push(size, block);
  }
  return Buffer.concat(parts);
}
