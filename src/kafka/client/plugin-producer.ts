/** A Kafka producer for components of one's own, told what to do in the Java producer's settings. */
import type { Clock } from '../../lib/clock.ts';
import { ConfigError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { openProducer } from './open-producer.ts';
import type { Producer } from './records.ts';
import { parseBootstrap, readProducerConfig } from './settings.ts';

export interface PluginProducerOptions {
  /** host:port of brokers to ask first. */
  readonly brokers: readonly string[];
  /** Settings of the Java producer, e.g. `{ acks: 'all', 'compression.type': 'lz4' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly clientId: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * A producer that connects with its first send: one Flume batch is one `send`, which resolves when all is acknowledged.
 * @throws ConfigError a setting cannot be used
 */
export function openKafkaProducer({ brokers, settings = {}, clientId, clock, log }: PluginProducerOptions): Producer {
  parseBootstrap(brokers);
  const { config, findings } = readProducerConfig(settings, '');
  const wrong = findings.find(({ severity }) => severity === 'error');
  if (config === null || wrong !== undefined)
    throw new ConfigError(wrong?.message ?? 'the producer settings cannot be used', { ...(wrong?.fix !== undefined && { fix: wrong.fix }) });
  return openProducer({ bootstrap: brokers, config, clientId, clock, log, client: 'lean' });
}
