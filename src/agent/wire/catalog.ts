/**
 * The built-in components: every accepted spelling of a type to the module that declares it. The spellings are listed
 * here although each spec has them too, so that a start imports only what its definition names; a test holds the two
 * together. User components are laid over this by runtime/plugins.ts.
 */
import { AppError } from '../../lib/errors.ts';
import type { Catalog } from '../core/catalog.ts';
import type { AnySpec, Kind } from '../core/define.ts';
import { unavailableReason } from './unavailable.ts';

/** One built-in component. */
export interface CatalogEntry {
  readonly kind: Kind;
  /** Matched in any case. */
  readonly type: string;
  /** Class names (matched exactly) and further aliases. */
  readonly aliases: readonly string[];
  readonly load: () => Promise<{ readonly default: unknown }>;
}

const FLUME = 'org.apache.flume';

function entry(kind: Kind, type: string, aliases: readonly string[], load: CatalogEntry['load']): CatalogEntry {
  return { kind, type, aliases, load };
}

/** By kind, in the order of the reference pages. */
export const BUILT_IN: readonly CatalogEntry[] = [
  entry('channel', 'file', [`${FLUME}.channel.file.FileChannel`], () => import('../channels/file.ts')),
  entry('channel', 'jdbc', [`${FLUME}.channel.jdbc.JdbcChannel`], () => import('../channels/jdbc.ts')),
  entry('channel', 'kafka', [`${FLUME}.channel.kafka.KafkaChannel`], () => import('../channels/kafka.ts')),
  entry('channel', 'memory', [`${FLUME}.channel.MemoryChannel`], () => import('../channels/memory.ts')),
  entry('channel', 'pseudo', [`${FLUME}.channel.PseudoTxnMemoryChannel`], () => import('../channels/pseudo.ts')),
  entry('source', 'avro', [`${FLUME}.source.AvroSource`], () => import('../sources/avro.ts')),
  entry('channel', 'SPILLABLEMEMORY', [`${FLUME}.channel.SpillableMemoryChannel`], () => import('../channels/spillable.ts')),
  entry('source', 'exec', [`${FLUME}.source.ExecSource`], () => import('../sources/exec.ts')),
  entry('source', 'kafka', [`${FLUME}.source.kafka.KafkaSource`], () => import('../sources/kafka.ts')),
  entry('source', 'netcat', [`${FLUME}.source.NetcatSource`], () => import('../sources/netcat.ts')),
  entry('source', 'netcatudp', [`${FLUME}.source.NetcatUdpSource`], () => import('../sources/netcatudp.ts')),
  entry('source', 'seq', [`${FLUME}.source.SequenceGeneratorSource`], () => import('../sources/seq.ts')),
  entry('source', 'spooldir', [`${FLUME}.source.SpoolDirectorySource`], () => import('../sources/spooldir.ts')),
  entry('source', 'stress', [`${FLUME}.source.StressSource`], () => import('../sources/stress.ts')),
  entry('source', 'thrift', [`${FLUME}.source.ThriftSource`], () => import('../sources/thrift.ts')),
  entry('sink', 'avro', [`${FLUME}.sink.AvroSink`], () => import('../sinks/avro.ts')),
  entry('sink', 'file_roll', [`${FLUME}.sink.RollingFileSink`], () => import('../sinks/file-roll.ts')),
  entry('sink', 'kafka', [`${FLUME}.sink.kafka.KafkaSink`], () => import('../sinks/kafka.ts')),
  entry('sink', 'logger', [`${FLUME}.sink.LoggerSink`], () => import('../sinks/logger.ts')),
  entry('sink', 'null', [`${FLUME}.sink.NullSink`], () => import('../sinks/null.ts')),
  entry('sink', 'thrift', [`${FLUME}.sink.ThriftSink`], () => import('../sinks/thrift.ts')),
  entry('selector', 'load_balancing', [`${FLUME}.channel.LoadBalancingChannelSelector`], () => import('../selectors/load-balancing.ts')),
  entry('selector', 'multiplexing', [`${FLUME}.channel.MultiplexingChannelSelector`], () => import('../selectors/multiplexing.ts')),
  entry('selector', 'replicating', [`${FLUME}.channel.ReplicatingChannelSelector`], () => import('../selectors/replicating.ts')),
  entry('processor', 'default', [`${FLUME}.sink.DefaultSinkProcessor`], () => import('../processors/default.ts')),
  entry('processor', 'failover', [`${FLUME}.sink.FailoverSinkProcessor`], () => import('../processors/failover.ts')),
  entry('processor', 'load_balance', [`${FLUME}.sink.LoadBalancingSinkProcessor`], () => import('../processors/load-balance.ts')),
  entry('interceptor', 'host', [`${FLUME}.interceptor.HostInterceptor$Builder`], () => import('../interceptors/host.ts')),
  entry('interceptor', 'regex_extractor', [`${FLUME}.interceptor.RegexExtractorInterceptor$Builder`], () => import('../interceptors/regex-extractor.ts')),
  entry('interceptor', 'regex_filter', [`${FLUME}.interceptor.RegexFilteringInterceptor$Builder`], () => import('../interceptors/regex-filter.ts')),
  entry('interceptor', 'remove_header', [`${FLUME}.interceptor.RemoveHeaderInterceptor$Builder`], () => import('../interceptors/remove-header.ts')),
  entry('interceptor', 'search_replace', [`${FLUME}.interceptor.SearchAndReplaceInterceptor$Builder`], () => import('../interceptors/search-replace.ts')),
  entry('interceptor', 'static', [`${FLUME}.interceptor.StaticInterceptor$Builder`], () => import('../interceptors/static.ts')),
  entry('interceptor', 'timestamp', [`${FLUME}.interceptor.TimestampInterceptor$Builder`], () => import('../interceptors/timestamp.ts')),
  entry('interceptor', 'uuid', [`${FLUME}.sink.solr.morphline.UUIDInterceptor$Builder`], () => import('../interceptors/uuid.ts')),
  entry('serializer', 'AVRO_EVENT', [`${FLUME}.serialization.FlumeEventAvroEventSerializer$Builder`], () => import('../serializers/avro-event.ts')),
  entry('serializer', 'HDFS_AVRO', [`${FLUME}.sink.hdfs.AvroEventSerializer$Builder`], () => import('../serializers/hdfs-avro.ts')),
  entry(
    'serializer',
    'HEADER_AND_TEXT',
    [`${FLUME}.serialization.HeaderAndBodyTextEventSerializer$Builder`],
    () => import('../serializers/header-and-text.ts'),
  ),
  entry('serializer', 'TEXT', [`${FLUME}.serialization.BodyTextEventSerializer$Builder`], () => import('../serializers/text.ts')),
  entry('deserializer', 'AVRO', [`${FLUME}.serialization.AvroEventDeserializer$Builder`], () => import('../deserializers/avro.ts')),
  entry('deserializer', 'BLOB', [`${FLUME}.sink.solr.morphline.BlobDeserializer$Builder`], () => import('../deserializers/blob.ts')),
  entry('deserializer', 'LINE', [`${FLUME}.serialization.LineDeserializer$Builder`], () => import('../deserializers/line.ts')),
  entry('configfilter', 'env', [`${FLUME}.configfilter.EnvironmentVariableConfigFilter`], () => import('../config-filters/env.ts')),
  entry('configfilter', 'external', [`${FLUME}.configfilter.ExternalProcessConfigFilter`], () => import('../config-filters/external.ts')),
  entry('configfilter', 'hadoop', [`${FLUME}.configfilter.HadoopCredentialStoreConfigFilter`], () => import('../config-filters/hadoop.ts')),
];

/** The catalog of built-in components. */
export const builtInCatalog: Catalog = {
  async find(kind, type) {
    const found = BUILT_IN.find((one) => one.kind === kind && matches(one, type));
    return found === undefined ? undefined : loadSpec(found);
  },
  unavailable: unavailableReason,
  types: async (kind) => BUILT_IN.filter((one) => one.kind === kind).map((one) => one.type),
};

/** Imports a component. @throws AppError when its module declares something else than the table says */
export async function loadSpec({ kind, type, load }: CatalogEntry): Promise<AnySpec> {
  const spec = (await load()).default as AnySpec;
  if (spec.kind !== kind || spec.type !== type) throw new AppError('CATALOG', `the module of ${kind} ${type} declares ${spec.kind} ${spec.type}`);
  return spec;
}

function matches({ type, aliases }: CatalogEntry, written: string): boolean {
  return (
    type.toLowerCase() === written.toLowerCase() ||
    aliases.some((alias) => alias === written || (!alias.includes('.') && alias.toLowerCase() === written.toLowerCase()))
  );
}
