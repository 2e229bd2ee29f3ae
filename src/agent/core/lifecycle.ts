/**
 * What the runtime starts and stops. `create` of a spec is pure; `start` may fail and be called again; `stop` must be
 * safe twice, without a start, and while a start is under way.
 */
export interface Lifecycle {
  /** Resolves when the component is ready (port open, directory checked). Rejects with an AppError that says what and where. */
  start(): Promise<void>;
  /** Resolves when every loop, socket, timer and child of the component has ended. */
  stop(): Promise<void>;
}
