/** What the broker counts while it runs; plain fields, read by the metrics port. */

/** API keys are below this. */
const APIS = 128;

export class Figures {
  /** Epoch ms. */
  startedAt = 0;
  connections = 0;
  connectionsTotal = 0;
  /** New connections that wait now, and that had to wait, for max.connections or max.connection.creation.rate. */
  connectionsWaiting = 0;
  connectionsDelayed = 0;
  /** Closed after a delay: their address is above its quota connection_creation_rate. */
  connectionsThrottled = 0;
  /** Closed at once: too many from one address, or too many that wait. */
  connectionsRefused = 0;
  requests = 0;
  failedRequests = 0;
  badFrames = 0;
  failedLogins = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** Places where stored bytes were damaged and put aside. */
  damages = 0;
  /** Answers with a throttle time, and the sum of those times. */
  throttles = 0;
  throttledMs = 0;
  /** Waits for the device (fdatasync, fsync). */
  syncs = 0;
  syncMs = 0;
  longestSyncMs = 0;
  failedSyncs = 0;
  /** Answered requests by API key, and the time from request to answer, long polls included. */
  readonly answered = new Float64Array(APIS);
  readonly answerMs = new Float64Array(APIS);

  request(apiKey: number, tookMs: number): void {
    if (apiKey < 0 || apiKey >= APIS) return;
    this.answered[apiKey] = (this.answered[apiKey] as number) + 1;
    this.answerMs[apiKey] = (this.answerMs[apiKey] as number) + tookMs;
  }

  sync(tookMs: number, failed: boolean): void {
    this.syncs++;
    this.syncMs += tookMs;
    if (tookMs > this.longestSyncMs) this.longestSyncMs = tookMs;
    if (failed) this.failedSyncs++;
  }

  throttle(ms: number): void {
    this.throttles++;
    this.throttledMs += ms;
  }
}
