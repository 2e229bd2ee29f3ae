/**
 * The optional HTTP port with the broker's figures (`millrace.metrics.port`, on `millrace.metrics.host`):
 *
 *     /metrics        Prometheus text        /metrics/json   the same and more as JSON, per topic, partition and group
 *     /health         200 or 503 with what is wrong
 *
 * It tells names of topics and groups to whoever can reach it, so it listens on the loopback address unless told otherwise.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { AppError, errorText } from '../lib/errors.ts';
import type { Broker } from './broker.ts';
import { brokerFigures, problemsOf, RateWindow } from './metrics.ts';
import { prometheusText } from './metrics-text.ts';

const JSON_TYPE = 'application/json;charset=utf-8';
const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const PLAIN_TYPE = 'text/plain;charset=utf-8';
const PATHS = '/metrics /metrics/json /health';

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export class MetricsPort {
  readonly #broker: Broker;
  readonly #server: Server;
  readonly #rates: RateWindow;

  /** Opens it. @throws AppError the port cannot be had */
  static async open(broker: Broker, address: { readonly port: number; readonly host: string }): Promise<MetricsPort> {
    const metrics = new MetricsPort(broker);
    await new Promise<void>((resolve, reject) => {
      metrics.#server.once('error', (cause: NodeJS.ErrnoException) => {
        metrics.#rates.stop();
        const why = cause.code === 'EADDRINUSE' ? 'the port is in use' : errorText(cause);
        const error = new AppError('LISTEN', `cannot serve figures on ${address.host}:${address.port}: ${why}`, {
          fix: 'choose another millrace.metrics.port',
          cause,
        });
        reject(error);
      });
      metrics.#server.listen(address, resolve);
    });
    broker.log.info({ port: metrics.port }, `figures on http://${address.host}:${metrics.port}: ${PATHS}`);
    return metrics;
  }

  private constructor(broker: Broker) {
    this.#broker = broker;
    this.#rates = new RateWindow(broker.clock, () => broker.topics.allPartitions());
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  get port(): number {
    return (this.#server.address() as { port: number } | null)?.port ?? 0;
  }

  async close(): Promise<void> {
    this.#rates.stop();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    const { status, type, body } = this.#route(request.method ?? 'GET', (request.url ?? '/').split('?', 1)[0] as string);
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  #route(method: string, path: string): Reply {
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, type: PLAIN_TYPE, body: 'Only GET is served here\n' };
    switch (path) {
      case '/metrics':
      case '/metrics/prometheus':
        return { status: 200, type: PROMETHEUS_TYPE, body: prometheusText(brokerFigures(this.#broker, this.#rates)) };
      case '/metrics/json':
        return { status: 200, type: JSON_TYPE, body: JSON.stringify(brokerFigures(this.#broker, this.#rates)) };
      case '/health': {
        const problems = problemsOf(this.#broker);
        return { status: problems.length === 0 ? 200 : 503, type: JSON_TYPE, body: JSON.stringify({ ok: problems.length === 0, problems }) };
      }
      default:
        return { status: path === '/' ? 200 : 404, type: PLAIN_TYPE, body: `There are ${PATHS}\n` };
    }
  }
}
