/**
 * Status of a component as one literal table of allowed moves (after the OpenTelemetry Collector's
 * service/internal/status). Only the supervisor moves it.
 */
export type Status = 'idle' | 'starting' | 'running' | 'degraded' | 'retrying' | 'failed' | 'stopping' | 'stopped';

export const STATUS_MOVES: Readonly<Record<Status, readonly Status[]>> = {
  idle: ['starting', 'stopped', 'failed'],
  starting: ['running', 'degraded', 'retrying', 'failed', 'stopping'],
  running: ['degraded', 'retrying', 'failed', 'stopping'],
  degraded: ['running', 'retrying', 'failed', 'stopping'],
  retrying: ['starting', 'failed', 'stopping'],
  failed: ['starting', 'stopping'],
  stopping: ['stopped', 'failed'],
  stopped: ['starting', 'idle'],
};

/** Whether the table allows this move. */
export function mayMove(from: Status, to: Status): boolean {
  return STATUS_MOVES[from].includes(to);
}

/** Whether a component of this status does its work. */
export function isWorking(status: Status): boolean {
  return status === 'running' || status === 'degraded';
}
