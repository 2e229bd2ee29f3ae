/**
 * Every code an AppError may carry, with what it means: the table behind docs/reference/errors.md. A test holds it and
 * the sources together in both directions.
 */
export const ERROR_CODES: Readonly<Record<string, string>> = {
  BROKER: 'The log broker beside an agent could not be started, or ended.',
  CATALOG: 'A built-in component is not what the list of components says; a fault of this program.',
  CHANNEL: 'A channel refused or failed an operation for another reason than lack of room.',
  CHANNEL_FULL: 'A channel had no room within keep-alive; nothing of the batch was stored.',
  CODEC: 'Compressed data cannot be unpacked, or a codec is not there.',
  COMMAND: 'The command of an exec source could not be started or ended in an error.',
  CONFIG: 'A definition cannot run as written.',
  CORRUPT_LOG: 'Stored bytes are not what was written; names the file and the position.',
  DATE_TEXT: 'A text is not a date of the pattern.',
  DEFINITION: 'A definition could not be read from its file or address.',
  DELIVERY: 'A sink could not hand a batch on.',
  DIRECTORY_IN_USE: 'Another process, or another part of this one, has a directory in use.',
  ENVIRONMENT: 'flume-env.sh could not be sourced.',
  INPUT_DROPPED: 'A source that cannot make its senders wait had to drop input.',
  KAFKA_CONNECTION: 'A Kafka broker cannot be reached, or the connection to it ended.',
  KAFKA_REBALANCE: 'A consumer group shares its partitions out anew.',
  LISTEN: 'A port could not be opened.',
  LOG_CLOSED: 'A log is closed and takes nothing any more.',
  LOG_REWRITE: 'A stored log could not be rewritten; the old one stays in use.',
  LOG_UNREADABLE: 'Two reads of the same stored bytes differ: memory or disk of the machine is at fault.',
  MALFORMED_INPUT: 'Bytes are not what their character set allows.',
  METADATA_UNKNOWN: 'The broker does not know what it was asked about.',
  PROTOCOL: 'The other end broke the protocol, or answered with an error of it.',
  RELOAD: 'A changed definition could not be taken over.',
  SPOOL_DIR: 'A spool directory cannot be used.',
  SPOOL_FILE: 'A file in a spool directory was changed, reused or cannot be read; it is put aside.',
  STORAGE: 'The disk failed or is full.',
  USAGE: 'A command line cannot be understood.',
};
