/**
 * Takes events from Avro RPC clients: avro sinks of other agents, Flume's RPC clients, flume-ng avro-client (Flume's
 * AvroSource, all releases from 1.4 on).
 *
 * When data is safe: OK means that every required channel has the whole batch; FAILED means the client must send it again,
 * and then a part of it may come twice if there are several channels. Unlike Flume, a batch larger than the channel's
 * transactionCapacity is stored in several transactions instead of being refused for ever. The wire is in
 * wire/avro-session.ts, connections in wire/rpc-server.ts.
 */
import { errorText } from '../../lib/errors.ts';
import type { FindingDraft } from '../../lib/props/finding.ts';
import { bool, type Config, int, list, oneOf, text } from '../../lib/props/spec.ts';
import { defineSource, type SourceContext } from '../core/define.ts';
import { AvroSession, ForeignProtocols } from '../wire/avro-session.ts';
import { IpFilter } from '../wire/ip-filter.ts';
import { RPC_SOURCE_DELIVERY, RpcServer } from '../wire/rpc-server.ts';
import { serverTls, serverTlsFindings, serverTlsProperties } from '../wire/tls.ts';

const properties = {
  bind: text({ required: true, doc: 'Address or host name to listen on; 0.0.0.0 for all.' }),
  port: int({ required: true, min: 0, max: 65_535, doc: 'TCP port to listen on; 0 picks a free one.' }),
  'compression-type': oneOf(['none', 'deflate'], { default: 'none', doc: 'How connections are compressed; clients must be set the same.' }),
  ...serverTlsProperties,
  'include-protocols': list({
    doc: 'TLS versions to allow, separated by blanks, in Java’s names (TLSv1.2 TLSv1.3); default: TLSv1.2, since clients of Flume 1.7 to 1.9 break in TLS 1.3.',
  }),
  ipFilter: bool({ default: false, doc: 'Let in only whom ipFilterRules allow.' }),
  ipFilterRules: text({
    doc: 'Rules <allow|deny>:<ip|name>:<pattern>, separated by commas; * is any run of characters, ? is one. The first that matches decides; without a match a client is let in.',
  }),
  threads: int({ doc: 'Threads of the server.', ignored: 'there are no such threads, as in Flume since 1.10' }),
} as const;
type AvroConfig = Config<typeof properties>;

/** The Netty 3 of Flume 1.7 to 1.9 offers TLS 1.3 where Java has it, and loses the records that come behind a handshake. */
const NOT_FOR_OLD_CLIENTS = ['TLSv1.3'];

function check(config: AvroConfig): FindingDraft[] {
  return [...serverTlsFindings(config), ...filterFindings(config)];
}

function filterFindings({ ipFilter, ipFilterRules }: AvroConfig): FindingDraft[] {
  if (!ipFilter) {
    if (ipFilterRules === undefined) return [];
    return [
      {
        code: 'no-effect',
        severity: 'warning',
        message: 'ipFilterRules have no effect without ipFilter = true',
        fix: 'set ipFilter = true',
        key: 'ipFilterRules',
      },
    ];
  }
  if (ipFilterRules === undefined) {
    return [
      {
        code: 'missing-property',
        severity: 'error',
        message: 'property "ipFilterRules" is required with ipFilter = true',
        fix: 'e.g. ipFilterRules = allow:ip:127.*,deny:ip:*',
        key: 'ipFilter',
      },
    ];
  }
  try {
    new IpFilter(ipFilterRules);
    return [];
  } catch (error) {
    return [
      {
        code: 'bad-value',
        severity: 'error',
        message: `in ipFilterRules ${errorText(error)}`,
        fix: 'write <allow|deny>:<ip|name>:<pattern>',
        key: 'ipFilterRules',
      },
    ];
  }
}

export default defineSource({
  type: 'avro',
  aliases: ['org.apache.flume.source.AvroSource'],
  summary: 'Takes events from Avro RPC clients, such as the avro sinks of other agents.',
  properties,
  check,
  facts: (config) => ({ listens: [{ protocol: 'tcp', host: config.bind, port: config.port }] }),
  delivery: () => RPC_SOURCE_DELIVERY,
  create: (config, ctx) => avroServer(config, ctx),
});

function avroServer(config: AvroConfig, ctx: SourceContext): RpcServer {
  const foreign = new ForeignProtocols();
  return new RpcServer({
    ctx,
    bind: config.bind,
    port: config.port,
    session: () => new AvroSession(foreign),
    layers: () => ({ tls: serverTls(config, ctx.log, NOT_FOR_OLD_CLIENTS), deflate: config['compression-type'] === 'deflate' }),
    filter: config.ipFilter ? new IpFilter(config.ipFilterRules ?? '') : undefined,
  });
}
