/**
 * Says once that the storage refuses puts, with the reason, and once that it takes them again. Sources tell their clients each
 * time; but whoever looks after the machine reads the log, and a full disk must be in it.
 */
import { errorText } from '../../lib/errors.ts';
import type { QueueHost } from './channel-config.ts';

export class PutTrouble {
  readonly #host: Pick<QueueHost, 'log' | 'extra'>;
  #troubled = false;

  constructor(host: Pick<QueueHost, 'log' | 'extra'>) {
    this.#host = host;
  }

  /** A put failed; `running`: not because the channel stops. */
  failed(error: unknown, running: boolean): void {
    const { log, extra } = this.#host;
    extra.EventPutErrorCount = (extra.EventPutErrorCount ?? 0) + 1;
    if (this.#troubled || !running) return;
    this.#troubled = true;
    log.error(`${errorText(error)}; puts are refused until it works again, what is stored goes on to the sinks`);
  }

  /** A put was stored. */
  worked(): void {
    if (!this.#troubled) return;
    this.#troubled = false;
    this.#host.log.info('puts are stored again');
  }
}
