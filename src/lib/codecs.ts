/**
 * The five codecs of Kafka's record batches behind four functions: pack and unpack, synchronous (small data, on the
 * loop) and asynchronous (from {@link POOL_FROM} bytes on the libuv pool where a native can do that). Unpacking is
 * bounded: `limitBytes` is checked before memory is taken, so a bomb costs an error. gzip is node:zlib; snappy and
 * lz4 are optional natives with plain JavaScript behind them; zstd is node:zlib or WebAssembly (codec/zstd.ts).
 */
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { constants, gunzip, gunzipSync, gzip, gzipSync, type ZlibOptions } from 'node:zlib';
import { CodecError, damaged, tooLarge } from './codec/fault.ts';
import { lz4Bound, lz4Compress, lz4Decompress, lz4SetChecksum } from './codec/lz4.ts';
import { isXerial, plainSnappy, type RawSnappy, rawSnappySize, snappyCompress, snappyDecompress } from './codec/snappy.ts';
import { nodeZstd, zstdCompress, zstdDecompress } from './codec/zstd.ts';

export { CodecError } from './codec/fault.ts';

/** Codec numbers as in the attributes of a record batch. */
export const CODECS = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
export type CodecName = keyof typeof CODECS;

/** Smaller data is done on the loop: a trip to the pool costs more. */
export const POOL_FROM = 16_384;

export interface CompressOptions {
  /** gzip 1 … 9 or -1, zstd 1 … 22; the others have none. Default: the codec's own. */
  readonly level?: number | undefined;
  /** lz4 for Kafka's message format 0, whose header checksum covers the wrong bytes. */
  readonly brokenLz4?: boolean;
}

interface NativeSnappy {
  compressSync(data: Buffer): Buffer;
  uncompressSync(data: Buffer): Buffer;
  compress(data: Buffer): Promise<Buffer>;
  uncompress(data: Buffer): Promise<Buffer>;
}

interface NativeLz4 {
  compressFrameSync(data: Buffer): Buffer;
  compressFrame(data: Buffer): Promise<Buffer>;
  decompressFrame(data: Buffer): Promise<Buffer>;
}

const require = createRequire(import.meta.url);

/** An optional package, or null where it is not installed. */
function optional<T>(name: string): T | null {
  try {
    return require(name) as T;
  } catch {
    return null; // absent on this platform: plain JavaScript does the same work
  }
}

let snappyPackage: NativeSnappy | null | undefined;
let lz4Package: NativeLz4 | null | undefined;
let rawSnappy: RawSnappy | undefined;

function nativeSnappy(): NativeSnappy | null {
  if (snappyPackage === undefined) snappyPackage = optional<NativeSnappy>('snappy');
  return snappyPackage;
}

function nativeLz4(): NativeLz4 | null {
  if (lz4Package === undefined) lz4Package = optional<NativeLz4>('lz4-napi');
  return lz4Package;
}

function snappyBlocks(): RawSnappy {
  if (rawSnappy) return rawSnappy;
  const native = nativeSnappy();
  rawSnappy = native
    ? {
        compress: (data) => native.compressSync(data),
        uncompress: (block) => {
          try {
            return native.uncompressSync(block);
          } catch (cause) {
            throw damaged('snappy', 'it cannot be unpacked', cause);
          }
        },
      }
    : plainSnappy;
  return rawSnappy;
}

function unknown(codec: number): CodecError {
  return new CodecError(`compression codec ${codec} is not known`, { fix: 'send none, gzip, snappy, lz4 or zstd' });
}

/** Turns zlib's complaint into ours: its code for a passed limit is ERR_BUFFER_TOO_LARGE. */
function zlibFault(codec: CodecName, limitBytes: number, cause: unknown): CodecError {
  return (cause as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge(codec, limitBytes) : damaged(codec, 'it cannot be unpacked', cause);
}

function gzipOptions(options: CompressOptions): ZlibOptions {
  return { level: options.level ?? constants.Z_DEFAULT_COMPRESSION };
}

const zstdOptions = (options: CompressOptions): object => ({ params: { [nodeZstd.constants.ZSTD_c_compressionLevel ?? 0]: options.level ?? 3 } });

/** Packs `data`; codec 0 gives it back as it is. snappy comes in the xerial form, lz4 as a frame. */
export function compress(codec: number, data: Buffer, options: CompressOptions = {}): Buffer {
  switch (codec) {
    case CODECS.none:
      return data;
    case CODECS.gzip:
      return gzipSync(data, gzipOptions(options));
    case CODECS.snappy:
      return snappyCompress(data, snappyBlocks());
    case CODECS.lz4: {
      const native = nativeLz4();
      if (!native || data.length === 0) return lz4Compress(data, options.brokenLz4);
      const frame = native.compressFrameSync(data);
      if (options.brokenLz4) lz4SetChecksum(frame, true);
      return frame;
    }
    case CODECS.zstd:
      return nodeZstd.zstdCompressSync ? nodeZstd.zstdCompressSync(data, zstdOptions(options)) : zstdCompress(data, options.level ?? 3);
    default:
      throw unknown(codec);
  }
}

/**
 * Unpacks `data` to at most `limitBytes`; codec 0 gives it back as it is.
 * @throws CodecError when damaged, too large or of an unknown codec
 */
export function decompress(codec: number, data: Buffer, limitBytes: number): Buffer {
  switch (codec) {
    case CODECS.none:
      return data;
    case CODECS.gzip:
      try {
        return gunzipSync(data, { maxOutputLength: Math.max(1, limitBytes) });
      } catch (cause) {
        throw zlibFault('gzip', limitBytes, cause);
      }
    case CODECS.snappy:
      return snappyDecompress(data, limitBytes, snappyBlocks());
    case CODECS.lz4:
      return lz4Decompress(data, limitBytes);
    case CODECS.zstd:
      if (!nodeZstd.zstdDecompressSync) return zstdDecompress(data, limitBytes);
      try {
        return nodeZstd.zstdDecompressSync(data, { maxOutputLength: Math.max(1, limitBytes) });
      } catch (cause) {
        throw zlibFault('zstd', limitBytes, cause);
      }
    default:
      throw unknown(codec);
  }
}

const gzipOnPool = promisify<Buffer, ZlibOptions, Buffer>(gzip);
const gunzipOnPool = promisify<Buffer, ZlibOptions, Buffer>(gunzip);

/** {@link compress} without holding up the loop: from {@link POOL_FROM} bytes on the pool, where the codec can. */
export async function compressAsync(codec: number, data: Buffer, options: CompressOptions = {}): Promise<Buffer> {
  if (data.length < POOL_FROM) return compress(codec, data, options);
  if (codec === CODECS.gzip) return gzipOnPool(data, gzipOptions(options));
  if (codec === CODECS.lz4) {
    const native = nativeLz4();
    if (!native) return compress(codec, data, options);
    const frame = await native.compressFrame(data);
    if (options.brokenLz4) lz4SetChecksum(frame, true);
    return frame;
  }
  if (codec === CODECS.zstd && nodeZstd.zstdCompress) return promisify<Buffer, object, Buffer>(nodeZstd.zstdCompress)(data, zstdOptions(options));
  return compress(codec, data, options);
}

/**
 * {@link decompress} without holding up the loop: from {@link POOL_FROM} packed bytes on the pool, where the codec can.
 * @throws CodecError as a rejection
 */
export async function decompressAsync(codec: number, data: Buffer, limitBytes: number): Promise<Buffer> {
  if (data.length < POOL_FROM) return decompress(codec, data, limitBytes);
  try {
    if (codec === CODECS.gzip) return await gunzipOnPool(data, { maxOutputLength: Math.max(1, limitBytes) });
    if (codec === CODECS.zstd && nodeZstd.zstdDecompress) {
      return await promisify<Buffer, object, Buffer>(nodeZstd.zstdDecompress)(data, { maxOutputLength: Math.max(1, limitBytes) });
    }
  } catch (cause) {
    throw zlibFault(codec === CODECS.gzip ? 'gzip' : 'zstd', limitBytes, cause);
  }
  if (codec === CODECS.lz4) return unpackLz4OnPool(data, limitBytes);
  if (codec === CODECS.snappy) return unpackSnappyOnPool(data, limitBytes);
  return decompress(codec, data, limitBytes);
}

/** The native reader knows no limit and insists on the header checksum: it gets only what is surely small enough and right. */
async function unpackLz4OnPool(data: Buffer, limitBytes: number): Promise<Buffer> {
  const native = nativeLz4();
  const bound = lz4Bound(data);
  if (!native || !bound.strict || bound.maxBytes > limitBytes) return lz4Decompress(data, limitBytes);
  try {
    return await native.decompressFrame(data);
  } catch (cause) {
    throw damaged('lz4', 'it cannot be unpacked', cause);
  }
}

/** One raw block goes to the pool; the xerial form is many small blocks, each too short for the trip. */
async function unpackSnappyOnPool(data: Buffer, limitBytes: number): Promise<Buffer> {
  const native = nativeSnappy();
  const size = rawSnappySize(data);
  if (!native || isXerial(data) || size > limitBytes || size > data.length * 64) return decompress(CODECS.snappy, data, limitBytes);
  try {
    return await native.uncompress(data);
  } catch (cause) {
    throw damaged('snappy', 'it cannot be unpacked', cause);
  }
}
