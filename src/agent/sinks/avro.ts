/**
 * Sends events to an avro source, of this program or of Flume 1.4 to 1.11 (Flume's AvroSink). The wire is in
 * wire/avro-connection.ts, connections and their errors in wire/rpc-sink.ts. As in Flume the properties of an RPC client
 * are the sink's too, so `client.type` and `hosts` make it one of several hosts (wire/rpc-clients.ts).
 */
import type { FindingDraft } from '../../lib/props/finding.ts';
import { bool, type Config, int, list, oneOf, text } from '../../lib/props/spec.ts';
import { defineSink, type SinkContext } from '../core/define.ts';
import { connectAvro } from '../wire/avro-connection.ts';
import { rpcClient, rpcClientProblem, severalHostsProperties } from '../wire/rpc-clients.ts';
import type { RpcConnection } from '../wire/rpc-connection.ts';
import { RPC_SINK_DELIVERY, RpcSink, rpcSinkProperties, timeLimit } from '../wire/rpc-sink.ts';
import { clientTls, clientTlsFindings, clientTlsProperties } from '../wire/tls.ts';

const clientProperties = {
  'compression-type': oneOf(['none', 'deflate'], { default: 'none', doc: 'How the connection is compressed; the source must be set the same.' }),
  'compression-level': int({ default: 6, min: 0, max: 9, doc: '0: not at all, 9: best and slowest.' }),
  'compress-outside-tls': bool({
    default: true,
    doc: 'With both ssl and compression: true speaks to Flume 1.10 and later, false to Flume up to 1.9. Our avro source takes both. Not in Flume.',
  }),
  ...clientTlsProperties,
} as const;

const properties = {
  ...rpcSinkProperties,
  'client.type': text({ doc: 'default_failover or default_loadbalance: the sink has several hosts, named in hosts. A sink group can do more.' }),
  hosts: list({ doc: 'With client.type: names of the hosts, separated by blanks; h1 stands for hostname and port.' }),
  ...severalHostsProperties,
  ...clientProperties,
} as const;
type AvroConfig = Config<typeof properties>;

export default defineSink({
  type: 'avro',
  aliases: ['org.apache.flume.sink.AvroSink'],
  summary: 'Sends events to the avro source of another agent.',
  properties,
  check,
  facts: (config) => ({ batchSize: config['batch-size'] }),
  delivery: () => RPC_SINK_DELIVERY,
  create: (config, ctx) => avroSink(config, ctx),
});

function check(config: AvroConfig): FindingDraft[] {
  const findings = clientTlsFindings(config);
  const problem = findings.length === 0 && hasSeveralHosts(config) ? rpcClientProblem(asWritten(config)) : undefined;
  if (problem === undefined) return findings;
  return [{ code: 'bad-value', severity: 'error', message: problem.message, fix: problem.fix ?? 'correct the hosts of the sink', key: 'client.type' }];
}

function hasSeveralHosts(config: AvroConfig): boolean {
  return config['client.type'] !== undefined || config.hosts !== undefined;
}

function avroSink(config: AvroConfig, ctx: SinkContext): RpcSink {
  const target = { host: config.hostname, port: config.port };
  const connector = hasSeveralHosts(config) ? () => severalHosts(config, ctx) : () => oneHost(config, ctx);
  return new RpcSink({ target, resetSeconds: config['reset-connection-interval'], connector }, ctx);
}

function oneHost(config: AvroConfig, { clock }: SinkContext): () => Promise<RpcConnection> {
  const deflateLevel = config['compression-type'] === 'deflate' ? config['compression-level'] : undefined;
  const layers = { tls: clientTls(config), deflateLevel, deflateOutside: config['compress-outside-tls'] };
  const limits = { connectTimeoutMs: timeLimit(config['connect-timeout']), requestTimeoutMs: timeLimit(config['request-timeout']) };
  return () => connectAvro({ host: config.hostname, port: config.port, ...limits, clock, layers });
}

/** The client connects by itself, to whom it chooses; the sink sees one connection that never dies of age. */
function severalHosts(config: AvroConfig, ctx: SinkContext): () => Promise<RpcConnection> {
  const written = asWritten(config);
  // A trust store that cannot be read is to be said at the start, not with the first events.
  clientTls(config);
  return async () => {
    const client = rpcClient(written, ctx);
    return { dead: false, send: (events) => client.send(events), close: () => client.close() };
  };
}

/** The client's share of the sink's properties, as text again. */
function asWritten(config: AvroConfig): Record<string, string> {
  const { hosts = ['h1'], hostname, port } = config;
  const own = ['client.type', 'batch-size', 'connect-timeout', 'request-timeout', ...Object.keys(severalHostsProperties), ...Object.keys(clientProperties)];
  const out: Record<string, string> = { hosts: hosts.join(' '), 'hosts.h1': `${hostname}:${port}` };
  for (const [name, place] of Object.entries(config['hosts.*'])) out[`hosts.${name}`] = place;
  for (const key of own as (keyof AvroConfig)[]) {
    const value = config[key];
    if (value !== undefined && key !== 'hosts.*') out[key] = Array.isArray(value) ? value.join(' ') : String(value);
  }
  return out;
}
