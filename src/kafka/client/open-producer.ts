/**
 * Chooses the producer: the lean one, unless the settings ask for transactions or for kafkajs, or the broker turns out
 * to be too old for it; then kafkajs, by itself and for good.
 */
import type { Logger } from '../../lib/log.ts';
import type { Cluster } from './cluster.ts';
import type { KafkajsProducer } from './kafkajs-producer.ts';
import { OldBrokerError } from './produce-errors.ts';
import { LeanProducer, type ProducerOptions } from './producer.ts';
import type { Producer, RecordSource, Refusal } from './records.ts';

export interface OpenOptions extends ProducerOptions {
  readonly client: 'lean' | 'kafkajs';
  readonly log: Logger;
  readonly onConnection?: NonNullable<Cluster['onConnection']>;
}

/** A producer that has not connected yet; the first send does. @throws ConfigError key stores or login line */
export function openProducer(options: OpenOptions): Producer {
  return new ChosenProducer(options);
}

class ChosenProducer implements Producer {
  readonly #options: OpenOptions;
  #lean: LeanProducer | undefined;
  #kafkajs: KafkajsProducer | undefined;
  /** Sequence numbers and transactions allow one send at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: OpenOptions) {
    this.#options = options;
    if (options.client === 'kafkajs' || options.config['transactional.id'] !== undefined) return;
    this.#lean = new LeanProducer(options);
    this.#lean.cluster.onConnection = options.onConnection;
  }

  send(records: RecordSource): Promise<readonly Refusal[]> {
    if (this.#lean !== undefined && !this.#options.config['enable.idempotence']) return this.#send(records);
    const next = this.#last.then(
      () => this.#send(records),
      () => this.#send(records),
    );
    this.#last = next;
    return next;
  }

  async #send(records: RecordSource): Promise<readonly Refusal[]> {
    if (this.#lean !== undefined) {
      try {
        return await this.#lean.send(records);
      } catch (error) {
        if (!(error instanceof OldBrokerError)) throw error;
        this.#options.log.warn(`${error.message}; kafkajs is used instead`);
        await this.#lean.close();
        this.#lean = undefined;
      }
    }
    if (this.#kafkajs === undefined) {
      const { KafkajsProducer } = await import('./kafkajs-producer.ts');
      this.#kafkajs = new KafkajsProducer(this.#options);
    }
    return this.#kafkajs.send(records);
  }

  async close(): Promise<void> {
    await this.#lean?.close();
    await this.#kafkajs?.close();
  }
}
