/**
 * What a handler answers when the disk refuses: an error code in the shape of its API. A closed connection would tell
 * the client nothing, and it would come back at once with the same request.
 */
import { errorText } from '../../lib/errors.ts';
import { StorageError } from '../../lib/files.ts';
import type { RequestContext } from '../request.ts';

/** Resolves to the answer; when it could not be stored, says so in the log and resolves to what `refuse` makes of it. */
export async function unlessDiskRefuses<T, F>(answer: Promise<T>, { broker }: Pick<RequestContext, 'broker'>, refuse: (text: string) => F): Promise<T | F> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    broker.log.error({ err: error }, `a change could not be stored and was refused: ${errorText(error)}`);
    return refuse(errorText(error));
  }
}
