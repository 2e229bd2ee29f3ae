/** The one error of all codecs, and the ways it comes about. */
import { AppError, type ErrorDetail } from '../errors.ts';

/** Compressed data is damaged, too large when unpacked, or of a codec nobody knows. Never retriable. */
export class CodecError extends AppError {
  constructor(message: string, detail: ErrorDetail = {}) {
    super('CODEC', message, detail);
  }
}

export function tooLarge(codec: string, limitBytes: number): CodecError {
  return new CodecError(`${codec} data unpacks to more than ${limitBytes} bytes`, { fix: 'raise the message size limit, or send smaller batches' });
}

export function damaged(codec: string, what: string, cause?: unknown): CodecError {
  return new CodecError(`damaged ${codec} data: ${what}`, cause === undefined ? {} : { cause });
}
