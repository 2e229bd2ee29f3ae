/**
 * AvroFlumeEvent, Flume's event on the wire and in Kafka records (flume.avdl): headers as map<string>, then body as bytes.
 * Written out by hand because every event of every hop passes here; bodies are views, and headers that repeat the ones of
 * the event before are not decoded again.
 */
import { ProtocolError } from '../../lib/errors.ts';
import type { Event, Sealed } from '../core/event.ts';

/** Strings up to this length are copied and decoded character by character as long as they are ASCII. */
const SHORT_CHARS = 63;
/** What an event without headers needs besides its body. */
const EVENT_OVERHEAD_BYTES = 12;

/** Appends events to a slab that grows. */
export class AvroEventWriter {
  #buf: Buffer;
  #at = 0;

  constructor(sizeHint = 16_384) {
    this.#buf = Buffer.allocUnsafeSlow(sizeHint);
  }

  /** Bytes written. */
  get length(): number {
    return this.#at;
  }
  /** The slab; its first `length` bytes are written. Another one after the next write that has to grow it. */
  get slab(): Buffer {
    return this.#buf;
  }

  /** Begins anew in the same slab, leaving `headroom` bytes free at the front. */
  reset(headroom: number): void {
    this.#at = 0;
    this.#reserve(headroom);
    this.#at = headroom;
  }

  /** An Avro array in one block, as Java writes it. */
  events(batch: readonly Sealed[]): void {
    this.#reserve(6);
    if (batch.length > 0) this.#at = putLong(this.#buf, this.#at, batch.length);
    for (let i = 0; i < batch.length; i++) this.event(batch[i] as Sealed);
    this.#reserve(1);
    this.#buf[this.#at++] = 0;
  }

  event(event: Sealed): void {
    const { headers, body } = event;
    this.#reserve(EVENT_OVERHEAD_BYTES + body.length);
    const keys = Object.keys(headers);
    if (keys.length > 0) this.#headers(headers, keys, body.length);
    const buf = this.#buf;
    buf[this.#at] = 0;
    const at = putLong(buf, this.#at + 1, body.length);
    buf.set(body, at);
    this.#at = at + body.length;
  }

  #headers(headers: Sealed['headers'], keys: readonly string[], bodyLength: number): void {
    this.#at = putLong(this.#buf, this.#at, keys.length);
    for (let k = 0; k < keys.length; k++) {
      const key = keys[k] as string;
      const value = headers[key] as string;
      this.#reserve(3 * (key.length + value.length) + EVENT_OVERHEAD_BYTES + 10);
      this.#at = putText(this.#buf, putText(this.#buf, this.#at, key), value);
    }
    this.#reserve(EVENT_OVERHEAD_BYTES + bodyLength);
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#buf.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#at + count, this.#buf.length * 2));
    grown.set(this.#buf.subarray(0, this.#at));
    this.#buf = grown;
  }
}

/** One event as a datum of its own: no container, no fingerprint (Kafka's useFlumeEventFormat). */
export function encodeAvroEvent(event: Sealed): Buffer {
  const writer = new AvroEventWriter(EVENT_OVERHEAD_BYTES + event.body.length);
  writer.event(event);
  return writer.slab.subarray(0, writer.length);
}

/** A zigzag varint of a number 0 … 2^30. Answers the position behind it. */
function putLong(buf: Buffer, at: number, value: number): number {
  let rest = value * 2;
  let to = at;
  while (rest >= 0x80) {
    buf[to++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 128);
  }
  buf[to++] = rest;
  return to;
}

function putText(buf: Buffer, at: number, text: string): number {
  const { length } = text;
  if (length <= SHORT_CHARS) {
    let to = at + 1;
    let i = 0;
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) break;
      buf[to++] = code;
    }
    if (i === length) {
      buf[at] = length << 1;
      return to;
    }
  }
  const bytes = Buffer.byteLength(text);
  const to = putLong(buf, at, bytes);
  return to + buf.write(text, to, bytes, 'utf8');
}

/** A text that was decoded, with its bytes, to be recognised when it comes again. */
interface Seen {
  bytes: Buffer;
  text: string;
  /** Times in a row that another text came. */
  misses: number;
}
/** After this many misses a place is taken to hold something new every time (a timestamp), which is not worth remembering. */
const MOST_MISSES = 16;
const MOST_PLACES = 64;

/** Reads events from a slab. Keep one per connection: it remembers the headers it saw last. */
export class AvroEventReader {
  #buf: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  /** By the position of the header in its event: key, value, key, … */
  readonly #seen: Seen[] = [];

  /** Where the next read starts. */
  get position(): number {
    return this.#at;
  }

  /** Goes on at `from` of `buf`. */
  open(buf: Buffer, from = 0): this {
    this.#buf = buf;
    this.#at = from;
    this.#end = buf.length;
    return this;
  }

  /** An Avro array of events. @throws ProtocolError malformed or cut off */
  events(): Event[] {
    const batch: Event[] = [];
    for (let count = this.#blockCount(); count !== 0; count = this.#blockCount()) {
      // An event has two bytes at least: a count beyond that is garbage, not a reason to set memory aside.
      if (count * 2 > this.#end - this.#at) throw new ProtocolError(`${count} events cannot be in ${this.#end - this.#at} bytes`);
      for (let i = 0; i < count; i++) batch.push(this.event());
    }
    return batch;
  }

  /** @throws ProtocolError malformed or cut off */
  event(): Event {
    const headers: Record<string, string> = {};
    let place = 0;
    for (let count = this.#blockCount(); count !== 0; count = this.#blockCount()) {
      for (let i = 0; i < count; i++) {
        const key = this.#text(place++);
        const value = this.#text(place++);
        if (key === '__proto__') Object.defineProperty(headers, key, { value, enumerable: true, writable: true, configurable: true });
        else headers[key] = value;
      }
    }
    const length = this.#length();
    const from = this.#at;
    this.#at = from + length;
    return { headers, body: this.#buf.subarray(from, from + length) };
  }

  /** The number of items in the next block of a map or array; 0 = its end. */
  #blockCount(): number {
    const count = this.#long();
    if (count >= 0) return count;
    // A negative count is followed by the size of the block, which is of use only to whoever skips it.
    this.#long();
    return -count;
  }

  #text(place: number): string {
    const length = this.#length();
    const from = this.#at;
    const end = from + length;
    this.#at = end;
    if (length === 0) return '';
    const buf = this.#buf;
    const seen = this.#seen[place];
    if (seen !== undefined && seen.bytes.length === length && same(seen.bytes, buf, from)) {
      seen.misses = 0;
      return seen.text;
    }
    const text = buf.toString('utf8', from, end);
    // Long texts rarely come again, and must not be kept.
    if (length <= SHORT_CHARS && place < MOST_PLACES) this.#remember(place, seen, text, from);
    return text;
  }

  #remember(place: number, seen: Seen | undefined, text: string, from: number): void {
    if (seen !== undefined && seen.misses >= MOST_MISSES) return;
    const bytes = Buffer.from(this.#buf.subarray(from, this.#at));
    if (seen === undefined) this.#seen[place] = { bytes, text, misses: 0 };
    else {
      seen.bytes = bytes;
      seen.text = text;
      seen.misses++;
    }
  }

  /** The length of bytes or text, which lie wholly in the slab. */
  #length(): number {
    const length = this.#long();
    if (length < 0 || length > this.#end - this.#at)
      throw new ProtocolError(`${length} bytes announced at position ${this.#at}, ${this.#end - this.#at} are there`);
    return length;
  }

  /** A zigzag varint. */
  #long(): number {
    const buf = this.#buf;
    let at = this.#at;
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      if (at >= this.#end) throw new ProtocolError(`it ends in a number at position ${at}`);
      const byte = buf[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.#at = at;
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      }
      scale *= 128;
    }
    throw new ProtocolError(`a number of more than ten bytes before position ${at}`);
  }
}

function same(bytes: Buffer, buf: Buffer, from: number): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== buf[from + i]) return false;
  return true;
}
