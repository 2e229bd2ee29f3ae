/**
 * Which offset is the last of each key: what a compaction must know of the dirty part of a log (Kafka's SkimpyOffsetMap).
 * Keys themselves are not kept, only 128 bits of hash each, so memory is 24 bytes a slot whatever the keys are:
 *
 *     slot = hash (4 × i32) · offset + 1 (low i32, high i32); 0 = free          open addressing, linear probing
 *
 * Two keys with one hash would lose a record; with MurmurHash3's 128 bits and a billion keys the odds are below 10^-20.
 * Pages of the table that no key falls into are never touched, so a generous size costs address space alone.
 */
const WORDS = 6;
const SLOT_BYTES = WORDS * 4;
const LOAD = 0.75;
const TWO32 = 4_294_967_296;

export class OffsetMap {
  #slots: number;
  #table: Int32Array;
  #size = 0;
  /** The last hash, so that putting and looking up allocate nothing. */
  readonly #hash = new Int32Array(4);

  /**
   * @param wanted how many keys there may be
   * @param limitBytes memory it may take
   */
  constructor(wanted: number, limitBytes: number) {
    this.#slots = Math.max(16, Math.min(Math.ceil(wanted / LOAD) + 1, Math.floor(limitBytes / SLOT_BYTES)));
    this.#table = new Int32Array(this.#slots * WORDS);
  }

  /** Keys in it. */
  get size(): number {
    return this.#size;
  }
  /** Keys that are still sure to fit. */
  get room(): number {
    return Math.floor(this.#slots * LOAD) - this.#size;
  }

  /** Makes an empty map large enough for `keys`, beyond its limit: one batch must fit, or nothing ever would. */
  growEmpty(keys: number): void {
    this.#slots = Math.ceil(keys / LOAD) + 1;
    this.#table = new Int32Array(this.#slots * WORDS);
  }

  /** Notes the key in `buf[at, at + length)` at an offset, which must be larger than all before. There must be {@link room}. */
  put(buf: Buffer, at: number, length: number, offset: number): void {
    const slot = this.#find(buf, at, length);
    const table = this.#table;
    if (table[slot + 4] === 0 && table[slot + 5] === 0) {
      table.set(this.#hash, slot);
      this.#size++;
    }
    const stored = offset + 1;
    table[slot + 4] = stored | 0;
    table[slot + 5] = Math.floor(stored / TWO32);
  }

  /** The last offset of a key; -1 when it has none. */
  get(buf: Buffer, at: number, length: number): number {
    const slot = this.#find(buf, at, length);
    return (this.#table[slot + 5] as number) * TWO32 + ((this.#table[slot + 4] as number) >>> 0) - 1;
  }

  /** Index of the key's slot, or of the free one where it belongs. */
  #find(buf: Buffer, at: number, length: number): number {
    murmur3(buf, at, length, this.#hash);
    const table = this.#table;
    const hash = this.#hash;
    const a = hash[0] as number;
    const b = hash[1] as number;
    const c = hash[2] as number;
    const d = hash[3] as number;
    for (let slot = (a >>> 0) % this.#slots; ; slot = slot + 1 === this.#slots ? 0 : slot + 1) {
      const i = slot * WORDS;
      if (table[i + 4] === 0 && table[i + 5] === 0) return i;
      if (table[i] === a && table[i + 1] === b && table[i + 2] === c && table[i + 3] === d) return i;
    }
  }
}

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

function rotate(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}

function finalize(x: number): number {
  let h = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** MurmurHash3_x86_128 with seed 0 (public domain, Austin Appleby) of `buf[at, at + length)` into four words. */
export function murmur3(buf: Buffer, at: number, length: number, out: Int32Array): void {
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  const blocks = at + (length & ~15);
  for (let i = at; i < blocks; i += 16) {
    h1 ^= Math.imul(rotate(Math.imul(buf.readInt32LE(i), C1), 15), C2);
    h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotate(Math.imul(buf.readInt32LE(i + 4), C2), 16), C3);
    h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotate(Math.imul(buf.readInt32LE(i + 8), C3), 17), C4);
    h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotate(Math.imul(buf.readInt32LE(i + 12), C4), 18), C1);
    h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  const left = length & 15;
  if (left > 12) h4 ^= Math.imul(rotate(Math.imul(rest(buf, blocks + 12, left - 12), C4), 18), C1);
  if (left > 8) h3 ^= Math.imul(rotate(Math.imul(rest(buf, blocks + 8, left - 8), C3), 17), C4);
  if (left > 4) h2 ^= Math.imul(rotate(Math.imul(rest(buf, blocks + 4, left - 4), C2), 16), C3);
  if (left > 0) h1 ^= Math.imul(rotate(Math.imul(rest(buf, blocks, left), C1), 15), C2);
  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = finalize(h1);
  h2 = finalize(h2);
  h3 = finalize(h3);
  h4 = finalize(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  out[0] = h1;
  out[1] = h2 + h1;
  out[2] = h3 + h1;
  out[3] = h4 + h1;
}

/** Up to four bytes, the first one lowest. */
function rest(buf: Buffer, at: number, count: number): number {
  let value = 0;
  for (let i = Math.min(count, 4) - 1; i >= 0; i--) value = (value << 8) | (buf[at + i] as number);
  return value;
}
