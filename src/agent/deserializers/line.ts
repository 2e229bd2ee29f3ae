/**
 * LINE: one event per line (Flume's LineDeserializer). Lines end at \n only, so a carriage return stays in the body. A
 * line of more than maxLineLength characters (UTF-16 units, as Java counts) is cut and goes on as the next event; hence a
 * line of exactly that length is followed by an empty event. A surrogate pair is never cut, where Flume makes two "?" of it.
 *
 * A file is read in slabs. The part of a slab up to its last newline is a run: turned into UTF-8 as a whole (which costs
 * one check when it is UTF-8 already) and cut at newline bytes, so bodies are views and no line becomes a string. A
 * newline in the run is a newline in the file, so counting them gives the byte position of any event.
 */
import { type Charset, lookupCharset, MalformedInputError, type MalformedPolicy } from '../../lib/charset.ts';
import { AppError, ConfigError } from '../../lib/errors.ts';
import { charset, int } from '../../lib/props/spec.ts';
import { type DeserializerInput, defineDeserializer } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { Deserializer } from '../core/serializer.ts';

const SLAB_BYTES = 256 * 1024;
const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);

export default defineDeserializer({
  type: 'LINE',
  aliases: ['org.apache.flume.serialization.LineDeserializer$Builder'],
  summary: 'One event per line of text; the line end is left out, a carriage return before it is kept.',
  properties: {
    maxLineLength: int({ default: 2048, min: 1, unit: 'chars', doc: 'A longer line is cut, and what is left becomes the next event.' }),
    outputCharset: charset({ default: 'UTF-8', doc: 'Character set of event bodies.' }),
  },
  create: (config, input) => new LineDeserializer(input, config.maxLineLength, knownCharset(config.outputCharset)),
});

function knownCharset(name: string): Charset {
  const found = lookupCharset(name);
  if (!found) throw new ConfigError(`there is no character set "${name}"`, { fix: 'use a Java name such as UTF-8, GBK or ISO-8859-1' });
  return found;
}

class LineDeserializer implements Deserializer {
  readonly #input: DeserializerInput;
  readonly #policy: MalformedPolicy;
  readonly #charset: Charset;
  readonly #output: Charset;
  readonly #maxChars: number;
  /** The run as it is in the file, where it begins there, and as UTF-8 (the same buffer when it is UTF-8). */
  #raw: Buffer = NOTHING;
  #rawStart = 0;
  #text: Buffer = NOTHING;
  /** Next byte of #text. */
  #at = 0;
  /** A line of the run for which both positions are known; moves on with mark(). */
  #knownText = 0;
  #knownRaw = 0;
  /** Nothing of the run's last line lies behind the run. */
  #closed = false;
  /** File position behind the run. */
  #next: number;
  #slabBytes = SLAB_BYTES;
  #cutLogged = false;

  constructor(input: DeserializerInput, maxChars: number, output: Charset) {
    const { charset: inner, skip } = knownCharset(input.inputCharset).resolve(input.source.read(0, 4));
    this.#input = input;
    this.#policy = input.decodeErrorPolicy;
    this.#charset = inner;
    this.#output = output;
    this.#maxChars = maxChars;
    this.#next = Math.max(skip, input.position);
  }

  read(max: number): Event[] {
    const events: Event[] = [];
    while (events.length === 0) {
      if (this.#at >= this.#text.length && !this.#fill()) break;
      this.#cut(max, events);
    }
    return events;
  }

  mark(): number {
    const at = this.#at;
    if (at >= this.#text.length) return this.#next;
    if (this.#text === this.#raw) return this.#rawStart + at;
    for (;;) {
      const stop = this.#text.indexOf(NEWLINE, this.#knownText);
      if (stop < 0 || stop >= at) break;
      this.#knownText = stop + 1;
      this.#knownRaw = lineEnd(this.#raw, this.#knownRaw, this.#charset);
    }
    const within = at === this.#knownText ? 0 : this.#text.toString('utf8', this.#knownText, at).length;
    return this.#rawStart + this.#knownRaw + bytesOf(within, this.#raw.subarray(this.#knownRaw), this.#charset, this.#policy);
  }

  /** Reads the next run. False = end of the file. @throws AppError bytes that are not of the character set, under FAIL */
  #fill(): boolean {
    const { source, log } = this.#input;
    const start = this.#next;
    if (start >= source.length) return false;
    const slab = source.read(start, Math.min(this.#slabBytes, source.length - start));
    if (slab.length === 0) return false;
    const last = start + slab.length >= source.length || slab.length < this.#slabBytes;
    let length = last ? 0 : lastLineEnd(slab, this.#charset);
    this.#closed = last || length > 0;
    // The end of the file, or one line longer than the slab: all whole characters.
    if (length === 0) length = this.#charset.wholeLength(slab);
    this.#next = start + (last ? slab.length : length);
    if (last && length < slab.length) {
      log.warn({ path: source.path, bytes: slab.length - length }, 'The file ends within a character; its bytes are left out, as Flume does.');
    }
    this.#convert(slab.subarray(0, length), start);
    return true;
  }

  #convert(run: Buffer, start: number): void {
    this.#raw = run;
    this.#rawStart = start;
    this.#at = this.#knownText = this.#knownRaw = 0;
    try {
      this.#text = this.#charset.toUtf8(run, this.#policy);
    } catch (error) {
      if (!(error instanceof MalformedInputError)) throw error;
      this.#text = NOTHING;
      // Lines before the bad one are delivered; the next read meets it again, at the start of its run.
      const good = lastLineEnd(run.subarray(0, error.position), this.#charset);
      if (good === 0) {
        this.#next = start;
        throw this.#undecodable(start + error.position, error);
      }
      this.#next = start + good;
      this.#closed = true;
      this.#raw = run.subarray(0, good);
      this.#text = this.#charset.toUtf8(this.#raw, this.#policy);
    }
  }

  #undecodable(position: number, cause: Error): AppError {
    const { source } = this.#input;
    return new AppError('MALFORMED_INPUT', `${source.path}: byte ${position} is not valid ${this.#charset.name}`, {
      fix: 'name the character set the file really has in inputCharset, or set decodeErrorPolicy to REPLACE or IGNORE',
      cause,
    });
  }

  /** Moves up to `max` lines of the run into `events`. */
  #cut(max: number, events: Event[]): void {
    const text = this.#text;
    const end = text.length;
    const encode = this.#output.isUtf8 ? undefined : this.#output;
    let at = this.#at;
    while (events.length < max && at < end) {
      let stop = text.indexOf(NEWLINE, at);
      const ended = stop >= 0;
      if (!ended) stop = end;
      let next = stop + 1;
      if (stop - at >= this.#maxChars) {
        const limit = endOfChars(text, at, stop, this.#maxChars);
        if (limit >= 0) {
          stop = next = limit;
          this.#logCut();
        }
      }
      if (next > end && !this.#closed) {
        this.#leave(at, events.length > 0);
        return;
      }
      const body = text.subarray(at, stop);
      events.push({ headers: {}, body: encode ? encode.encode(body.toString('utf8')) : body });
      at = next;
    }
    this.#at = Math.min(at, end);
    this.#slabBytes = SLAB_BYTES;
  }

  /** The rest of the run is the head of a line that goes on behind it: the next run begins there, larger if nothing was cut off. */
  #leave(at: number, progress: boolean): void {
    this.#at = at;
    this.#next = this.mark();
    this.#text = NOTHING;
    this.#at = 0;
    this.#slabBytes = progress ? SLAB_BYTES : this.#slabBytes * 2;
  }

  #logCut(): void {
    if (this.#cutLogged) return;
    this.#cutLogged = true;
    const { log, source } = this.#input;
    log.warn({ path: source.path }, `Line length exceeds max (${this.#maxChars}), truncating line! What is left becomes the next event; said once per file.`);
  }
}

/** Index behind the last newline of `bytes`; 0 = there is none. */
function lastLineEnd(bytes: Buffer, { asciiCompatible, unitBytes, name }: Charset): number {
  if (asciiCompatible) return bytes.lastIndexOf(NEWLINE) + 1;
  for (let at = bytes.length - (bytes.length % unitBytes) - unitBytes; at >= 0; at -= unitBytes) {
    if (isNewline(bytes, at, unitBytes, name)) return at + unitBytes;
  }
  return 0;
}

/** Index behind the first newline at or after `from`, which there is. */
function lineEnd(bytes: Buffer, from: number, { asciiCompatible, unitBytes, name }: Charset): number {
  if (asciiCompatible) return bytes.indexOf(NEWLINE, from) + 1;
  let at = from;
  while (at + unitBytes < bytes.length && !isNewline(bytes, at, unitBytes, name)) at += unitBytes;
  return at + unitBytes;
}

function isNewline(bytes: Buffer, at: number, unitBytes: number, name: string): boolean {
  return (name.endsWith('LE') ? bytes.readUIntLE(at, unitBytes) : bytes.readUIntBE(at, unitBytes)) === NEWLINE;
}

/** Index behind the `max`-th UTF-16 unit of the UTF-8 text from `at` to `stop`, before a pair that would pass it; -1 = it has fewer. */
function endOfChars(text: Buffer, at: number, stop: number, max: number): number {
  let units = 0;
  for (let i = at; i < stop; ) {
    const lead = text[i] as number;
    const pair = lead >= 0xf0;
    if (pair && units === max - 1 && i > at) return i;
    units += pair ? 2 : 1;
    i += lead < 0x80 ? 1 : lead < 0xe0 ? 2 : pair ? 4 : 3;
    if (units >= max) return i;
  }
  return -1;
}

/** How many of `bytes` make `chars` UTF-16 units. Only asked in the middle of an over-long line, so a search will do. */
function bytesOf(chars: number, bytes: Buffer, charset: Charset, policy: MalformedPolicy): number {
  if (chars === 0) return 0;
  const count = (length: number): number => charset.decode(bytes.subarray(0, charset.wholeLength(bytes.subarray(0, length))), policy).length;
  let high = Math.min(bytes.length, chars * charset.unitBytes);
  while (high < bytes.length && count(high) < chars) high = Math.min(bytes.length, high * 2);
  let low = 0;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (count(middle) < chars) low = middle + 1;
    else high = middle;
  }
  return charset.wholeLength(bytes.subarray(0, high));
}
