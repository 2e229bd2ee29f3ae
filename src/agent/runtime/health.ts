/**
 * What `/health` and `/ready` answer: judged by progress, not by an open port. An agent whose sink has delivered nothing
 * for a minute while events wait is not healthy, whatever its status says.
 */
import type { AgentSnapshot, ComponentSnapshot } from './snapshot.ts';

/** One reason why the answer is no. */
export interface Problem {
  /** e.g. `sink k1`, or `agent`. */
  readonly component: string;
  readonly problem: string;
  /** What to do, when the component's error says so. */
  readonly fix?: string | undefined;
}

export interface Verdict {
  readonly ok: boolean;
  readonly problems: readonly Problem[];
}

function problemOf(component: ComponentSnapshot, text: string): Problem {
  return {
    component: `${component.kind} ${component.name}`,
    problem: component.error ? `${text}: ${component.error.message}` : text,
    fix: component.error?.fix,
  };
}

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;

/**
 * Healthy = the agent runs, every component runs, and everything that waits moves.
 * @param stallMs how long events may wait, or attempts may fail, without any progress
 */
export function health(snapshot: AgentSnapshot, now: number, stallMs: number): Verdict {
  const problems: Problem[] = [];
  const { status } = snapshot;
  if (status === 'starting' || status === 'stopping' || status === 'stopped') problems.push({ component: 'agent', problem: `is ${status}` });
  else if (snapshot.components.length === 0) problems.push({ component: 'agent', problem: 'has no component that can run' });
  for (const component of snapshot.components) {
    if (component.status !== 'running') problems.push(problemOf(component, `is ${component.status} for ${seconds(now - component.since)}`));
    else if (component.failingSince > 0 && now - component.failingSince > stallMs) {
      problems.push(problemOf(component, `every attempt failed for ${seconds(now - component.failingSince)}`));
    } else if (component.busySince !== undefined && component.busySince > 0 && now - component.busySince > stallMs) {
      problems.push(problemOf(component, `one delivery lasts for ${seconds(now - component.busySince)}`));
    }
  }
  problems.push(...stalled(snapshot, now, stallMs));
  if (status === 'degraded' && problems.length === 0) problems.push({ component: 'agent', problem: 'is degraded' });
  if (status === 'failed' && problems.length === 0) problems.push({ component: 'agent', problem: 'is failed' });
  return { ok: problems.length === 0, problems };
}

/** Flows in which events wait and no sink delivered any for too long. A flow that nobody reads is a finding, not a stall. */
function stalled(snapshot: AgentSnapshot, now: number, stallMs: number): Problem[] {
  const problems: Problem[] = [];
  for (const flow of snapshot.flows) {
    if (flow.inChannel === 0 || flow.sinks.length === 0) continue;
    const sinks = snapshot.components.filter((component) => component.kind === 'sink' && flow.sinks.includes(component.name));
    // A sink that began lately has its time, too.
    const latest = Math.max(...sinks.map((sink) => Math.max(sink.progressAt, sink.since)));
    if (sinks.length > 0 && now - latest > stallMs) {
      problems.push({ component: `channel ${flow.channel}`, problem: `${flow.inChannel} events wait and nothing was delivered for ${seconds(now - latest)}` });
    }
  }
  return problems;
}

/** Ready = input is taken now: all sources and channels run. Sinks may be busy with themselves; events wait for them. */
export function readiness(snapshot: AgentSnapshot): Verdict {
  const problems: Problem[] = [];
  const { status } = snapshot;
  // `failed` is also an agent of which only the sinks fail; without a source it takes nothing.
  const takesNothing = status === 'failed' && snapshot.components.every(({ kind }) => kind !== 'source');
  if (takesNothing || status === 'starting' || status === 'stopping' || status === 'stopped') problems.push({ component: 'agent', problem: `is ${status}` });
  for (const component of snapshot.components) {
    const takes = component.status === 'running' || component.status === 'degraded';
    if (component.kind !== 'sink' && !takes) problems.push(problemOf(component, `is ${component.status}`));
  }
  return { ok: problems.length === 0, problems };
}
