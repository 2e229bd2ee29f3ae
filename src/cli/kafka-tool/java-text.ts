/** Texts as a Java program makes them: exception names of Kafka's errors, dates of log4j, numbers of String.format. */
import { errorMessage, errorName } from '../../kafka/errors.ts';

/** Names that do not follow from the error's name (`org.apache.kafka.common.protocol.Errors`). */
const IRREGULAR: Readonly<Record<string, string>> = {
  UNKNOWN_SERVER_ERROR: 'UnknownServerException',
  OFFSET_OUT_OF_RANGE: 'OffsetOutOfRangeException',
  CORRUPT_MESSAGE: 'CorruptRecordException',
  INVALID_FETCH_SIZE: 'InvalidFetchSizeException',
  REQUEST_TIMED_OUT: 'TimeoutException',
  MESSAGE_TOO_LARGE: 'RecordTooLargeException',
  STALE_CONTROLLER_EPOCH: 'ControllerMovedException',
  OFFSET_METADATA_TOO_LARGE: 'OffsetMetadataTooLarge',
  RECORD_LIST_TOO_LARGE: 'RecordBatchTooLargeException',
  INVALID_TOPIC_EXCEPTION: 'InvalidTopicException',
  TOPIC_ALREADY_EXISTS: 'TopicExistsException',
  INVALID_CONFIG: 'InvalidConfigurationException',
  GROUP_ID_NOT_FOUND: 'GroupIdNotFoundException',
  NON_EMPTY_GROUP: 'GroupNotEmptyException',
  INVALID_TXN_TIMEOUT: 'InvalidTxnTimeoutException',
  INVALID_TRANSACTION_TIMEOUT: 'InvalidTxnTimeoutException',
  INVALID_PRODUCER_ID_MAPPING: 'InvalidPidMappingException',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'OutOfOrderSequenceException',
  DUPLICATE_SEQUENCE_NUMBER: 'DuplicateSequenceException',
  UNACCEPTABLE_CREDENTIAL: 'UnacceptableCredentialException',
  SASL_AUTHENTICATION_FAILED: 'SaslAuthenticationException',
  KAFKA_STORAGE_ERROR: 'KafkaStorageException',
  UNSUPPORTED_SASL_MECHANISM: 'UnsupportedSaslMechanismException',
  ELIGIBLE_LEADERS_NOT_AVAILABLE: 'EligibleLeadersNotAvailableException',
  NETWORK_EXCEPTION: 'NetworkException',
  TOPIC_AUTHORIZATION_FAILED: 'TopicAuthorizationException',
  GROUP_AUTHORIZATION_FAILED: 'GroupAuthorizationException',
  CLUSTER_AUTHORIZATION_FAILED: 'ClusterAuthorizationException',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'TransactionalIdAuthorizationException',
  DELEGATION_TOKEN_AUTHORIZATION_FAILED: 'DelegationTokenAuthorizationException',
  DELEGATION_TOKEN_AUTH_DISABLED: 'DelegationTokenDisabledException',
  DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: 'UnsupportedByAuthenticationException',
  PRINCIPAL_DESERIALIZATION_FAILURE: 'PrincipalDeserializationException',
  FETCH_SESSION_TOPIC_ID_ERROR: 'FetchSessionTopicIdException',
};

/** The class with which a Java client shows an error code. */
export function javaClassOf(code: number): string {
  const name = errorName(code);
  const regular = name
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
  return `org.apache.kafka.common.errors.${IRREGULAR[name] ?? `${regular}Exception`}`;
}

/** `class: message`, as a Java stack trace begins. */
export function javaError(code: number, message?: string | null): string {
  return `${javaClassOf(code)}: ${message ?? errorMessage(code)}`;
}

const pad = (value: number, width: number): string => String(value).padStart(width, '0');

/** `2026-11-21 13:36:16,735`, local time; other separators for perf tools. */
export function logDate(epochMs: number, beforeMillis = ','): string {
  const d = new Date(epochMs);
  const day = `${d.getFullYear()}-${pad(d.getMonth() + 1, 2)}-${pad(d.getDate(), 2)}`;
  return `${day} ${pad(d.getHours(), 2)}:${pad(d.getMinutes(), 2)}:${pad(d.getSeconds(), 2)}${beforeMillis}${pad(d.getMilliseconds(), 3)}`;
}

/** A double as Java's Double.toString shows it where it is short: 1024 is `1024.0`. */
export function javaDouble(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e7 ? value.toFixed(1) : String(value);
}

/** An int64 of the wire: 2^63-1 and -2^63 in full, everything else as it is. */
export function int64Text(value: number): string {
  return value === 2 ** 63 ? '9223372036854775807' : value === -(2 ** 63) ? '-9223372036854775808' : String(value);
}

/** A table as the Java tools print it: `%-Ns` columns, joined by one blank. */
export function columns(cells: readonly (string | number)[], widths: readonly number[]): string {
  return cells.map((cell, i) => String(cell).padEnd(widths[i] ?? 0)).join(' ');
}
