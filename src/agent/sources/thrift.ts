/**
 * Takes events from Thrift RPC clients: thrift sinks of other agents, Flume's ThriftRpcClient (Flume's ThriftSource).
 * Framed transport always. When data is safe: as the avro source says. The wire is in wire/thrift-session.ts.
 */
import { int, oneOf, text } from '../../lib/props/spec.ts';
import { defineSource } from '../core/define.ts';
import { KERBEROS_ONLY, kerberosFindings, kerberosProperties } from '../wire/kerberos.ts';
import { RPC_SOURCE_DELIVERY, RpcServer } from '../wire/rpc-server.ts';
import { ThriftSession } from '../wire/thrift-session.ts';
import { serverTls, serverTlsFindings, serverTlsProperties } from '../wire/tls.ts';

export default defineSource({
  type: 'thrift',
  aliases: ['org.apache.flume.source.ThriftSource'],
  summary: 'Takes events from Thrift RPC clients, such as the thrift sinks of other agents.',
  properties: {
    bind: text({ required: true, doc: 'Address or host name to listen on; 0.0.0.0 for all.' }),
    port: int({ required: true, min: 0, max: 65_535, doc: 'TCP port to listen on; 0 picks a free one.' }),
    protocol: oneOf(['compact', 'binary'], { default: 'compact', doc: 'Thrift protocol; clients must be set the same.' }),
    ...serverTlsProperties,
    threads: int({ doc: 'Threads of the server.', ignored: 'there are no such threads' }),
    ...kerberosProperties,
    'agent-principal': text({ doc: 'Kerberos principal.', ignored: KERBEROS_ONLY }),
    'agent-keytab': text({ doc: 'Kerberos keytab.', ignored: KERBEROS_ONLY }),
  },
  check: (config) => [...kerberosFindings(config.kerberos), ...serverTlsFindings(config)],
  facts: (config) => ({ listens: [{ protocol: 'tcp', host: config.bind, port: config.port }] }),
  delivery: () => RPC_SOURCE_DELIVERY,
  create: (config, ctx) =>
    new RpcServer({
      ctx,
      bind: config.bind,
      port: config.port,
      session: () => new ThriftSession(config.protocol),
      layers: () => ({ tls: serverTls(config, ctx.log), deflate: false }),
    }),
});
