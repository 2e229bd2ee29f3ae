/** What the broker counts while it runs; plain fields, read by the metrics port. */
export class Figures {
  /** Epoch ms. */
  startedAt = 0;
  connections = 0;
  connectionsTotal = 0;
  requests = 0;
  failedRequests = 0;
  badFrames = 0;
  failedLogins = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** Places where stored bytes were damaged and put aside. */
  damages = 0;
}
