/** The signals an agent lives by: SIGTERM and SIGINT stop it, the second one at once; SIGHUP reads the definition again. */
import { EXIT } from './command.ts';

/** Why the agent has to stop. */
export interface StopReason {
  readonly name: string;
  readonly exitCode: number;
  /** An error nobody handled: what runs is stopped in order, since its state is not known any more. */
  readonly error?: unknown;
}

export interface StopSignals {
  readonly first: Promise<StopReason>;
  readonly second: Promise<void>;
  /** Says what SIGHUP does; one that came before is made up for. */
  onHangUp(handler: () => void): void;
  /** Gives the signals back to Node. */
  release(): void;
}

/** Listens from now on, so that a signal during the start is not lost. */
export function awaitSignal(): StopSignals {
  let stopFirst: (reason: StopReason) => void = () => undefined;
  let stopSecond: () => void = () => undefined;
  const first = new Promise<StopReason>((resolve) => {
    stopFirst = resolve;
  });
  const second = new Promise<void>((resolve) => {
    stopSecond = resolve;
  });
  let count = 0;
  let missed = false;
  let hangUp: () => void = () => {
    missed = true;
  };
  const stop = (reason: StopReason): void => {
    count++;
    if (count === 1) stopFirst(reason);
    else if (reason.error === undefined) stopSecond();
  };
  const handlers = {
    SIGTERM: () => stop({ name: 'SIGTERM', exitCode: EXIT.terminated }),
    SIGINT: () => stop({ name: 'SIGINT', exitCode: EXIT.interrupted }),
    SIGHUP: () => hangUp(),
    uncaughtException: (error: unknown) => stop({ name: 'error', exitCode: EXIT.failed, error }),
  };
  for (const [name, handler] of Object.entries(handlers)) process.on(name, handler);
  return {
    first,
    second,
    onHangUp: (handler) => {
      hangUp = handler;
      if (missed) handler();
    },
    release: () => {
      for (const [name, handler] of Object.entries(handlers)) process.removeListener(name, handler);
    },
  };
}
