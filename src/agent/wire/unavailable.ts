/**
 * Flume types that cannot be had here: why, and what to do instead ("reason; remedy"). Reference: section 10.
 * They are refused by name so that nobody has to guess whether a type is misspelt.
 */
import type { Kind } from '../core/define.ts';

interface Refusal {
  readonly kind: Kind;
  /** Alias in lower case, and class names, as users write them. */
  readonly types: readonly string[];
  readonly why: string;
}

/** For what needs no Java and is only missing. */
const NOT_YET = 'it is not part of this version';
const JVM_TIER = 'send with an avro sink to a Java Flume agent that has it, or go through Kafka';

const REFUSALS: readonly Refusal[] = [
  {
    kind: 'sink',
    types: ['hdfs', 'org.apache.flume.sink.hdfs.HDFSEventSink'],
    why: `it needs Hadoop's Java client; write local files with file_roll, or ${JVM_TIER}`,
  },
  {
    kind: 'sink',
    types: ['hive', 'org.apache.flume.sink.hive.HiveSink'],
    why: `it needs Hive's Java streaming API; write files or Kafka and load them with Hive, or ${JVM_TIER}`,
  },
  {
    kind: 'sink',
    types: [
      'hbase',
      'asynchbase',
      'hbase2',
      'org.apache.flume.sink.hbase.HBaseSink',
      'org.apache.flume.sink.hbase.AsyncHBaseSink',
      'org.apache.flume.sink.hbase2.HBase2Sink',
    ],
    why: `it needs HBase's Java client and Java serializers; use Kafka with an HBase connector, or ${JVM_TIER}`,
  },
  { kind: 'sink', types: ['org.apache.flume.sink.kudu.KuduSink'], why: `its producers are Java classes; use Kafka with a Kudu connector, or ${JVM_TIER}` },
  {
    kind: 'sink',
    types: ['morphline_solr', 'org.apache.flume.sink.solr.morphline.MorphlineSolrSink'],
    why: `morphlines are compiled by Java; use Kafka, or ${JVM_TIER}`,
  },
  {
    kind: 'sink',
    types: ['elasticsearch', 'org.apache.flume.sink.elasticsearch.ElasticSearchSink'],
    why: 'Flume itself removed it in 1.10; use Kafka with an Elasticsearch connector',
  },
  { kind: 'sink', types: ['org.apache.flume.sink.kite.DatasetSink'], why: 'Flume itself removed it in 1.10; use Kafka, or file_roll' },
  {
    kind: 'sink',
    types: ['irc', 'org.apache.flume.sink.irc.IRCSink'],
    why: 'it is a demonstration that writes to a chat room; write a plugin of a few lines (see plugins/README.md)',
  },
  {
    kind: 'source',
    types: ['jms', 'org.apache.flume.source.jms.JMSSource'],
    why: "it needs Java's JNDI and the jars of a provider; bridge the queue into Kafka, or send with a Java Flume agent to an avro source",
  },
  { kind: 'source', types: ['org.apache.flume.source.twitter.TwitterSource'], why: 'the service it read from no longer exists; use another source' },
  {
    kind: 'source',
    types: ['org.apache.flume.source.avroLegacy.AvroLegacySource', 'org.apache.flume.source.thriftLegacy.ThriftLegacySource'],
    why: 'it speaks to Flume 0.9, which has been gone since 2012; use the avro or thrift source',
  },
  {
    kind: 'source',
    types: ['taildir', 'org.apache.flume.source.taildir.TaildirSource'],
    why: `${NOT_YET}; use exec with tail -F (which forgets its position at a restart), or spooldir for files that are complete`,
  },
  {
    kind: 'source',
    types: ['http', 'org.apache.flume.source.http.HTTPSource'],
    why: `${NOT_YET}; use avro, thrift or netcat, or write a plugin (see plugins/README.md)`,
  },
  {
    kind: 'source',
    types: [
      'syslogtcp',
      'syslogudp',
      'multiport_syslogtcp',
      'org.apache.flume.source.SyslogTcpSource',
      'org.apache.flume.source.SyslogUDPSource',
      'org.apache.flume.source.MultiportSyslogTCPSource',
    ],
    why: `${NOT_YET}; use netcat or netcatudp, which take the lines as they are, with regex_extractor for the headers`,
  },
  {
    kind: 'source',
    types: ['org.apache.flume.source.scribe.ScribeSource'],
    why: `${NOT_YET}; use thrift or avro`,
  },
  {
    kind: 'sink',
    types: ['http', 'org.apache.flume.sink.http.HttpSink'],
    why: `${NOT_YET}; use plugins/webhook.ts, which posts batches to a URL, or change it to your needs`,
  },
  {
    kind: 'interceptor',
    types: ['org.apache.flume.sink.solr.morphline.MorphlineInterceptor$Builder', 'org.apache.flume.sink.solr.morphline.MorphlineInterceptor'],
    why: 'morphlines are compiled by Java; use regex_extractor and search_replace, or a plugin',
  },
  {
    kind: 'serializer',
    types: ['org.apache.flume.sink.hive.HiveDelimitedTextSerializer', 'org.apache.flume.sink.hive.HiveJsonSerializer'],
    why: 'it belongs to the hive sink, which needs Java; use the serializer text',
  },
];

/** Third-party Flume classes seen in the wild, with the built-in way. */
const FOREIGN: readonly Refusal[] = [
  {
    kind: 'sink',
    types: ['org.apache.flume.plugins.KafkaSink', 'com.thilinamb.flume.sink.KafkaSink'],
    why: 'it is a Java plug-in of somebody else; put a plugin of that name into plugins/, or use org.apache.flume.sink.kafka.KafkaSink with metadata.broker.list as kafka.bootstrap.servers, custom.topic.name as kafka.topic, request.required.acks as kafka.producer.acks',
  },
];

/** Undefined = nothing known about the type. */
export function unavailableReason(kind: Kind, type: string): string | undefined {
  for (const refusal of [...REFUSALS, ...FOREIGN]) {
    if (refusal.kind === kind && refusal.types.some((one) => one === type || (!one.includes('.') && one === type.toLowerCase()))) return refusal.why;
  }
  return /\.jar$/.test(type) ? 'a jar holds Java classes; write a plugin (see plugins/README.md)' : undefined;
}

/** For the reference pages: what is refused, by kind. */
export function refusedTypes(kind: Kind): readonly { readonly types: readonly string[]; readonly why: string }[] {
  return REFUSALS.filter((refusal) => refusal.kind === kind);
}
