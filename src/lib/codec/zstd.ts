/**
 * Zstandard: node:zlib has it from 22.15 on; before that, the C library as WebAssembly (package @bokuweb/zstd-wasm).
 * The package only offers asynchronous start-up with unbounded output, so its module object is driven here directly:
 * compiled synchronously at first use, and unpacking into exactly as much room as the limit allows. It is therefore
 * pinned to one version in package.json; test/unit/lib/codecs.test.ts fails if its inside changes.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as zlib from 'node:zlib';
import { damaged, tooLarge } from './fault.ts';

/** Room for one block; a frame without a stated size gets this much at least, then twice as much each time. */
const BLOCK_MAX_BYTES = 131_072;
const SIZE_UNKNOWN = -1;

/** The part of Emscripten's module object that is used. Functions answer sizes; an error is a negative one. */
interface WasmModule {
  instantiateWasm?: (imports: object, receive: (instance: object) => void) => object;
  onRuntimeInitialized?: () => void;
  init(): void;
  HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(at: number): void;
  _ZSTD_isError(code: number): number;
  _ZSTD_compressBound(bytes: number): number;
  _ZSTD_compress(to: number, room: number, from: number, bytes: number, level: number): number;
  _ZSTD_decompress(to: number, room: number, from: number, bytes: number): number;
}

/** What node:zlib offers in newer versions. */
interface NodeZstd {
  zstdCompressSync?(data: Buffer, options: object): Buffer;
  zstdDecompressSync?(data: Buffer, options: object): Buffer;
  zstdCompress?(data: Buffer, options: object, done: (error: Error | null, out: Buffer) => void): void;
  zstdDecompress?(data: Buffer, options: object, done: (error: Error | null, out: Buffer) => void): void;
  constants: { ZSTD_c_compressionLevel?: number };
}

/** node:zlib's functions where they exist, for codecs.ts to run on the libuv pool. */
export const nodeZstd = zlib as unknown as NodeZstd;

// What of the compiler's globals this file uses: TypeScript has them only in its DOM library.
interface WasmGlobal {
  Module: new (bytes: Buffer) => object;
  Instance: new (module: object, imports: object) => { exports: object };
}

let loaded: WasmModule | undefined;

function wasm(): WasmModule {
  if (loaded) return loaded;
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve('@bokuweb/zstd-wasm'));
  const { Module } = require(join(folder, 'zstd.js')) as { Module: WasmModule };
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WasmGlobal };
  let ready = false;
  Module.onRuntimeInitialized = () => {
    ready = true;
  };
  Module.instantiateWasm = (imports, receive) => {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(join(folder, 'zstd.wasm'))), imports);
    receive(instance);
    return instance.exports;
  };
  Module.init();
  if (!ready) throw damaged('zstd', 'its library did not start');
  loaded = Module;
  return Module;
}

/** Runs `work` with `data` in the library's memory and `room` bytes for the result, which is copied out. -1: an error. */
function within(lib: WasmModule, data: Buffer, room: number, work: (to: number, from: number) => number): Buffer | null {
  const from = lib._malloc(Math.max(1, data.length));
  const to = lib._malloc(Math.max(1, room));
  try {
    if (from === 0 || to === 0) throw damaged('zstd', 'no memory left to unpack it');
    lib.HEAPU8.set(data, from);
    const size = work(to, from);
    if (lib._ZSTD_isError(size)) return null;
    const out = Buffer.allocUnsafeSlow(size);
    out.set(lib.HEAPU8.subarray(to, to + size));
    return out;
  } finally {
    if (from !== 0) lib._free(from);
    if (to !== 0) lib._free(to);
  }
}

/** The unpacked size that the first frame's header states (RFC 8878, 3.1.1.1), or -1. */
function statedSize(data: Buffer): number {
  if (data.length < 6 || data.readUInt32LE(0) !== 0xfd2fb528) throw damaged('zstd', 'no frame header');
  const descriptor = data[4]!;
  const single = (descriptor & 0x20) !== 0;
  const code = descriptor >> 6;
  if (code === 0 && !single) return SIZE_UNKNOWN;
  const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  const bytes = [1, 2, 4, 8][code]!;
  if (at + bytes > data.length) throw damaged('zstd', 'header cut short');
  if (bytes === 8) return data.readUInt32LE(at) + data.readUInt32LE(at + 4) * 2 ** 32;
  return data.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0);
}

/** @throws CodecError */
export function zstdDecompress(data: Buffer, limitBytes: number): Buffer {
  const size = statedSize(data);
  if (size > limitBytes) throw tooLarge('zstd', limitBytes);
  const lib = wasm();
  let room = size === SIZE_UNKNOWN ? Math.min(limitBytes, Math.max(BLOCK_MAX_BYTES, data.length * 4)) : size;
  for (;;) {
    const space = room;
    const out = within(lib, data, space, (to, from) => lib._ZSTD_decompress(to, space, from, data.length));
    if (out) return out;
    if (size !== SIZE_UNKNOWN) throw damaged('zstd', 'it cannot be unpacked');
    if (room >= limitBytes || room >= unpackedBound(data))
      throw unpackedBound(data) > limitBytes ? tooLarge('zstd', limitBytes) : damaged('zstd', 'it cannot be unpacked');
    room = Math.min(limitBytes, room * 4);
  }
}

/** What the blocks of the first frame can hold at most: 128 KiB each. Ends early at the first impossible header. */
function unpackedBound(data: Buffer): number {
  const descriptor = data[4]!;
  const single = (descriptor & 0x20) !== 0;
  const code = descriptor >> 6;
  let pos = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + (code === 0 ? (single ? 1 : 0) : [1, 2, 4, 8][code]!);
  let total = 0;
  while (pos + 3 <= data.length) {
    const head = data.readUIntLE(pos, 3);
    const kind = (head >> 1) & 3;
    total += kind === 2 ? BLOCK_MAX_BYTES : head >> 3;
    pos += 3 + (kind === 1 ? 1 : head >> 3);
    if (head & 1) break;
  }
  return total;
}

/** `level` 1 … 22, as zstd's own. */
export function zstdCompress(data: Buffer, level: number): Buffer {
  const lib = wasm();
  const room = lib._ZSTD_compressBound(data.length);
  const out = within(lib, data, room, (to, from) => lib._ZSTD_compress(to, room, from, data.length, level));
  if (!out) throw damaged('zstd', 'it cannot be packed');
  return out;
}
