/** What a put answers when the storage refuses: sources may send the events again. */
import { ChannelError } from '../../lib/errors.ts';
import type { StorageError } from '../../lib/files.ts';

/** In the words of Flume. */
export function spaceExhausted(dir: string, freeBytes: number, requiredBytes: number): ChannelError {
  return new ChannelError(`Usable space exhausted, only ${Math.max(0, freeBytes)} bytes remaining, required ${requiredBytes} bytes, in ${dir}`, {
    retriable: true,
    fix: 'free some space; work goes on by itself then. minimumRequiredSpace says how much must stay free',
  });
}

/** Any error of the storage as one of the channel. */
export function putFailure(cause: unknown): ChannelError {
  if (cause instanceof ChannelError) return cause;
  const error = cause as StorageError;
  return new ChannelError(`Put failed due to IO error: ${error.message}`, { cause, retriable: true, ...(error.fix === undefined ? {} : { fix: error.fix }) });
}
