/**
 * Monitoring as `-Dflume.monitoring.…` asks for it (Flume: instrumentation/http/HTTPMetricsServer, node/Application):
 * `/metrics` in Flume's JSON, the same as Prometheus text, `/health` and `/ready` that judge by progress, `/status`.
 * Nothing here can stop the agent: a taken port is said and tried again. Plain node:http, since six routes and a fast
 * start need no framework.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock, Timer } from '../../lib/clock.ts';
import { errorText } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Lifecycle } from '../core/lifecycle.ts';
import { GangliaReporter } from './ganglia.ts';
import { health, readiness, type Verdict } from './health.ts';
import { flumeMetrics } from './metrics.ts';
import type { SnapshotSource } from './snapshot.ts';

/** What the `flume.monitoring.*` system properties ask for. */
export interface MonitoringSettings {
  readonly type: 'none' | 'http' | 'prometheus' | 'ganglia';
  readonly port: number;
  /** Address to listen on; undefined = all, as in Flume. */
  readonly host: string | undefined;
  /** Ganglia only. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly pollMs: number;
  readonly format30: boolean;
  /** After this long without progress `/health` says so. */
  readonly stallMs: number;
  /** Sentences about settings that cannot be used. */
  readonly complaints: readonly string[];
}

const DEFAULT_PORT = 41414;
const KNOWN_TYPES: Readonly<Record<string, MonitoringSettings['type']>> = {
  http: 'http',
  prometheus: 'prometheus',
  ganglia: 'ganglia',
  'org.apache.flume.instrumentation.http.httpmetricsserver': 'http',
  'org.apache.flume.instrumentation.http.prometheushttpmetricsserver': 'prometheus',
  'org.apache.flume.instrumentation.gangliaserver': 'ganglia',
};

/** Reads the settings; what is wrong becomes a complaint, never an exception. */
export function monitoringSettings(properties: Readonly<Record<string, string>>): MonitoringSettings {
  const complaints: string[] = [];
  const key = (name: string): string | undefined => properties[`flume.monitoring.${name}`];
  const whole = (name: string, fallback: number, low: number, high: number): number => {
    const text = key(name)?.trim();
    if (text === undefined) return fallback;
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= low && value <= high) return value;
    complaints.push(`flume.monitoring.${name} must be a whole number from ${low} to ${high}, not "${text}"; ${fallback} is used`);
    return fallback;
  };
  const wanted = key('type');
  let type: MonitoringSettings['type'] = wanted === undefined ? 'none' : (KNOWN_TYPES[wanted.trim().toLowerCase()] ?? 'none');
  if (wanted !== undefined && type === 'none')
    complaints.push(`flume.monitoring.type "${wanted}" is not known here (http, prometheus, ganglia); nothing is monitored`);
  if (wanted === undefined && key('port') !== undefined) complaints.push('flume.monitoring.port does nothing without flume.monitoring.type=http');
  const hosts: { host: string; port: number }[] = [];
  for (const word of (key('hosts') ?? '').split(',').filter((part) => part.trim() !== '')) {
    const match = /^\s*([^:\s]+):(\d{1,5})\s*$/.exec(word);
    if (match) hosts.push({ host: match[1]!, port: Number(match[2]) });
    else complaints.push(`flume.monitoring.hosts: "${word.trim()}" is not host:port`);
  }
  if (type === 'ganglia' && hosts.length === 0) {
    complaints.push('flume.monitoring.type=ganglia needs flume.monitoring.hosts=host:port,…; nothing is reported');
    type = 'none';
  }
  return {
    type,
    port: whole('port', DEFAULT_PORT, 0, 65_535),
    host: key('bind'),
    hosts,
    pollMs: whole('pollFrequency', 60, 1, 86_400) * 1000,
    format30: key('isGanglia3')?.trim().toLowerCase() === 'true',
    stallMs: whole('stallSeconds', 60, 1, 86_400) * 1000,
    complaints,
  };
}

export interface MonitoringOptions {
  readonly settings: MonitoringSettings;
  readonly snapshot: SnapshotSource;
  readonly log: Logger;
  readonly clock: Clock;
  readonly version: string;
}

/** Monitoring that starts and stops with the agent. `port` is what it listens on now, undefined while it does not. */
export interface Monitoring extends Lifecycle {
  readonly port: number | undefined;
}

/** Builds what the settings ask for and logs their complaints. Its `start` never rejects. */
export function createMonitoring(options: MonitoringOptions): Monitoring {
  for (const complaint of options.settings.complaints) options.log.warn(complaint);
  if (options.settings.type === 'none') return { port: undefined, start: async () => {}, stop: async () => {} };
  if (options.settings.type === 'ganglia') {
    const reporter = new GangliaReporter({ ...options.settings, ...options });
    return { port: undefined, start: () => reporter.start(), stop: () => reporter.stop() };
  }
  return new MonitoringServer(options);
}

const RETRY_FIRST_MS = 1_000;
const RETRY_LAST_MS = 30_000;
const JSON_TYPE = 'application/json;charset=utf-8';

class MonitoringServer implements Monitoring {
  readonly #options: MonitoringOptions;
  #server: Server | undefined;
  #retry: Timer | undefined;
  #retryMs = RETRY_FIRST_MS;
  #stopped = true;

  constructor(options: MonitoringOptions) {
    this.#options = options;
  }

  get port(): number | undefined {
    const address = this.#server?.listening ? (this.#server.address() as AddressInfo | null) : null;
    return address?.port;
  }

  async start(): Promise<void> {
    if (!this.#stopped) return;
    this.#stopped = false;
    await this.#listen();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    const server = this.#server;
    this.#server = undefined;
    if (!server?.listening) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** Resolves when listening, or when it could not and the next try is set. */
  #listen(): Promise<void> {
    const { settings, log, clock } = this.#options;
    const server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 65_000 }, (request, response) =>
      this.#answer(request, response),
    );
    server.maxConnections = 256;
    this.#server = server;
    return new Promise((resolve) => {
      server.on('error', (error: NodeJS.ErrnoException) => {
        resolve();
        if (this.#stopped) return;
        const why = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message;
        if (this.#retryMs === RETRY_FIRST_MS)
          log.warn(
            `monitoring cannot listen on port ${settings.port}: ${why}. The agent runs on; this is tried again, or choose another -Dflume.monitoring.port`,
          );
        this.#retry = clock.after(this.#retryMs, () => void this.#listen());
        this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LAST_MS);
      });
      server.listen({ port: settings.port, host: settings.host }, () => {
        this.#retryMs = RETRY_FIRST_MS;
        log.info(`monitoring (${settings.type}) on port ${this.port}: /metrics /metrics/prometheus /health /ready /status`);
        resolve();
      });
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    this.#route(request.method ?? 'GET', (request.url ?? '/').split('?', 1)[0]!.toLowerCase()).then(
      ({ status, type, body }) => {
        response.writeHead(
          status,
          type === undefined ? { 'content-length': 0 } : { 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' },
        );
        response.end(request.method === 'HEAD' ? undefined : body);
      },
      (error: unknown) => {
        this.#options.log.error({ err: error }, 'monitoring could not answer');
        response.writeHead(500, { 'content-type': 'text/plain;charset=utf-8' });
        response.end(`${errorText(error)}\n`);
      },
    );
  }

  /** Flume's rules: TRACE and OPTIONS are forbidden, any other method reads, paths match in any case. */
  async #route(method: string, path: string): Promise<Reply> {
    if (method === 'TRACE' || method === 'OPTIONS') return { status: 403, type: undefined, body: '' };
    const { snapshot, clock, settings } = this.#options;
    switch (path) {
      case '/metrics':
        return settings.type === 'prometheus' ? this.#prometheus() : json(flumeMetrics(snapshot()));
      case '/metrics/json':
        return json(flumeMetrics(snapshot()));
      case '/metrics/prometheus':
        return this.#prometheus();
      case '/health':
        return verdict(health(snapshot(), clock.now(), settings.stallMs));
      case '/ready':
        return verdict(readiness(snapshot()));
      case '/status':
        return json({
          version: this.#options.version,
          pid: process.pid,
          now: clock.now(),
          health: health(snapshot(), clock.now(), settings.stallMs),
          ...snapshot(),
        });
      case '/':
        return { status: 200, type: 'text/html;charset=utf-8', body: FRONT_PAGE };
      default:
        return { status: 404, type: 'text/plain;charset=utf-8', body: 'Not found. There are /metrics /metrics/prometheus /health /ready /status\n' };
    }
  }

  /** prom-client is loaded by the first who asks. */
  async #prometheus(): Promise<Reply> {
    const { prometheusText } = await import('./prometheus.ts');
    const { contentType, body } = await prometheusText(this.#options.snapshot());
    return { status: 200, type: contentType, body };
  }
}

interface Reply {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: string;
}

const FRONT_PAGE = 'For Flume metrics please click <a href = "./metrics"> here</a>.';

function json(value: unknown): Reply {
  return { status: 200, type: JSON_TYPE, body: JSON.stringify(value) };
}

function verdict({ ok, problems }: Verdict): Reply {
  return { status: ok ? 200 : 503, type: JSON_TYPE, body: JSON.stringify({ ok, problems }) };
}
