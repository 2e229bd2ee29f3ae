/**
 * The logger sink: one log line per event in exactly the shape of Flume's LoggerSink and EventHelper (the hex dump is
 * Apache Commons IO's). Unlike Flume, which never reads it, maxBytesToLog is honoured.
 */
import { javaMapOrder } from '../../lib/java-hash-order.ts';
import type { Logger } from '../../lib/log.ts';
import { int } from '../../lib/props/spec.ts';
import { defineSink } from '../core/define.ts';
import type { Sealed } from '../core/event.ts';

const ROW_BYTES = 16;
/** `XX ` for each byte. */
const HEX = Array.from({ length: 256 }, (_, byte) => `${byte.toString(16).toUpperCase().padStart(2, '0')} `);
const PRINTABLE = Array.from({ length: 256 }, (_, byte) => (byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : '.'));
/** What stands for the missing bytes of a row. */
const BLANKS = Array.from({ length: ROW_BYTES + 1 }, (_, missing) => '   '.repeat(missing));

/** Rows of offset, 16 bytes and their text; the first row is without its offset. */
function hexDump(body: Buffer, maxBytes: number): string {
  const end = Math.min(body.length, maxBytes);
  let out = '';
  for (let row = 0; row < end; row += ROW_BYTES) {
    const stop = Math.min(row + ROW_BYTES, end);
    let bytes = '';
    let text = '';
    for (let at = row; at < stop; at++) {
      const byte = body[at] as number;
      bytes += HEX[byte];
      text += PRINTABLE[byte];
    }
    out += `${row === 0 ? '' : `\n${row.toString(16).toUpperCase().padStart(8, '0')}`} ${bytes}${BLANKS[row + ROW_BYTES - stop]}${text}`;
  }
  return out;
}

/** Events of one source nearly always have the same header names, so their order is worked out once. */
class HeaderText {
  #names: readonly string[] = [];
  #ordered: readonly string[] = [];

  of(headers: Sealed['headers']): string {
    const names = Object.keys(headers);
    if (names.length === 0) return '{}';
    if (!this.#isLast(names)) {
      this.#names = names;
      this.#ordered = javaMapOrder(names);
    }
    let out = '{';
    for (const name of this.#ordered) out += `${out.length > 1 ? ', ' : ''}${name}=${headers[name]}`;
    return `${out}}`;
  }

  #isLast(names: readonly string[]): boolean {
    if (names.length !== this.#names.length) return false;
    for (let i = 0; i < names.length; i++) if (names[i] !== this.#names[i]) return false;
    return true;
  }
}

class LoggerSink {
  readonly #maxBytes: number;
  readonly #log: Logger;
  readonly #headers = new HeaderText();

  constructor(maxBytes: number, log: Logger) {
    this.#maxBytes = maxBytes;
    this.#log = log;
  }

  async deliver(batch: readonly Sealed[]): Promise<void> {
    if (!this.#log.isLevelEnabled('info')) return;
    for (const { headers, body } of batch) {
      this.#log.info(`Event: { headers:${this.#headers.of(headers)} body:${hexDump(body, this.#maxBytes)} }`);
    }
  }
}

export default defineSink({
  type: 'logger',
  aliases: ['org.apache.flume.sink.LoggerSink'],
  summary: 'Writes each event to the log at level INFO: headers, and the first bytes of the body in hex and as text.',
  properties: {
    maxBytesToLog: int({ default: 16, min: 1, lenient: true, unit: 'bytes', doc: 'How much of a body is shown.' }),
  },
  delivery: () => ({
    crash: { effect: 'doubles', note: 'events logged just before may be logged again if the channel keeps them' },
    stop: { effect: 'nothing', note: 'a batch is logged whole or comes again' },
    dead: { effect: 'nothing', note: 'the log has no other end' },
  }),
  create: (config, ctx) => new LoggerSink(config.maxBytesToLog, ctx.log),
});
