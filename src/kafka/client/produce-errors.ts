/** What keeps a producer from sending, and what to do about it. */
import { ProtocolError } from '../../lib/errors.ts';
import { ErrorCode } from '../errors.ts';

/** The broker cannot be served by this producer, but by an older kind. */
export class OldBrokerError extends ProtocolError {}

/** What to do about an error that does not go away by itself. */
export function fixOf(code: number, topic: string): string {
  switch (code) {
    case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
      return `create it: kafka-topics.sh --create --topic ${topic} --bootstrap-server …; sending then goes on by itself`;
    case ErrorCode.TOPIC_AUTHORIZATION_FAILED:
    case ErrorCode.CLUSTER_AUTHORIZATION_FAILED:
      return `allow the user to write to topic ${topic} (kafka-acls.sh)`;
    default:
      return 'see the broker’s log';
  }
}
