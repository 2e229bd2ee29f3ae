/** Who an idempotent producer is to the brokers, and how far its sequence numbers have come (KIP-98). */
import { DeliveryError } from '../../lib/errors.ts';
import { InitProducerId } from '../apis/init-producer-id.ts';
import { ErrorCode, errorMessage, errorName, isRetriable } from '../errors.ts';
import type { Cluster } from './cluster.ts';

export interface Identity {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Next sequence number by `topic-partition`. */
  readonly sequences: Map<string, number>;
}

/** A broker that is just starting has no ids yet. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 100;

/** A new id, which nobody had before. @throws DeliveryError, ConnectionError */
export async function newIdentity(cluster: Cluster): Promise<Identity> {
  const { clock } = cluster;
  for (const deadline = clock.monotonic() + PATIENCE_MS; ; ) {
    const connection = await cluster.any();
    const { errorCode, producerId, producerEpoch } = await connection.call(InitProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 });
    if (errorCode === ErrorCode.NONE) return { producerId, producerEpoch, sequences: new Map() };
    if (!isRetriable(errorCode) || clock.monotonic() >= deadline) {
      throw new DeliveryError(`no producer id for enable.idempotence: ${errorName(errorCode)}: ${errorMessage(errorCode)}`);
    }
    await clock.sleep(PAUSE_MS);
  }
}
