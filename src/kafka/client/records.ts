/**
 * What producers are handed: records that are read out of the caller's batch one at a time into one reused object, so
 * that a batch of thousands makes no object per record, and can be read again when it must be cut in pieces.
 */
import type { RecordHeaders } from '../../records/cursor.ts';

/** One record to send. */
export interface OutRecord {
  topic: string;
  /** -1: by key, or any. */
  partition: number;
  key: Buffer | null;
  value: Buffer | null;
  /** Epoch ms. */
  timestamp: number;
  headers: RecordHeaders;
}

export interface RecordSource {
  readonly count: number;
  /** Fills in record `index`; false leaves it out. May be asked more than once. */
  load(index: number, into: OutRecord): boolean;
  /** Called for each record that is acknowledged; the offset is -1 where the broker does not tell it (acks=0). */
  stored?(index: number, partition: number, offset: number): void;
}

/** A record that the broker will never take, set aside so that the others can be sent. */
export interface Refusal {
  readonly index: number;
  readonly topic: string;
  /** Why, one sentence. */
  readonly reason: string;
}

export interface Producer {
  /**
   * Sends all records; resolved = all are acknowledged as `acks` says, but for those answered.
   * @throws DeliveryError, ConnectionError, ProtocolError: none is known to be stored, though some may be
   */
  send(records: RecordSource): Promise<readonly Refusal[]>;
  /** Ends connections; send opens new ones. */
  close(): Promise<void>;
}

const NO_HEADERS: RecordHeaders = [];

export function emptyRecord(): OutRecord {
  return { topic: '', partition: -1, key: null, value: null, timestamp: -1, headers: NO_HEADERS };
}

/** Whether a topic may have this name (Kafka's Topic.validate). */
export function isTopicName(name: string): boolean {
  return name.length > 0 && name.length <= 249 && name !== '.' && name !== '..' && /^[A-Za-z0-9._-]+$/.test(name);
}
