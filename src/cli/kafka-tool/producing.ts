/** The lean producer for tools: settings as Java names them, and patience with a broker that is just starting. */

import { ConnectionError } from '../../kafka/client/connection.ts';
import { LeanProducer } from '../../kafka/client/producer.ts';
import { readProducerConfig } from '../../kafka/client/settings.ts';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { ConfigError } from '../../lib/errors.ts';
import { logLine } from './output.ts';

const PATIENCE_MS = 10_000;

/** Connects to a broker, trying for ten seconds. @throws ConfigError, ConnectionError */
export async function openLeanProducer(bootstrap: string, settings: Readonly<Record<string, string>>, clock: Clock): Promise<LeanProducer> {
  const { config, findings } = readProducerConfig(settings, '');
  const bad = findings.find(({ severity }) => severity === 'error');
  if (config === null || bad !== undefined)
    throw new ConfigError(bad?.message ?? 'the settings of the producer cannot be used', { ...(bad?.fix && { fix: bad.fix }) });
  const words = bootstrap
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  const producer = new LeanProducer({ bootstrap: words, config, clientId: 'console-producer', clock });
  await awaitBroker(producer, config['client.id']);
  return producer;
}

/** Resolves when a broker is there, or `signal` aborts. @throws ConnectionError none was for ten seconds; ProtocolError it refuses the login */
export async function awaitBroker(producer: LeanProducer, clientId: string, signal?: AbortSignal): Promise<void> {
  const until = Date.now() + PATIENCE_MS;
  for (let round = 0; signal?.aborted !== true; round++) {
    try {
      await producer.cluster.any();
      return;
    } catch (error) {
      const code = ((error as Error).cause as { cause?: NodeJS.ErrnoException } | undefined)?.cause?.code;
      if (!(error instanceof ConnectionError) || code === 'ENOTFOUND' || Date.now() >= until) throw error;
      if (round === 0) logLine('WARN', `[Producer clientId=${clientId}] ${error.message}; trying on.`, 'org.apache.kafka.clients.NetworkClient');
      await systemClock.sleep(200, signal);
    }
  }
}
