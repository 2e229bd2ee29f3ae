/**
 * Where our answers differ from Kafka 3.9's on purpose, each with its reason. An entry that nothing needs any more fails the
 * test, as does a difference that no entry names.
 */
import type { Difference } from './protocol-pair.ts';

export interface Allowed {
  /** Matched against `API vN what path`. */
  readonly where: RegExp;
  /** If given, what ours and Kafka's leaf must look like. */
  readonly ours?: RegExp;
  readonly real?: RegExp;
  readonly why: string;
}

export const ALLOWED: readonly Allowed[] = [
  // What the brokers are.
  {
    where: /^(ApiVersions|Produce) .* apiKeys/,
    why: 'delegation tokens, telemetry, quorum and controller APIs are not offered; ours has versions of Kafka 4 as well',
  },
  { where: /^raw bytes left /, why: 'the same list of APIs' },
  { where: /^ApiVersions .* (supported|finalized)Features/, why: 'ours is no KRaft broker; it finalizes group.version only, as Kafka 4 does' },
  { where: /^CreateTopics .*\.errorMessage$/, ours: /single node by design/, why: 'says what to do: use a Kafka cluster for replicas' },
  { where: /^(Alter|IncrementalAlter|Describe)Configs .* logger /, why: 'there are no loggers by class to set' },
  { where: /^FindCoordinator .* type 2 /, why: 'there are no share groups' },
  { where: /^IncrementalAlterConfigs .* type 16 /, why: 'there is no client telemetry to set up' },
  { where: /^DescribeConfigs .* type 32 /, why: 'settings of single groups are of Kafka 4' },
  { where: /^DescribeConfigs .*\.documentation$/, why: 'our own words' },
  {
    where: /^DescribeConfigs .*\.readOnly$/,
    why: 'which broker settings can change while it runs is told as it is: the cleaner backs off by itself, log.retention.hours can change',
  },
  {
    where: /^DescribeConfigs .*\.synonyms/,
    why: 'defaults of the other spellings of a setting (log.retention.hours, broker.id) are not listed when they are not set',
  },
  // Ours tells more than Kafka.
  { where: /^Produce v1[01] .*\.errorMessage$/, real: /^null$/, why: 'a sentence where Kafka has none' },
  { where: /^Produce v[89] .*\.errorMessage$/, real: /^null$/, why: 'a sentence where Kafka has none' },
  { where: /^DescribeProducers .*\.errorMessage$/, real: /^null$/, why: 'a sentence where Kafka has none' },
  { where: /^DescribeConfigs .* type -?\d+ .*\.errorMessage$/, ours: /Unsupported resource type/, why: 'names the type' },
  { where: /^DescribeConfigs v0 .*\.isDefault$/, real: /false/, why: 'Kafka 3 does not fill the field of version 0; ours tells clients of that age the truth' },
  { where: /^IncrementalAlterConfigs .* (unknown|negative) operation /, why: 'INVALID_REQUEST with a sentence; Kafka fails with UNKNOWN_SERVER_ERROR' },
  { where: /^IncrementalAlterConfigs .* broker unknown key /, why: 'a misspelt broker setting is refused; Kafka stores it and nothing comes of it' },
  {
    where: /^(Describe|Create|Delete)Acls .* (unknown (resource )?(type|pattern|operation|permission)|two)/,
    why: 'answered with an error; Kafka drops the connection',
  },
  { where: /^CreateAcls .* (any|match) /, ours: /^(42|"Invalid)/, why: 'INVALID_REQUEST with a sentence; Kafka fails with UNKNOWN_SERVER_ERROR' },
  { where: /^AlterClientQuotas .* type twice /, why: 'refused as Kafka means to; its check comes after the pair is lost' },
  { where: /^AlterClientQuotas .* key twice /, why: "the last one counts; Kafka's refusal names an entity that is no duplicate" },
  {
    where: /^AlterUserScramCredentials .* (two mechanisms|a user twice)/,
    why: 'both mechanisms of a user can be set at once, as kafka-configs does; Kafka in KRaft mode refuses its own tool',
  },
  { where: /^ConsumerGroupDescribe .* (unknown|deleted) /, why: 'the sentence of Kafka 4 for a group that is not there; 3.9 has none, and may tell it twice' },
  { where: /^ConsumerGroupDescribe .* no name /, why: 'INVALID_GROUP_ID; Kafka fails with UNKNOWN_SERVER_ERROR' },
  // Ours does more than Kafka.
  { where: /^Metadata .* topics\[(unseen-by-any|by-metadata)\]/, why: 'a topic that is made by asking is there at once; Kafka has the client ask again' },
  { where: /^Metadata .* colliding creation /, why: 'says why the topic is not made; Kafka has the client ask for ever' },
  { where: /^Metadata .* zero id and null /, why: 'UNKNOWN_TOPIC_ID and the brokers; Kafka fails with UNKNOWN_SERVER_ERROR' },
  { where: /^Metadata .* names and ids /, why: 'both are answered; Kafka drops the names' },
  { where: /^DescribeTopicPartitions .* bad name /, why: 'the bad name alone fails; Kafka fails the whole request with UNKNOWN_SERVER_ERROR' },
  { where: /^CreateTopics .* validate only .*\.topicId$/, why: 'a topic that is not made has no id; Kafka draws one and forgets it' },
  { where: /^CreateTopics .* collide in one request /, why: 'names that differ by . and _ alone are refused within a request too' },
  { where: /^CreateTopics .* timeout 0 /, why: 'the topic is there when the answer leaves; Kafka makes it and says it timed out' },
  { where: /^(OffsetCommit|OffsetFetch) v0 /, why: 'version 0 once went to ZooKeeper and is refused by Kafka in KRaft mode; ours serves clients of that age' },
  { where: /^OffsetFetch .* no groups /, why: 'an empty answer; Kafka never answers' },
  { where: /^Produce .* null /, why: 'answered with INVALID_RECORD; Kafka never answers' },
  { where: /^DescribeGroups .* completing /, why: 'a group is shown as it is; Kafka shows what it has written' },
  // What costs nothing to clients.
  { where: /^ElectLeaders .* all /, why: 'Kafka lists every topic with no partition in it' },
  { where: /^AlterPartitionReassignments .* none errorMessage$/, why: 'null as in Kafka 4' },
  { where: /^(OffsetCommit|DeleteRecords) .* no partitions /, why: 'a topic without partitions is answered, without partitions' },
  { where: /^Fetch .* twice /, why: 'a partition asked for twice is answered twice' },
  { where: /^Fetch .* isolation 2 /, why: 'an unknown isolation level reads all; Kafka fails with UNKNOWN_SERVER_ERROR' },
  { where: /^Fetch .* replica /, why: 'a debugging consumer may say it is a replica; there are no followers to refuse' },
  { where: /^ListOffsets v0 timestamp 1000 /, why: 'segments go by the times of their records, not by those of files' },
  { where: /^Produce .*\.logStartOffset$/, real: /^-1$/, why: 'where the log starts is told with every refusal of records' },
  {
    where: /^Produce .* (recent )?duplicate .*\.logAppendTimeMs$/,
    real: /^<now>$/,
    why: 'a repeated batch is answered as the first time; Kafka gives its create time as append time',
  },
  { where: /^Produce .*\.batchIndexErrorMessage$/, real: /out of range/, why: "the bounds are of the moment, and Kafka's open ones overflow" },
  { where: /^(Produce|Fetch) .* batch and rubbish/, why: 'bytes behind a batch are refused; Kafka drops them' },
  { where: /^(Produce|Fetch) .* not (gzip|zstd)/, why: 'packed records pass through untouched: what does not unpack is found by who reads it' },
  { where: /^Fetch .* wrong largest timestamp .*\.stamp$/, why: 'records pass through untouched, so does what the producer says of them' },
  { where: /^Produce v[012] (empty|cut) /, why: 'an old message set with nothing whole in it is refused; Kafka acknowledges that it stored nothing' },
  { where: /^WriteTxnMarkers .* older epoch /, why: 'a marker between brokers; Kafka fails with UNKNOWN_SERVER_ERROR' },
];

/** The entry that covers a difference. */
export function allowedBy(one: Difference): Allowed | undefined {
  const place = `${one.request} ${one.path}`;
  return ALLOWED.find(({ where, ours, real }) => where.test(place) && (ours?.test(one.ours) ?? true) && (real?.test(one.real) ?? true));
}
