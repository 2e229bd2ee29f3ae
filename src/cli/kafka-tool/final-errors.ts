/** Which troubles of a consumer end it, as a Java consumer's poll throws them; all others are tried again. */
import { ErrorCode } from '../../kafka/errors.ts';
import { ProtocolError } from '../../lib/errors.ts';

const FINAL: ReadonlySet<number> = new Set([
  ErrorCode.TOPIC_AUTHORIZATION_FAILED,
  ErrorCode.GROUP_AUTHORIZATION_FAILED,
  ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
  ErrorCode.SASL_AUTHENTICATION_FAILED,
  ErrorCode.UNSUPPORTED_SASL_MECHANISM,
  ErrorCode.INVALID_TOPIC_EXCEPTION,
  ErrorCode.INVALID_GROUP_ID,
  ErrorCode.INVALID_SESSION_TIMEOUT,
  ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
  ErrorCode.FENCED_INSTANCE_ID,
  // Of a partition without an offset where auto.offset.reset is none; with another policy the reader moves on by itself.
  ErrorCode.OFFSET_OUT_OF_RANGE,
]);

/** Whether waiting does not mend it. */
export function isFinal(error: Error): error is ProtocolError {
  return error instanceof ProtocolError && FINAL.has(error.wireCode);
}
