/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78: Kafka's v2 batches, RFC 3720) and CRC-32 (IEEE 802.3:
 * gzip, Kafka's old message sets). Slice-by-8 tables in plain JavaScript; above {@link NATIVE_FROM} bytes the optional
 * package @node-rs/crc32 and node:zlib take over, because a call into native code costs more than a short loop.
 * Both natives are looked up at first use, so a tool that never needs them does not pay for loading.
 */
import { createRequire } from 'node:module';
import * as zlib from 'node:zlib';

type Native = (data: Buffer, seed?: number) => number;

/** From this many bytes on the native functions are faster than the tables (bench/micro-crc.ts). */
const NATIVE_FROM = 256;

/** Eight tables of 256 entries, one behind the other. */
function makeTables(polynomial: number): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ polynomial : c >>> 1;
    tables[n] = c;
  }
  for (let n = 0; n < 256; n++) {
    for (let k = 1; k < 8; k++) {
      const before = tables[(k - 1) * 256 + n] as number;
      tables[k * 256 + n] = (before >>> 8) ^ (tables[before & 0xff] as number);
    }
  }
  return tables;
}

function sliceBy8(t: Int32Array, buf: Buffer, from: number, end: number): number {
  let crc = -1;
  let i = from;
  for (const stop = end - 7; i < stop; i += 8) {
    const low = crc ^ (buf[i]! | (buf[i + 1]! << 8) | (buf[i + 2]! << 16) | (buf[i + 3]! << 24));
    crc =
      t[1792 + (low & 0xff)]! ^
      t[1536 + ((low >>> 8) & 0xff)]! ^
      t[1280 + ((low >>> 16) & 0xff)]! ^
      t[1024 + (low >>> 24)]! ^
      t[768 + buf[i + 4]!]! ^
      t[512 + buf[i + 5]!]! ^
      t[256 + buf[i + 6]!]! ^
      t[buf[i + 7]!]!;
  }
  for (; i < end; i++) crc = (crc >>> 8) ^ t[(crc ^ buf[i]!) & 0xff]!;
  return ~crc >>> 0;
}

let castagnoliTables: Int32Array | undefined;
let ieeeTables: Int32Array | undefined;
let nativeCastagnoli: Native | null | undefined;

function loadNative(): Native | null {
  try {
    const found = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c?: Native };
    return found.crc32c ?? null;
  } catch {
    return null; // an optional dependency: absent on this platform, and the tables do the same work
  }
}

/** node:zlib has it from Node 20.15 and 22.2 on. */
const nativeIeee = (zlib as { crc32?: Native }).crc32;

/** CRC-32C of `buf[from, end)`, 0 … 2^32-1. */
export function crc32c(buf: Buffer, from = 0, end: number = buf.length): number {
  if (end - from >= NATIVE_FROM) {
    if (nativeCastagnoli === undefined) nativeCastagnoli = loadNative();
    if (nativeCastagnoli) return nativeCastagnoli(from === 0 && end === buf.length ? buf : buf.subarray(from, end)) >>> 0;
  }
  return crc32cTable(buf, from, end);
}

/** {@link crc32c} by tables only; what runs where the native package is absent. */
export function crc32cTable(buf: Buffer, from = 0, end: number = buf.length): number {
  castagnoliTables ??= makeTables(0x82f63b78);
  return sliceBy8(castagnoliTables, buf, from, end);
}

/** CRC-32 (IEEE) of `buf[from, end)`, 0 … 2^32-1. */
export function crc32(buf: Buffer, from = 0, end: number = buf.length): number {
  if (nativeIeee && end - from >= NATIVE_FROM) return nativeIeee(buf.subarray(from, end)) >>> 0;
  return crc32Table(buf, from, end);
}

/** {@link crc32} by tables only. */
export function crc32Table(buf: Buffer, from = 0, end: number = buf.length): number {
  ieeeTables ??= makeTables(0xedb88320);
  return sliceBy8(ieeeTables, buf, from, end);
}
