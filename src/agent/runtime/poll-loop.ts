/**
 * Runs a PollableSource: one poll after another, waiting longer the more often it says `backoff` (Flume's
 * PollableSourceRunner: min(n × backoffSleepIncrement, maxBackoffSleep)). Unlike Flume's, a poll that throws waits too,
 * so that a source with a lasting error does not spin.
 */

import type { Clock } from '../../lib/clock.ts';
import type { Lifecycle } from '../core/lifecycle.ts';
import type { PollableSource } from '../core/source.ts';
import type { Complaint } from './complaint.ts';
import { Turn } from './turn.ts';

export interface PollOptions {
  readonly clock: Clock;
  readonly complaint: Complaint;
  /** Flume's `backoffSleepIncrement`, ms. */
  readonly incrementMs: number;
  /** Flume's `maxBackoffSleep`, ms. */
  readonly maxMs: number;
  readonly onError: (error: unknown) => void;
  readonly onSuccess: () => void;
}

/** The source together with its loop, as one thing to start and stop. */
export function polling(source: PollableSource, options: PollOptions): Lifecycle {
  let abort = new AbortController();
  let loop: Promise<void> | undefined;
  return {
    async start() {
      await source.start();
      abort = new AbortController();
      loop = run(source, options, abort.signal);
    },
    async stop() {
      abort.abort();
      await loop;
      loop = undefined;
      await source.stop();
    },
  };
}

async function run(source: PollableSource, options: PollOptions, signal: AbortSignal): Promise<void> {
  const { clock, complaint, incrementMs, maxMs } = options;
  const turn = new Turn();
  let backoffs = 0;
  while (!signal.aborted) {
    let waitMs = 0;
    try {
      const outcome = await source.poll(signal);
      if (complaint.current !== undefined) {
        complaint.clear();
        options.onSuccess();
      }
      backoffs = outcome === 'backoff' ? backoffs + 1 : 0;
      waitMs = Math.min(backoffs * incrementMs, maxMs);
    } catch (error) {
      if (signal.aborted) break;
      backoffs++;
      waitMs = Math.max(1, Math.min(backoffs * incrementMs, maxMs));
      complaint.raise(error, `polling again in ${waitMs} ms`);
      options.onError(error);
    }
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    else if (turn.due()) await turn.next();
  }
}
