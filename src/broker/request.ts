/**
 * What a handler is: one API, a rule who may call it, and a function from request to response. The connection decodes,
 * asks the handler, encodes and answers in order; a handler knows nothing of sockets and versions of encodings.
 */
import type { AnyApi, RequestOf, ResponseDraft } from '../kafka/schema.ts';
import type { Caller } from './auth/acl.ts';
import type { Broker } from './broker.ts';

/** What is known of the client that asks. */
export interface Client extends Caller {
  /** Number of the connection, unique while the broker runs. */
  readonly connectionId: number;
  readonly clientId: string;
  /** Name of the listener it came in on. */
  readonly listener: string;
  /** The address and port of ours that it reached, for answers without advertised.listeners. */
  readonly reached: { readonly host: string; readonly port: number };
  /** Aborted when the connection ends: whoever waits for this client may stop. */
  readonly gone: AbortSignal;
}

export interface RequestContext {
  readonly broker: Broker;
  readonly client: Client;
  /** Version of the API the client speaks. */
  readonly version: number;
  /** Asks the connection to stop reading for so long after the answer (quotas). */
  throttle(ms: number): void;
  /** Closes the connection after the answer, if there is one. */
  hangUp(reason: string): void;
}

/** A response; the connection fills in a throttle time of 0 where a handler does not care. `null` = no answer at all (Produce with acks=0). */
export type Answer<A extends AnyApi> = (Omit<ResponseDraft<A>, 'throttleTimeMs'> & { readonly throttleTimeMs?: number | undefined }) | null;

export interface Handler<A extends AnyApi = AnyApi> {
  readonly api: A;
  readonly run: (request: RequestOf<A>, context: RequestContext) => Answer<A> | Promise<Answer<A>>;
}

/** Pins the types of a handler to its API. */
export function handle<A extends AnyApi>(api: A, run: Handler<A>['run']): Handler<A> {
  return { api, run };
}
