/**
 * Sends events to an avro source, of this program or of Flume 1.4 to 1.11 (Flume's AvroSink). The wire is in
 * wire/avro-connection.ts, connections and their errors in wire/rpc-sink.ts.
 */
import { bool, type Config, int, oneOf } from '../../lib/props/spec.ts';
import { defineSink, type SinkContext } from '../core/define.ts';
import { connectAvro } from '../wire/avro-connection.ts';
import { RPC_SINK_DELIVERY, RpcSink, rpcSinkProperties, timeLimit } from '../wire/rpc-sink.ts';
import { clientTls, clientTlsFindings, clientTlsProperties } from '../wire/tls.ts';

const properties = {
  ...rpcSinkProperties,
  'compression-type': oneOf(['none', 'deflate'], { default: 'none', doc: 'How the connection is compressed; the source must be set the same.' }),
  'compression-level': int({ default: 6, min: 0, max: 9, doc: '0: not at all, 9: best and slowest.' }),
  'compress-outside-tls': bool({
    default: true,
    doc: 'With both ssl and compression: true speaks to Flume 1.10 and later, false to Flume up to 1.9. Our avro source takes both. Not in Flume.',
  }),
  ...clientTlsProperties,
} as const;

export default defineSink({
  type: 'avro',
  aliases: ['org.apache.flume.sink.AvroSink'],
  summary: 'Sends events to the avro source of another agent.',
  properties,
  check: clientTlsFindings,
  facts: (config) => ({ batchSize: config['batch-size'] }),
  delivery: () => RPC_SINK_DELIVERY,
  create: (config, ctx) => avroSink(config, ctx),
});

function avroSink(config: Config<typeof properties>, ctx: SinkContext): RpcSink {
  const target = { host: config.hostname, port: config.port };
  return new RpcSink(
    {
      target,
      resetSeconds: config['reset-connection-interval'],
      connector: () => {
        const layers = {
          tls: clientTls(config),
          deflateLevel: config['compression-type'] === 'deflate' ? config['compression-level'] : undefined,
          deflateOutside: config['compress-outside-tls'],
        };
        const limits = { connectTimeoutMs: timeLimit(config['connect-timeout']), requestTimeoutMs: timeLimit(config['request-timeout']) };
        return () => connectAvro({ ...target, ...limits, clock: ctx.clock, layers });
      },
    },
    ctx,
  );
}
