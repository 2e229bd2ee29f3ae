/**
 * Character sets by their Java names: decoding in pieces with known byte positions, and encoding. A character cut at the
 * end of a piece is held back by its byte structure, so decoders keep no hidden state and the position of every character
 * is known. Malformed input follows java.nio.charset.CodingErrorAction.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { type Codec, codecs, iconvCodec } from './charset-codecs.ts';
import { fold, namesByFoldedName, singles } from './charset-names.ts';
import { four, one } from './charset-steps.ts';
import { AppError } from './errors.ts';

/** What to do with bytes that are not of the character set: stop, put U+FFFD in their place, or leave them out. */
export type MalformedPolicy = 'FAIL' | 'REPLACE' | 'IGNORE';

/** Bytes that are not of the declared character set, under policy FAIL. */
export class MalformedInputError extends AppError {
  /** Byte position of the first bad byte, counted from the start of what the decoder was given (for `decode`: of its argument). */
  readonly position: number;
  constructor(charset: string, position: number) {
    super('MALFORMED_INPUT', `byte ${position} is not valid ${charset}`, {
      fix: 'Name the character set that the input really has, or choose the REPLACE or IGNORE policy where there is one.',
    });
    this.position = position;
  }
}

/** Decodes a stream in pieces. */
export interface CharsetDecoder {
  /** The characters that are complete with this piece. @throws MalformedInputError under FAIL; the decoder is spent then */
  write(piece: Buffer): string;
  /** What was held back, at the end of the stream (always malformed). */
  end(): string;
  /** Bytes turned into characters so far: the position where another decoder could go on. */
  readonly position: number;
  /** Bytes held back, the head of a character whose rest has not come yet. */
  readonly pending: number;
}

export interface Charset {
  /** Java's canonical name. */
  readonly name: string;
  readonly isUtf8: boolean;
  readonly isSingleByte: boolean;
  /** Bytes below 0x80 outside multi-byte characters are ASCII, and 0x0A and 0x0D never occur inside one: lines can be cut as bytes. */
  readonly asciiCompatible: boolean;
  /** Smallest step in bytes: 2 for UTF-16, 4 for UTF-32, else 1. */
  readonly unitBytes: 1 | 2 | 4;
  /**
   * The character set a stream really has, and how many bytes its byte order mark takes: for UTF-16 and UTF-32 without
   * LE/BE the first bytes of the stream tell; all others answer themselves and 0.
   */
  resolve(head: Buffer): { readonly charset: Charset; readonly skip: number };
  /** How many of the bytes, which must begin with a whole character, are whole characters; what follows is the head of one. */
  wholeLength(bytes: Buffer): number;
  /** Whether the bytes, whole characters, are well formed. */
  isValid(bytes: Buffer): boolean;
  /** Decodes a whole text. A byte order mark is kept as U+FEFF. @throws MalformedInputError under FAIL */
  decode(bytes: Buffer, policy: MalformedPolicy): string;
  /** The same text as UTF-8 bytes; the very bytes given when they are that already. @throws MalformedInputError under FAIL */
  toUtf8(bytes: Buffer, policy: MalformedPolicy): Buffer;
  decoder(policy: MalformedPolicy): CharsetDecoder;
  /** Characters that it does not have become `?`. */
  encode(text: string): Buffer;
}

/** U+FFFD in UTF-8. */
const REPLACEMENT = Buffer.from('\ufffd');

const canonical = namesByFoldedName([...Object.keys(codecs), 'UTF-16', 'UTF-32']);

const known = new Map<string, Charset>();

/** Finds a character set by its Java name or alias, in any case; undefined = not known here. */
export function lookupCharset(javaName: string): Charset | undefined {
  const name = canonical.get(fold(javaName));
  if (name === undefined) return undefined;
  let charset = known.get(name);
  if (charset === undefined) {
    charset = name === 'UTF-16' || name === 'UTF-32' ? marked(name) : new CodecCharset(name);
    known.set(name, charset);
  }
  return charset;
}

/** UTF-16 and UTF-32 without a byte order: the mark tells, big endian when there is none; written big endian, UTF-16 with a mark (as Java does). */
function marked(name: 'UTF-16' | 'UTF-32'): Charset {
  const big = new CodecCharset(`${name}BE`);
  const little = new CodecCharset(`${name}LE`);
  const resolve = (head: Buffer): { charset: Charset; skip: number } => {
    const unit = big.unitBytes;
    if (head.length < unit) return { charset: big, skip: 0 };
    const first = unit === 2 ? head.readUInt16BE(0) : head.readUInt32BE(0);
    if (first === 0xfeff) return { charset: big, skip: unit };
    return first === (unit === 2 ? 0xfffe : 0xfffe0000) ? { charset: little, skip: unit } : { charset: big, skip: 0 };
  };
  const decode = (bytes: Buffer, policy: MalformedPolicy): string => {
    const { charset, skip } = resolve(bytes);
    return charset.decode(skip === 0 ? bytes : bytes.subarray(skip), policy);
  };
  const charset: Charset = {
    name,
    isUtf8: false,
    isSingleByte: false,
    asciiCompatible: false,
    unitBytes: big.unitBytes,
    resolve,
    wholeLength: (bytes) => resolve(bytes).charset.wholeLength(bytes),
    isValid: (bytes) => resolve(bytes).charset.isValid(bytes),
    decode,
    toUtf8: (bytes, policy) => Buffer.from(decode(bytes, policy), 'utf8'),
    decoder: (policy) => new PieceDecoder(charset, policy),
    encode: (text) => big.encode(name === 'UTF-16' ? `\ufeff${text}` : text),
  };
  return charset;
}

class CodecCharset implements Charset {
  readonly name: string;
  readonly isUtf8: boolean;
  readonly isSingleByte: boolean;
  readonly asciiCompatible: boolean;
  readonly unitBytes: 1 | 2 | 4;
  readonly #codec: Codec;

  constructor(name: string) {
    const single = singles[name];
    this.name = name;
    this.#codec = single === undefined ? (codecs[name] as () => Codec)() : iconvCodec(single, one, 0x100);
    this.isUtf8 = name === 'UTF-8';
    this.isSingleByte = this.#codec.step === one;
    this.unitBytes = name.startsWith('UTF-16') ? 2 : name.startsWith('UTF-32') ? 4 : 1;
    this.asciiCompatible = this.unitBytes === 1;
  }

  resolve(): { charset: Charset; skip: number } {
    return { charset: this, skip: 0 };
  }

  wholeLength(bytes: Buffer): number {
    const end = bytes.length;
    const { step, anchor } = this.#codec;
    if (step === one || end === 0) return end;
    if (step === four) return end - (end % 4);
    let at = 0;
    if (this.unitBytes === 2) {
      // A surrogate pair can only be cut within the last three bytes; before it any even position will do.
      at = Math.max(0, end - (end % 2) - 2);
    } else {
      // Back to a byte that is a character by itself, then forward; the text decides how far that is, most often a few bytes.
      at = end;
      while (at > 0 && (bytes[at - 1] as number) >= anchor) at--;
      if (this.isUtf8) at = Math.max(at, utf8Boundary(bytes, end));
    }
    while (at < end) {
      const next = at + step(bytes, at);
      if (next > end) return at;
      at = next;
    }
    return end;
  }

  isValid(bytes: Buffer): boolean {
    if (this.isUtf8) return isUtf8(bytes);
    if (this.asciiCompatible && isAscii(bytes)) return true;
    try {
      this.#codec.strict(bytes);
      return true;
    } catch {
      return false;
    }
  }

  decode(bytes: Buffer, policy: MalformedPolicy): string {
    if (policy === 'REPLACE') return this.#codec.replace(bytes);
    try {
      return this.#codec.strict(bytes);
    } catch {
      // Far quicker than character by character, where the text cannot have a U+FFFD of its own.
      if (policy === 'IGNORE' && this.isUtf8 && !bytes.includes(REPLACEMENT)) return this.#codec.replace(bytes).replaceAll('\ufffd', '');
      return this.#decodeMalformed(bytes, policy);
    }
  }

  /** Character by character, for input that is known to be bad somewhere. */
  #decodeMalformed(bytes: Buffer, policy: MalformedPolicy): string {
    const { step, strict } = this.#codec;
    let text = '';
    let at = 0;
    while (at < bytes.length) {
      const next = Math.min(at + step(bytes, at), bytes.length);
      try {
        text += strict(bytes.subarray(at, next));
        at = next;
      } catch {
        if (policy === 'FAIL') throw new MalformedInputError(this.name, at);
        at = next;
      }
    }
    return text;
  }

  toUtf8(bytes: Buffer, policy: MalformedPolicy): Buffer {
    if (this.isUtf8 ? isUtf8(bytes) : this.asciiCompatible && isAscii(bytes)) return bytes;
    return Buffer.from(this.decode(bytes, policy), 'utf8');
  }

  decoder(policy: MalformedPolicy): CharsetDecoder {
    return new PieceDecoder(this, policy);
  }

  encode(text: string): Buffer {
    return this.#codec.encode(text);
  }
}

/** The last lead byte within the final four: where a cut UTF-8 character could begin. */
function utf8Boundary(bytes: Buffer, end: number): number {
  for (let at = end - 1; at >= Math.max(0, end - 4); at--) if (((bytes[at] as number) & 0xc0) !== 0x80) return at;
  return end;
}

const NOTHING = Buffer.alloc(0);

/**
 * Moves the cuts of a stream to where characters end: what is cut at the end of one piece begins the next. Resolves the
 * byte order from the first bytes and drops their mark (see `Charset.resolve`).
 */
export class CharacterJoiner {
  #charset: Charset;
  #resolved = false;
  #skipped = 0;
  #held: Buffer = NOTHING;

  constructor(charset: Charset) {
    this.#charset = charset;
  }

  /** The character set of what `write` returns. */
  get charset(): Charset {
    return this.#charset;
  }

  /** Length of the byte order mark that was dropped. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Bytes held back. */
  get pending(): number {
    return this.#held.length;
  }

  /** The piece, begun with what was held back, without the head of a last cut character. The piece itself when it can be. */
  write(piece: Buffer): Buffer {
    let bytes = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    if (!this.#resolved && bytes.length >= this.#charset.unitBytes) {
      const { charset, skip } = this.#charset.resolve(bytes);
      this.#resolved = true;
      this.#charset = charset;
      this.#skipped = skip;
      bytes = skip === 0 ? bytes : bytes.subarray(skip);
    }
    const whole = this.#resolved ? this.#charset.wholeLength(bytes) : 0;
    if (whole === bytes.length) {
      this.#held = NOTHING;
      return bytes;
    }
    // Copied: three bytes must not keep the caller's slab.
    this.#held = Buffer.from(bytes.subarray(whole));
    return bytes.subarray(0, whole);
  }

  /** What is held back at the end of the stream. */
  rest(): Buffer {
    const rest = this.#held;
    this.#held = NOTHING;
    return rest;
  }
}

class PieceDecoder implements CharsetDecoder {
  readonly #policy: MalformedPolicy;
  readonly #joiner: CharacterJoiner;
  #decoded = 0;

  constructor(charset: Charset, policy: MalformedPolicy) {
    this.#policy = policy;
    this.#joiner = new CharacterJoiner(charset);
  }

  get position(): number {
    return this.#joiner.skipped + this.#decoded;
  }

  get pending(): number {
    return this.#joiner.pending;
  }

  write(piece: Buffer): string {
    return this.#decode(this.#joiner.write(piece));
  }

  end(): string {
    return this.#decode(this.#joiner.rest());
  }

  #decode(bytes: Buffer): string {
    if (bytes.length === 0) return '';
    try {
      const text = this.#joiner.charset.decode(bytes, this.#policy);
      this.#decoded += bytes.length;
      return text;
    } catch (error) {
      throw error instanceof MalformedInputError ? new MalformedInputError(this.#joiner.charset.name, this.position + error.position) : error;
    }
  }
}
