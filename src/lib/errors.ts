/**
 * Every error that may reach a person: a stable code, what happened and where, and what to do about it.
 * Wire-protocol errors inside a handler are values, not exceptions; these are for everything else.
 */

/** What an {@link AppError} carries besides its message. */
export interface ErrorDetail {
  /** What the operator can do, one sentence. */
  readonly fix?: string;
  /** The error underneath. */
  readonly cause?: unknown;
  /** True when the same attempt may succeed later without anybody changing anything. */
  readonly retriable?: boolean;
}

/** Base of all errors of the house. `message` says what and where. */
export class AppError extends Error {
  /** Stable identifier, e.g. `CHANNEL_FULL`; listed in docs/reference/errors.md. */
  readonly code: string;
  readonly fix: string | undefined;
  readonly retriable: boolean;

  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = new.target.name;
    this.code = code;
    this.fix = detail.fix;
    this.retriable = detail.retriable ?? false;
  }
}

/** A definition cannot run as written; waits in `failed` for a new configuration. Never retriable. */
export class ConfigError extends AppError {
  constructor(message: string, detail: ErrorDetail = {}) {
    super('CONFIG', message, detail);
  }
}

/** The channel had no room within keep-alive; nothing of the batch was stored. Sources may try again. */
export class ChannelFullError extends AppError {
  constructor(message: string, detail: ErrorDetail = {}) {
    super('CHANNEL_FULL', message, { retriable: true, ...detail });
  }
}

/** A channel refused or failed an operation for another reason than lack of room (Flume's ChannelException). */
export class ChannelError extends AppError {
  constructor(message: string, detail: ErrorDetail = {}) {
    super('CHANNEL', message, detail);
  }
}

/** A sink could not hand a batch on. Retriable unless said otherwise. */
export class DeliveryError extends AppError {
  constructor(message: string, detail: ErrorDetail = {}) {
    super('DELIVERY', message, { retriable: true, ...detail });
  }
}

/** The other end of a connection broke the protocol, or answered with an error code of the protocol. */
export class ProtocolError extends AppError {
  /** Numeric error code of the protocol (Kafka: see kafka/errors.ts), or -1. */
  readonly wireCode: number;
  constructor(message: string, detail: ErrorDetail & { wireCode?: number } = {}) {
    super('PROTOCOL', message, detail);
    this.wireCode = detail.wireCode ?? -1;
  }
}

/** Stored bytes are not what was written. */
export class CorruptLogError extends AppError {
  readonly file: string;
  /** Byte position in `file` of the first bad byte's record. */
  readonly position: number;
  constructor(message: string, at: { file: string; position: number }, detail: ErrorDetail = {}) {
    super('CORRUPT_LOG', message, detail);
    this.file = at.file;
    this.position = at.position;
  }
}

/** The text of any thrown value, one line. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
