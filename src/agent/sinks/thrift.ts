/**
 * Sends events to a thrift source, of this program or of Flume (Flume's ThriftSink). The wire is in
 * wire/thrift-connection.ts, connections and their errors in wire/rpc-sink.ts.
 */
import { oneOf, text } from '../../lib/props/spec.ts';
import { defineSink } from '../core/define.ts';
import { KERBEROS_ONLY, kerberosFindings, kerberosProperties } from '../wire/kerberos.ts';
import { RPC_SINK_DELIVERY, RpcSink, rpcSinkProperties, timeLimit } from '../wire/rpc-sink.ts';
import { connectThrift } from '../wire/thrift-connection.ts';
import { clientTls, clientTlsFindings, clientTlsProperties } from '../wire/tls.ts';

export default defineSink({
  type: 'thrift',
  aliases: ['org.apache.flume.sink.ThriftSink'],
  summary: 'Sends events to the thrift source of another agent.',
  properties: {
    ...rpcSinkProperties,
    protocol: oneOf(['compact', 'binary'], { default: 'compact', doc: 'Thrift protocol; the source must be set the same.' }),
    ...clientTlsProperties,
    ...kerberosProperties,
    'client-principal': text({ doc: 'Kerberos principal.', ignored: KERBEROS_ONLY }),
    'client-keytab': text({ doc: 'Kerberos keytab.', ignored: KERBEROS_ONLY }),
    'server-principal': text({ doc: 'Kerberos principal of the source.', ignored: KERBEROS_ONLY }),
  },
  check: (config) => [...kerberosFindings(config.kerberos), ...clientTlsFindings(config)],
  facts: (config) => ({ batchSize: config['batch-size'] }),
  delivery: () => RPC_SINK_DELIVERY,
  create: (config, ctx) => {
    const target = { host: config.hostname, port: config.port };
    const limits = { connectTimeoutMs: timeLimit(config['connect-timeout']), requestTimeoutMs: timeLimit(config['request-timeout']) };
    const connector = () => {
      const layers = { tls: clientTls(config), deflateLevel: undefined, deflateOutside: false };
      return () => connectThrift({ ...target, ...limits, clock: ctx.clock, layers }, config.protocol);
    };
    return new RpcSink({ target, resetSeconds: config['reset-connection-interval'], connector }, ctx);
  },
});
