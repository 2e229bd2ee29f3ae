/**
 * A client of the avro source: handshakes and calls of one connection (Avro: Responder; Flume: AvroSource). Clients of
 * Flume 1.4 to 1.11 all have the protocol whose hash is known here. Others say their protocol on being asked; events are
 * then read by that protocol's schema, straight when it is the same and with avsc's resolution when it is not.
 */
import { ByteReader } from '../../lib/bytes.ts';
import { errorText, ProtocolError } from '../../lib/errors.ts';
import type { Event } from '../core/event.ts';
import { AvroEventReader } from './avro-event-codec.ts';
import { AvroFrames } from './avro-frames.ts';
import { answerPayload, EVENT_SCHEMA, frameOf, handshakeResponse, MATCH, PROTOCOL_HASH, readCallHead, readHandshakeRequest, STATUS } from './avro-protocol.ts';
import { canonicalForm, resolvingReader } from './avro-schema.ts';
import type { Outcome, RpcCall, RpcSession } from './rpc-server.ts';

/** Reads the parameters of `append` and `appendBatch` as a foreign client writes them. */
type Parameters = Readonly<Record<string, (input: Buffer, at: number) => Event[]>>;

/** The protocols that clients of one source have told, by hash: they tell each only once. */
export class ForeignProtocols {
  readonly #known = new Map<string, Parameters>();

  get(hash: Buffer): Parameters | undefined {
    return this.#known.get(hash.toString('hex'));
  }

  /** @throws ProtocolError not a protocol, or not one whose events can be read */
  learn(hash: Buffer, protocol: string): Parameters {
    const parameters = parametersOf(protocol);
    if (this.#known.size >= 100) this.#known.clear();
    this.#known.set(hash.toString('hex'), parameters);
    return parameters;
  }
}

interface ProtocolText {
  readonly namespace?: string;
  readonly types?: readonly unknown[];
  readonly messages?: Readonly<Record<string, { readonly request?: readonly { readonly name: string; readonly type: unknown }[] }>>;
}

function parametersOf(protocol: string): Parameters {
  let parsed: ProtocolText;
  try {
    parsed = JSON.parse(protocol) as ProtocolText;
  } catch (cause) {
    throw new ProtocolError(`the client’s protocol is not JSON: ${errorText(cause)}`, { cause });
  }
  const out: Record<string, (input: Buffer, at: number) => Event[]> = {};
  for (const [message, reader] of [
    ['append', { ...EVENT_SCHEMA }],
    ['appendBatch', { type: 'array', items: EVENT_SCHEMA }],
  ] as const) {
    const parameter = parsed.messages?.[message]?.request?.[0];
    if (parameter === undefined) continue;
    const writer = withTypes(parameter.type, parsed.types ?? []);
    const plain = canonicalForm(JSON.stringify(writer)).replace(/"name":"(?:[\w.]+\.)?AvroFlumeEvent"/, '"name":"AvroFlumeEvent"');
    if (plain === canonicalForm(JSON.stringify(reader))) continue;
    const read = resolvingReader(JSON.stringify(writer), JSON.stringify(reader));
    out[message] = (input, at) => {
      const value = read(input, at) as Event | Event[];
      return (Array.isArray(value) ? value : [value]).map(({ headers, body }) => ({ headers: { ...headers }, body }));
    };
  }
  return out;
}

/** A schema with the protocol's named types put in where they are first used. */
function withTypes(type: unknown, types: readonly unknown[]): unknown {
  const left = new Map((types as readonly { readonly name?: string }[]).map((one) => [one.name, one]));
  const fill = (node: unknown): unknown => {
    if (typeof node === 'string') {
      const name = node.slice(node.lastIndexOf('.') + 1);
      const found = left.get(name);
      if (found === undefined) return node;
      left.delete(name);
      return fill(found);
    }
    if (Array.isArray(node)) return node.map(fill);
    if (node === null || typeof node !== 'object') return node;
    const out: Record<string, unknown> = { ...node };
    for (const key of ['type', 'items', 'values']) if (key in out) out[key] = fill(out[key]);
    if (Array.isArray(out.fields)) out.fields = out.fields.map(fill);
    return out;
  };
  return fill(type);
}

const EMPTY = Buffer.alloc(0);
const NO_META = Buffer.from([0]);
const NOTHING: Event[] = [];

export class AvroSession implements RpcSession {
  readonly #frames = new AvroFrames();
  readonly #events = new AvroEventReader();
  readonly #foreign: ForeignProtocols;
  #agreed = false;
  #parameters: Parameters | undefined;

  constructor(foreign: ForeignProtocols) {
    this.#foreign = foreign;
  }

  push(chunk: Buffer): void {
    this.#frames.push(chunk);
  }

  get partial(): boolean {
    return this.#frames.partial;
  }

  next(): RpcCall | undefined {
    const frame = this.#frames.next();
    if (frame === undefined) return undefined;
    const { serial, payload } = frame;
    const input = new ByteReader(payload);
    let handshake: Buffer = EMPTY;
    let message: string;
    try {
      if (!this.#agreed) {
        const match = this.#handshake(input);
        handshake = handshakeResponse(match);
        if (match === MATCH.none) return answered(frameOf(serial, [handshake]));
        this.#agreed = true;
      }
      message = readCallHead(input);
    } catch (cause) {
      throw new ProtocolError(`a request is not Avro: ${errorText(cause)}`, { cause });
    }
    // A ping: whoever sends it wants the handshake and no more.
    if (message === '') return answered(frameOf(serial, [handshake]));
    if (message !== 'append' && message !== 'appendBatch') {
      const text = `org.apache.avro.AvroRuntimeException: No such remote message: ${message}`;
      return answered(frameOf(serial, [handshake, NO_META, answerPayload(text)]));
    }
    let events: Event[];
    try {
      events = this.#read(message, payload, input.pos);
    } catch (error) {
      return answered(frameOf(serial, [handshake, NO_META, answerPayload(`org.apache.avro.AvroRuntimeException: ${errorText(error)}`)]));
    }
    return { kind: message, events, answer: (outcome) => frameOf(serial, [handshake, NO_META, answerPayload(wireOutcome(message, outcome))]) };
  }

  #read(message: 'append' | 'appendBatch', payload: Buffer, at: number): Event[] {
    const foreign = this.#parameters?.[message];
    if (foreign !== undefined) return foreign(payload, at);
    const reader = this.#events.open(payload, at);
    return message === 'append' ? [reader.event()] : reader.events();
  }

  /** @throws ProtocolError malformed, or a protocol that cannot be understood */
  #handshake(input: ByteReader): number {
    const { clientHash, clientProtocol, serverHash } = readHandshakeRequest(input);
    if (!clientHash.equals(PROTOCOL_HASH)) {
      this.#parameters = clientProtocol === null ? this.#foreign.get(clientHash) : this.#foreign.learn(clientHash, clientProtocol);
      if (this.#parameters === undefined) return MATCH.none;
    }
    return serverHash.equals(PROTOCOL_HASH) ? MATCH.both : MATCH.client;
  }
}

function answered(bytes: Buffer): RpcCall {
  return { kind: 'none', events: NOTHING, answer: () => bytes };
}

/** As in Flume a batch that fails for any reason is FAILED, a single event only when the channel refused it. */
function wireOutcome(message: 'append' | 'appendBatch', outcome: Outcome): number | string {
  if (outcome === 'stored') return STATUS.ok;
  if (outcome === 'refused' || message === 'appendBatch') return STATUS.failed;
  return `java.lang.RuntimeException: ${outcome.error}`;
}
