/**
 * What a start that does not succeed means for the process. Flume's agent looks alive whatever failed; here an agent of
 * which nothing runs ends before supervisord's usual startsecs=10 is over, so that its state tells the truth.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Agent } from './agent.ts';

/** `exit`: everything must start. `degraded`: some flow must. `retry`: the agent stays, whatever happens. */
export type StartPolicy = 'exit' | 'degraded' | 'retry';

const LOOK_MS = 50;
const REMIND_MS = 60_000;

export interface StartWatch {
  readonly agent: Agent;
  readonly clock: Clock;
  readonly policy: StartPolicy;
  /** Time for first and further attempts, ms. A first attempt still under way (a replay) is waited for beyond it. */
  readonly graceMs: number;
  readonly signal: AbortSignal;
}

/** Resolves true when the agent may run on, false when it has to end. */
export async function watchStart({ agent, clock, policy, graceMs, signal }: StartWatch): Promise<boolean> {
  const deadline = clock.monotonic() + graceMs;
  for (;;) {
    if (signal.aborted || policy === 'retry') return true;
    if (policy === 'exit' ? agent.allRuns : agent.someFlowRuns) return true;
    const over = clock.monotonic() >= deadline;
    if ((over || agent.hopeless) && !agent.someStarts) return false;
    await clock.sleep(LOOK_MS, signal);
  }
}

/** One line a minute for as long as something does not run. Ends with `signal`. */
export async function remind(agent: Agent, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(REMIND_MS, signal);
    if (!signal.aborted) agent.logTroubles();
  }
}
