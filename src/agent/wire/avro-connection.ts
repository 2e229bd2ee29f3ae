/**
 * The calling end of Avro IPC (Flume: NettyAvroRpcClient): handshake with the first call, batches as appendBatch, answers
 * by serial in any order.
 */
import { ByteReader } from '../../lib/bytes.ts';
import { DeliveryError, ProtocolError } from '../../lib/errors.ts';
import type { Sealed } from '../core/event.ts';
import { AvroEventWriter } from './avro-event-codec.ts';
import { AvroFrames } from './avro-frames.ts';
import { callHead, handshakeRequest, MATCH, readAnswer, readHandshakeResponse, STATUS, STATUS_NAMES } from './avro-protocol.ts';
import { type AnswerReader, RpcCaller } from './rpc-caller.ts';
import type { RpcConnection, RpcOptions } from './rpc-connection.ts';

/** A status, the text of an error, or null: say your protocol and ask again. */
type Answer = number | string | null;
const APPEND_BATCH = callHead('appendBatch');
const SLAB_BYTES = 65_536;
const SLAB_KEPT_BYTES = 8 * 1024 * 1024;
const PLAIN = handshakeRequest(false);

/** @throws DeliveryError no connection */
export async function connectAvro(options: RpcOptions): Promise<RpcConnection> {
  const reader = new Answers();
  return new AvroConnection(await RpcCaller.open(options, reader), reader);
}

class Answers implements AnswerReader<Answer> {
  readonly #frames = new AvroFrames();
  /** The handshake is done: later answers have none. */
  agreed = false;

  push(chunk: Buffer): void {
    this.#frames.push(chunk);
  }

  next(): { readonly id: number; readonly answer: Answer } | undefined {
    const frame = this.#frames.next();
    if (frame === undefined) return undefined;
    const input = new ByteReader(frame.payload);
    try {
      if (!this.agreed) {
        if (readHandshakeResponse(input) === MATCH.none) return { id: frame.serial, answer: null };
        this.agreed = true;
      }
      return { id: frame.serial, answer: readAnswer(input) };
    } catch (cause) {
      throw new ProtocolError('an answer is not Avro', { cause });
    }
  }
}

class AvroConnection implements RpcConnection {
  readonly #caller: RpcCaller<Answer>;
  readonly #reader: Answers;
  /** Used again for the next call: the other end has answered, and so read, what is in it. */
  #writer = new AvroEventWriter(SLAB_BYTES);
  #serial = 0;

  constructor(caller: RpcCaller<Answer>, reader: Answers) {
    this.#caller = caller;
    this.#reader = reader;
  }

  get dead(): boolean {
    return this.#caller.dead;
  }

  async send(events: readonly Sealed[]): Promise<void> {
    const caller = this.#caller;
    let answer = await this.#call(events, this.#reader.agreed ? undefined : PLAIN);
    if (answer === null) answer = await this.#call(events, handshakeRequest(true));
    if (answer === STATUS.ok) return;
    const error = refusal(caller.place, answer);
    caller.fail(error);
    throw error;
  }

  close(): Promise<void> {
    return this.#caller.close();
  }

  #call(events: readonly Sealed[], handshake: Buffer | undefined): Promise<Answer> {
    // One very large batch must not keep its slab for ever.
    if (this.#writer.slab.length > SLAB_KEPT_BYTES) this.#writer = new AvroEventWriter(SLAB_BYTES);
    const serial = ++this.#serial | 0;
    return this.#caller.call(serial, request(this.#writer, serial, events, handshake));
  }
}

/** A frame of two buffers, as Java sends it: handshake, meta and name; then the parameters. */
function request(writer: AvroEventWriter, serial: number, events: readonly Sealed[], handshake: Buffer | undefined): Buffer {
  const headLength = (handshake?.length ?? 0) + APPEND_BATCH.length;
  const start = 16 + headLength;
  writer.reset(start);
  writer.events(events);
  const out = writer.slab;
  out.writeInt32BE(serial, 0);
  out.writeInt32BE(2, 4);
  out.writeInt32BE(headLength, 8);
  if (handshake !== undefined) out.set(handshake, 12);
  out.set(APPEND_BATCH, 12 + headLength - APPEND_BATCH.length);
  out.writeInt32BE(writer.length - start, 12 + headLength);
  return out.subarray(0, writer.length);
}

function refusal(place: string, answer: Answer): DeliveryError {
  if (answer === null) return new DeliveryError(`${place} does not know Flume's Avro protocol`, { fix: 'see that an avro source listens there' });
  if (typeof answer === 'string') return new DeliveryError(`${place} answered with an error: ${answer}`, { fix: 'see the log of the other end' });
  return new DeliveryError(`${place} answered ${STATUS_NAMES[answer] ?? answer}`, { fix: 'its channel is full or failing; see the log there' });
}
