/** Polls a source one call after another, as its runner does, for tests that have no runner. */
import type { PollableSource } from '../src/agent/core/source.ts';

/** Begins to poll. Answers how to end it: resolves when the last poll has. @throws (then) what a poll threw */
export function pollLoop(source: PollableSource): () => Promise<void> {
  const abort = new AbortController();
  const loop = (async () => {
    while (!abort.signal.aborted) await source.poll(abort.signal);
  })();
  return async () => {
    abort.abort();
    await loop;
  };
}
