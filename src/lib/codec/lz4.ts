/**
 * LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md) in plain JavaScript: what runs where the
 * native package is absent, the only reader with an exact size limit, and the writer of the header checksum that Kafka
 * got wrong in message format 0 (KAFKA-3160: the hash took in the magic number).
 *
 *   magic 04 22 4D 18 · FLG · BD · [content size 8] · [dictionary id 4] · header checksum 1
 *   blocks: size u32 LE (top bit: stored) · data · [checksum 4]      end mark 00 00 00 00 · [content checksum 4]
 */
import { damaged, tooLarge } from './fault.ts';

const MAGIC = 0x184d2204;
const STORED = 0x80000000;
const BLOCK_BYTES = 65_536;
const HASH_BITS = 14;
const MIN_MATCH = 4;

const rotl = (x: number, r: number): number => (x << r) | (x >>> (32 - r));
const P1 = 0x9e3779b1;
const P2 = 0x85ebca77;
const P3 = 0xc2b2ae3d;
const P4 = 0x27d4eb2f;
const P5 = 0x165667b1;

/** xxHash32 with seed 0 of fewer than 16 bytes: all that a frame header needs. */
function shortHash(buf: Buffer, from: number, end: number): number {
  let h = (P5 + (end - from)) | 0;
  let i = from;
  for (; i + 4 <= end; i += 4) h = Math.imul(rotl((h + Math.imul(buf.readInt32LE(i), P3)) | 0, 17), P4);
  for (; i < end; i++) h = Math.imul(rotl((h + Math.imul(buf[i]!, P5)) | 0, 11), P1);
  h = Math.imul(h ^ (h >>> 15), P2);
  h = Math.imul(h ^ (h >>> 13), P3);
  return (h ^ (h >>> 16)) >>> 0;
}

interface Header {
  readonly blocksAt: number;
  readonly maxBlockBytes: number;
  readonly contentSize: number;
  readonly blockChecksum: boolean;
  readonly contentChecksum: boolean;
  readonly checksumOk: boolean;
}

function readHeader(data: Buffer): Header {
  if (data.length < 7 || data.readUInt32LE(0) !== MAGIC) throw damaged('lz4', 'no frame header');
  const flags = data[4]!;
  const blockCode = (data[5]! >> 4) & 7;
  if (flags >> 6 !== 1 || blockCode < 4) throw damaged('lz4', 'unknown frame version or block size');
  if (flags & 1) throw damaged('lz4', 'the frame needs a dictionary');
  const end = flags & 8 ? 14 : 6;
  if (data.length < end + 1) throw damaged('lz4', 'header cut short');
  return {
    blocksAt: end + 1,
    maxBlockBytes: 1 << (8 + 2 * blockCode),
    contentSize: flags & 8 ? data.readUInt32LE(6) + data.readUInt32LE(10) * 2 ** 32 : -1,
    blockChecksum: (flags & 16) !== 0,
    contentChecksum: (flags & 4) !== 0,
    checksumOk: ((shortHash(data, 4, end) >>> 8) & 0xff) === data[end],
  };
}

/** What a frame can unpack to at most, from its block headers alone; and whether a strict reader will take it. */
export function lz4Bound(data: Buffer): { readonly maxBytes: number; readonly strict: boolean } {
  const header = readHeader(data);
  let pos = header.blocksAt;
  let total = 0;
  while (pos + 4 <= data.length) {
    const size = data.readUInt32LE(pos);
    if (size === 0) break;
    total += size >= STORED ? size - STORED : header.maxBlockBytes;
    pos += 4 + (size & 0x7fffffff) + (header.blockChecksum ? 4 : 0);
  }
  return { maxBytes: total, strict: header.checksumOk };
}

/** Unpacks one block behind `out[at]`; `from` … `end` is the packed block. Returns the new end of the output. */
function unpackBlock(src: Buffer, range: readonly [number, number], out: Buffer, at: number): number {
  let [pos, end] = range;
  let to = at;
  const room = out.length;
  while (pos < end) {
    const token = src[pos++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let byte = 255;
      while (byte === 255 && pos < end) literals += byte = src[pos++]!;
    }
    if (pos + literals > end || to + literals > room) return -1;
    if (literals > 16) src.copy(out, to, pos, pos + literals);
    else for (let i = 0; i < literals; i++) out[to + i] = src[pos + i]!;
    pos += literals;
    to += literals;
    if (pos >= end) return to;
    if (pos + 2 > end) return -1;
    const distance = src[pos]! | (src[pos + 1]! << 8);
    pos += 2;
    let length = token & 15;
    if (length === 15) {
      let byte = 255;
      while (byte === 255 && pos < end) length += byte = src[pos++]!;
    }
    length += MIN_MATCH;
    if (distance === 0 || distance > to || to + length > room) return -1;
    if (distance >= length && length > 32) out.copyWithin(to, to - distance, to - distance + length);
    else for (let i = 0; i < length; i++) out[to + i] = out[to - distance + i]!;
    to += length;
  }
  return to;
}

/**
 * Unpacks a frame, to at most `limitBytes`. A wrong header checksum is let pass, as Kafka's readers do for format 0.
 * @throws CodecError
 */
export function lz4Decompress(data: Buffer, limitBytes: number): Buffer {
  const header = readHeader(data);
  if (header.contentSize > limitBytes) throw tooLarge('lz4', limitBytes);
  let out = Buffer.allocUnsafeSlow(Math.max(1, Math.min(limitBytes, Math.max(data.length * 4, 1024))));
  let at = 0;
  let pos = header.blocksAt;
  for (;;) {
    if (pos + 4 > data.length) throw damaged('lz4', 'no end mark');
    const size = data.readUInt32LE(pos);
    pos += 4;
    if (size === 0) break;
    const stored = size >= STORED;
    const bytes = size & 0x7fffffff;
    if (pos + bytes > data.length || bytes > header.maxBlockBytes) throw damaged('lz4', 'a block reaches beyond the data');
    const need = at + (stored ? bytes : header.maxBlockBytes);
    if (need > out.length && out.length < limitBytes) {
      const grown = Buffer.allocUnsafeSlow(Math.min(limitBytes, Math.max(need, out.length * 2)));
      out.copy(grown, 0, 0, at);
      out = grown;
    }
    if (stored) {
      if (at + bytes > out.length) throw tooLarge('lz4', limitBytes);
      data.copy(out, at, pos, pos + bytes);
      at += bytes;
    } else {
      const next = unpackBlock(data, [pos, pos + bytes], out, at);
      if (next < 0) throw need > limitBytes ? tooLarge('lz4', limitBytes) : damaged('lz4', 'a block cannot be unpacked');
      at = next;
    }
    pos += bytes + (header.blockChecksum ? 4 : 0);
  }
  if (header.contentSize >= 0 && header.contentSize !== at) throw damaged('lz4', 'the content size is wrong');
  return out.subarray(0, at);
}

function putLength(out: Buffer, at: number, rest: number): number {
  let pos = at;
  let left = rest;
  for (; left >= 255; left -= 255) out[pos++] = 255;
  out[pos++] = left;
  return pos;
}

/** Packs `src[from, end)` (at most 64 KiB) behind `out[at]`, or returns -1 when that would not make it smaller. */
function packBlock(src: Buffer, range: readonly [number, number], out: Buffer, at: number): number {
  const [from, end] = range;
  const limit = at + (end - from) - 1;
  const table = new Uint16Array(1 << HASH_BITS);
  const lastMatch = end - 12; // the format's rule: the last match starts 12 bytes before the end, the last 5 are literals
  let anchor = from;
  let to = at;
  for (let pos = from; pos < lastMatch; ) {
    const word = src[pos]! | (src[pos + 1]! << 8) | (src[pos + 2]! << 16) | (src[pos + 3]! << 24);
    const hash = Math.imul(word, -1640531535) >>> (32 - HASH_BITS);
    const candidate = from + table[hash]!;
    table[hash] = pos - from;
    const same =
      candidate < pos &&
      src[candidate] === src[pos] &&
      src[candidate + 1] === src[pos + 1] &&
      src[candidate + 2] === src[pos + 2] &&
      src[candidate + 3] === src[pos + 3];
    if (!same) {
      pos += 1 + ((pos - anchor) >> 6);
      continue;
    }
    let length = MIN_MATCH;
    while (pos + length < end - 5 && src[candidate + length] === src[pos + length]) length++;
    to = putSequence(src, [anchor, pos], out, to);
    if (to + 8 + length / 255 > limit) return -1;
    out[to++] = (pos - candidate) & 0xff;
    out[to++] = (pos - candidate) >> 8;
    const more = length - MIN_MATCH;
    const tokenAt = to - 2 - literalBytes(pos - anchor);
    out[tokenAt] = out[tokenAt]! | Math.min(15, more);
    if (more >= 15) to = putLength(out, to, more - 15);
    pos += length;
    anchor = pos;
  }
  if (to + literalBytes(end - anchor) > limit) return -1;
  return putSequence(src, [anchor, end], out, to);
}

/** Bytes of a sequence up to its distance: token, length bytes, literals. */
function literalBytes(literals: number): number {
  return 1 + literals + (literals >= 15 ? Math.floor((literals - 15) / 255) + 1 : 0);
}

function putSequence(src: Buffer, range: readonly [number, number], out: Buffer, at: number): number {
  const [from, end] = range;
  const literals = end - from;
  let to = at;
  out[to++] = Math.min(15, literals) << 4;
  if (literals >= 15) to = putLength(out, to, literals - 15);
  src.copy(out, to, from, end);
  return to + literals;
}

/** Packs into independent blocks of 64 KiB without checksums, as Kafka's Java client does. */
export function lz4Compress(data: Buffer, brokenChecksum = false): Buffer {
  const blocks = Math.ceil(data.length / BLOCK_BYTES);
  // Every sequence is written before its size is compared, so leave room for one more of the longest kind.
  const out = Buffer.allocUnsafeSlow(7 + data.length + 4 * blocks + 4 + BLOCK_BYTES + 512);
  out.writeUInt32LE(MAGIC, 0);
  out[4] = 0x60;
  out[5] = 0x40;
  out[6] = (shortHash(out, brokenChecksum ? 0 : 4, 6) >>> 8) & 0xff;
  let to = 7;
  for (let from = 0; from < data.length; from += BLOCK_BYTES) {
    const end = Math.min(data.length, from + BLOCK_BYTES);
    const packed = packBlock(data, [from, end], out, to + 4);
    if (packed < 0) {
      out.writeUInt32LE(STORED + (end - from), to);
      data.copy(out, to + 4, from, end);
      to += 4 + end - from;
    } else {
      out.writeUInt32LE(packed - to - 4, to);
      to = packed;
    }
  }
  out.writeUInt32LE(0, to);
  return out.subarray(0, to + 4);
}

/** Rewrites the header checksum of a frame as formats 0 (`broken`) or 1 and 2 want it. The frame's own bytes change. */
export function lz4SetChecksum(frame: Buffer, broken: boolean): void {
  const at = readHeader(frame).blocksAt - 1;
  frame[at] = (shortHash(frame, broken ? 0 : 4, at) >>> 8) & 0xff;
}
