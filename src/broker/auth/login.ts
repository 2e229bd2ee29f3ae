/**
 * A SASL login on one connection (KIP-43, KIP-152): SaslHandshake names the mechanism, then tokens go back and forth,
 * wrapped in SaslAuthenticate (handshake v1) or bare (handshake v0). Until it is done the connection serves nothing else.
 * Re-authentication on a live connection (KIP-368) runs the same exchange again; it must name the same user.
 */
import type { Broker } from '../broker.ts';
import type { Listener } from '../listeners.ts';
import type { RequestContext } from '../request.ts';
import { checkPlain } from './plain.ts';
import { ScramExchange, type ScramMechanism } from './scram.ts';

const NONE = 0;
const UNSUPPORTED_SASL_MECHANISM = 33;
const ILLEGAL_SASL_STATE = 34;
const SASL_AUTHENTICATION_FAILED = 58;
const EMPTY = Buffer.alloc(0);

interface HandshakeAnswer {
  readonly errorCode: number;
  readonly mechanisms: readonly string[];
}
interface AuthenticateAnswer {
  readonly errorCode: number;
  readonly errorMessage: string | null;
  readonly authBytes: Buffer;
  readonly sessionLifetimeMs: number;
}

export class SaslLogin {
  readonly #listener: Listener;
  readonly #broker: Broker;
  #mechanism = '';
  #scram: ScramExchange | null = null;
  #wasDone = false;
  /** True once the client has proved who it is. */
  done = false;
  /** The user that logged in. */
  user = '';
  /** True after SaslHandshake v0: frames are bare tokens until the login is done. */
  rawTokens = false;
  /** Why the last token was refused. */
  failure = '';
  /** When the client must have logged in again (monotonic ms); Infinity = never. */
  expiresAt = Number.POSITIVE_INFINITY;

  constructor(listener: Listener, broker: Broker) {
    this.#listener = listener;
    this.#broker = broker;
  }

  /** True while an exchange is under way. */
  get pending(): boolean {
    return this.#mechanism !== '' && !this.done;
  }

  handshake(request: { readonly mechanism: string }, version: number): HandshakeAnswer {
    const mechanisms = this.#listener.mechanisms;
    if (!mechanisms.includes(request.mechanism)) return { errorCode: UNSUPPORTED_SASL_MECHANISM, mechanisms };
    if (this.pending) return { errorCode: ILLEGAL_SASL_STATE, mechanisms };
    this.#wasDone = this.done;
    this.done = false;
    this.#mechanism = request.mechanism;
    this.#scram = null;
    this.rawTokens = version === 0;
    return { errorCode: NONE, mechanisms };
  }

  authenticate(request: { readonly authBytes: Buffer }, context: RequestContext): AuthenticateAnswer | Promise<AuthenticateAnswer> {
    const refuse = (errorCode: number, errorMessage: string): AuthenticateAnswer => ({ errorCode, errorMessage, authBytes: EMPTY, sessionLifetimeMs: 0 });
    if (this.#mechanism === '') return refuse(ILLEGAL_SASL_STATE, 'SaslHandshake must come first');
    const token = this.token(request.authBytes);
    if (token === null) {
      this.noteFailure(context.client.host);
      const answer = refuse(SASL_AUTHENTICATION_FAILED, this.failure);
      // The delay keeps a client with a wrong password from asking in a tight loop.
      const delayMs = this.#broker.config.own['connection.failed.authentication.delay.ms'];
      return this.#broker.clock.sleep(delayMs).then(() => {
        context.hangUp('authentication failed');
        return answer;
      });
    }
    const sessionLifetimeMs = this.done ? this.#lifetimeMs() : 0;
    return { errorCode: NONE, errorMessage: null, authBytes: token, sessionLifetimeMs };
  }

  /** How long this login holds, 0 = for ever; the time begins to run. */
  #lifetimeMs(): number {
    const lifetimeMs = this.#broker.config.own['connections.max.reauth.ms'];
    this.expiresAt = lifetimeMs > 0 ? this.#broker.clock.monotonic() + lifetimeMs : Number.POSITIVE_INFINITY;
    return lifetimeMs;
  }

  /** One line for each refused login; which user it was is not said, for people type passwords into the wrong field. */
  noteFailure(host: string): void {
    this.#broker.figures.failedLogins++;
    this.#broker.log.warn({ host, listener: this.#listener.name }, `login from ${host} on ${this.#listener.label} failed: ${this.failure}`);
  }

  /** Answers one token of the mechanism, or null (with `failure`) when the login is refused. */
  token(message: Buffer): Buffer | null {
    const answer = this.#mechanism === 'PLAIN' ? this.#plain(message) : this.#scramStep(message);
    if (answer !== null && this.done) {
      this.rawTokens = false;
      this.#mechanism = '';
    }
    return answer;
  }

  #plain(message: Buffer): Buffer | null {
    const user = checkPlain(message, this.#listener.plainUsers);
    if (user === null) return this.#refuse('Authentication failed: Invalid username or password');
    return this.#accept(user, EMPTY);
  }

  #scramStep(message: Buffer): Buffer | null {
    const mechanism = this.#mechanism as ScramMechanism;
    this.#scram ??= new ScramExchange(
      mechanism,
      (user) => this.#listener.scramUsers.get(`${mechanism} ${user}`) ?? this.#broker.scramCredential(user, mechanism),
    );
    const answer = this.#scram.step(message);
    if (answer === null) return this.#refuse(`Authentication failed during authentication due to invalid credentials with SASL mechanism ${mechanism}`);
    return this.#scram.done ? this.#accept(this.#scram.user, answer) : answer;
  }

  #accept(user: string, answer: Buffer): Buffer | null {
    if (this.#wasDone && user !== this.user) return this.#refuse('Cannot change principals during re-authentication');
    this.user = user;
    this.done = true;
    return answer;
  }

  #refuse(why: string): null {
    this.failure = why;
    return null;
  }
}
