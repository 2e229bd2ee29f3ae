/**
 * How the console consumer shows records: the default columns (org.apache.kafka.tools.consumer.DefaultMessageFormatter 3.9),
 * nothing, or log lines. Formatters of internal topics are in state-formatters.ts, loaded when asked for.
 */
import type { Assigned } from '../../kafka/client/assigned.ts';
import type { RecordCursor } from '../../records/cursor.ts';
import { javaDouble, logDate } from './java-text.ts';
import { UsageFault } from './options.ts';
import { err } from './output.ts';

/** Bytes on their way to stdout, written in large pieces. */
export class OutputBuffer {
  #buf = Buffer.allocUnsafeSlow(65_536);
  #length = 0;

  bytes(from: Buffer, start = 0, end: number = from.length): void {
    this.#reserve(end - start);
    this.#length += from.copy(this.#buf, this.#length, start, end);
  }

  text(value: string): void {
    this.#reserve(value.length * 3);
    this.#length += this.#buf.write(value, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#buf.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#length + more, this.#buf.length * 2));
    this.#buf.copy(grown, 0, 0, this.#length);
    this.#buf = grown;
  }

  /** Hands over what was collected and begins anew. */
  take(): Buffer {
    const whole = Buffer.from(this.#buf.subarray(0, this.#length));
    this.#length = 0;
    return whole;
  }
}

/** Shows the record the cursor stands on. */
export type Formatter = (partition: Assigned, cursor: RecordCursor, to: OutputBuffer) => void;

type Text = (bytes: Buffer) => string;

/** Kafka's deserializers, as text; undefined = the bytes as they are. */
const DESERIALIZERS: Readonly<Record<string, Text | undefined>> = {
  StringDeserializer: undefined,
  ByteArrayDeserializer: undefined,
  BytesDeserializer: (bytes) =>
    Array.from(bytes, (b) => (b >= 32 && b < 127 && b !== 92 ? String.fromCharCode(b) : `\\x${b.toString(16).toUpperCase().padStart(2, '0')}`)).join(''),
  ByteBufferDeserializer: (bytes) => `java.nio.HeapByteBuffer[pos=0 lim=${bytes.length} cap=${bytes.length}]`,
  ShortDeserializer: (bytes) => String(sized(bytes, 2, 'short').readInt16BE()),
  IntegerDeserializer: (bytes) => String(sized(bytes, 4, 'Integer').readInt32BE()),
  LongDeserializer: (bytes) => String(sized(bytes, 8, 'Long').readBigInt64BE()),
  FloatDeserializer: (bytes) => javaDouble(sized(bytes, 4, 'Float').readFloatBE()),
  DoubleDeserializer: (bytes) => javaDouble(sized(bytes, 8, 'Double').readDoubleBE()),
  BooleanDeserializer: (bytes) => String(sized(bytes, 1, 'Boolean')[0] === 1),
  UUIDDeserializer: undefined,
  VoidDeserializer: () => 'null',
};

function sized(bytes: Buffer, size: number, type: string): Buffer {
  if (bytes.length !== size)
    throw new Error(`org.apache.kafka.common.errors.SerializationException: Size of data received by ${type}Deserializer is not ${size}`);
  return bytes;
}

function deserializer(className: string | undefined): Text | undefined {
  if (className === undefined || className === '') return undefined;
  const name = className.replace(/^.*\./, '');
  if (!(name in DESERIALIZERS))
    throw new UsageFault(`Class ${className} could not be found: only Kafka's own deserializers are available here`, { brief: true });
  return DESERIALIZERS[name];
}

/** The default formatter under these properties (`print.key`, `key.separator` …). @throws UsageFault */
export function defaultFormatter(properties: Readonly<Record<string, string>>): Formatter {
  const on = (name: string, preset = false): boolean => (properties[name] ?? String(preset)).trim().toLowerCase() === 'true';
  const [keySeparator, lineSeparator, headersSeparator] = [
    properties['key.separator'] ?? '\t',
    properties['line.separator'] ?? '\n',
    properties['headers.separator'] ?? ',',
  ];
  const nullLiteral = properties['null.literal'] ?? 'null';
  const keyText = deserializer(properties['key.deserializer']);
  const valueText = deserializer(properties['value.deserializer']);
  const headerText = deserializer(properties['headers.deserializer']);
  const show = { timestamp: on('print.timestamp'), partition: on('print.partition'), offset: on('print.offset'), epoch: on('print.epoch') };
  const [showDelivery, showHeaders, showKey, showValue] = [on('print.delivery'), on('print.headers'), on('print.key'), on('print.value', true)];
  const plain = !Object.values(show).some(Boolean) && !showDelivery && !showHeaders && !showKey && showValue && valueText === undefined;
  const field = (to: OutputBuffer, bytes: Buffer | null, text: Text | undefined): void => {
    if (bytes === null) to.text(nullLiteral);
    else if (text === undefined) to.bytes(bytes);
    else to.text(text(bytes));
  };
  if (plain) return valueFormatter(nullLiteral, lineSeparator);
  const headers = (cursor: RecordCursor, to: OutputBuffer): void => {
    if (cursor.headerCount === 0) return to.text('NO_HEADERS');
    for (const [i, [name, value]] of cursor.headers().entries()) {
      to.text(`${i === 0 ? '' : headersSeparator}${name}:`);
      field(to, value, headerText);
    }
  };
  return (partition, cursor, to) => {
    let first = true;
    const next = (): void => {
      if (!first) to.text(keySeparator);
      first = false;
    };
    const column = (wanted: boolean, text: () => string): void => {
      if (!wanted) return;
      next();
      to.text(text());
    };
    column(show.timestamp, () => timestampText(partition, cursor));
    column(show.partition, () => `Partition:${partition.partition}`);
    column(show.offset, () => `Offset:${cursor.offset}`);
    column(showDelivery, () => 'Delivery:NOT_PRESENT');
    column(show.epoch, () => `Epoch:${partition.ready[0]?.view.leaderEpoch ?? 'NOT_PRESENT'}`);
    if (showHeaders) {
      next();
      headers(cursor, to);
    }
    if (showKey) {
      next();
      field(to, cursor.key(), keyText);
    }
    if (showValue) {
      next();
      field(to, cursor.value(), valueText);
    }
    to.text(lineSeparator);
  };
}

/** Values alone, as they are: what most people ask for, without a string or an object a record. */
function valueFormatter(nullLiteral: string, lineSeparator: string): Formatter {
  return (_, cursor, to) => {
    if (cursor.valueLength < 0) to.text(nullLiteral);
    else to.bytes(cursor.data, cursor.valueAt, cursor.valueAt + cursor.valueLength);
    to.text(lineSeparator);
  };
}

function timestampText(partition: Assigned, cursor: RecordCursor): string {
  if (cursor.timestamp < 0) return 'NO_TIMESTAMP';
  return `${partition.ready[0]?.view.isLogAppendTime ? 'LogAppendTime' : 'CreateTime'}:${cursor.timestamp}`;
}

/** Also writes each record to the log, as LoggingMessageFormatter. */
function loggingFormatter(properties: Readonly<Record<string, string>>): Formatter {
  const show = defaultFormatter(properties);
  return (partition, cursor, to) => {
    show(partition, cursor, to);
    const stamp = cursor.timestamp < 0 ? '' : `${timestampText(partition, cursor)}, `;
    const text = (bytes: Buffer | null): string => bytes?.toString() ?? 'null';
    err(
      `[${logDate(Date.now())}] INFO ${stamp}key:${text(cursor.key())}, value:${text(cursor.value())} (org.apache.kafka.tools.consumer.LoggingMessageFormatter)\n`,
    );
  };
}

/** Old class names, which the tool of 3.9 warns of. */
const RENAMED: Readonly<Record<string, string>> = {
  'kafka.tools.DefaultMessageFormatter': 'DefaultMessageFormatter',
  'kafka.tools.LoggingMessageFormatter': 'LoggingMessageFormatter',
  'kafka.tools.NoOpMessageFormatter': 'NoOpMessageFormatter',
  'kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter': 'OffsetsMessageFormatter',
  'kafka.coordinator.group.GroupMetadataManager$GroupMetadataMessageFormatter': 'GroupMetadataMessageFormatter',
  'kafka.coordinator.transaction.TransactionLog$TransactionLogMessageFormatter': 'TransactionLogMessageFormatter',
  'kafka.server.OffsetManager$OffsetsMessageFormatter': 'OffsetsMessageFormatter',
};
const PACKAGE = 'org.apache.kafka.tools.consumer.';

/** The formatter of this class name. @throws UsageFault there is none */
export async function formatterOf(className: string, properties: Readonly<Record<string, string>>): Promise<Formatter> {
  const renamed = RENAMED[className];
  const isOld = renamed !== undefined && /^kafka\.(coordinator|server)/.test(className);
  if (renamed !== undefined) {
    err(`WARNING: ${className} is deprecated and will be removed in the next major release. Please use ${PACKAGE}${renamed} instead\n`);
  }
  const name = renamed ?? (className.startsWith(PACKAGE) ? className.slice(PACKAGE.length) : className);
  if (name === 'DefaultMessageFormatter') return defaultFormatter(properties);
  if (name === 'LoggingMessageFormatter') return loggingFormatter(properties);
  if (name === 'NoOpMessageFormatter') return () => undefined;
  const { stateFormatters } = await import('./state-formatters.ts');
  const formatter = stateFormatters[`${name}${isOld ? ' (old)' : ''}`];
  if (formatter === undefined) throw new UsageFault(`java.lang.ClassNotFoundException: ${className}`, { brief: true });
  return formatter;
}
