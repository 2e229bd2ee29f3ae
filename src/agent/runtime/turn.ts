/**
 * Lets the event loop breathe. Memory channel and quick sinks resolve in microtasks, so a loop over them would never let
 * sockets, timers and signals in. A loop asks `due` once per batch, which costs one clock reading.
 */
const SLICE_MS = 5;

export class Turn {
  #began = performance.now();

  /** True when the loop has run for a slice without a pause of its own making. */
  due(): boolean {
    return performance.now() - this.#began > SLICE_MS;
  }

  /** Goes behind everything the loop has to do now. */
  next(): Promise<void> {
    return new Promise((resolve) =>
      setImmediate(() => {
        this.#began = performance.now();
        resolve();
      }),
    );
  }
}
