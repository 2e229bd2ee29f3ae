/**
 * Findings that built-in components and the loader have about a definition, by code: scripts match on them. With the real
 * catalog; load.test.ts has the codes of the wiring. Each has a place, and says what to do.
 */
import { describe, expect, it } from 'vitest';
import { loadDefinition } from '../../../../src/agent/config/load.ts';
import { builtInCatalog } from '../../../../src/agent/wire/catalog.ts';
import type { Finding } from '../../../../src/lib/props/finding.ts';

/** netcat → memory → logger; a later line of the same key wins, and says so, which is left out here. */
const SOUND = ['sources = r1', 'channels = c1', 'sinks = k1', 'sources.r1.channels = c1', 'sinks.k1.channel = c1'];
const TYPES: Readonly<Record<string, readonly string[]>> = {
  'sources.r1': ['type = netcat', 'bind = 127.0.0.1', 'port = 4444'],
  'channels.c1': ['type = memory'],
  'sinks.k1': ['type = logger'],
};

/** SOUND with the part of this name written anew; further lines come at the end. */
async function findingsOf(part: string, lines: readonly string[], more: readonly string[] = []): Promise<Finding[]> {
  const parts = Object.entries({ ...TYPES, [part]: lines }).flatMap(([prefix, own]) => own.map((line) => `${prefix}.${line}`));
  const text = [...SOUND, ...parts, ...more].map((line) => `a1.${line}`).join('\n');
  const files = [{ file: 'test.conf', bytes: Buffer.from(text) }];
  const { fileFindings, agentFindings } = await loadDefinition({ files, catalog: builtInCatalog, env: {} });
  return [...fileFindings, ...(agentFindings.get('a1') ?? [])];
}

const interceptor = (...lines: string[]): string[] => [...(TYPES['sources.r1'] ?? []), 'interceptors = i1', ...lines.map((line) => `interceptors.i1.${line}`)];
const kafkaSink = (...lines: string[]): string[] => ['type = kafka', 'kafka.bootstrap.servers = b:9092', 'kafka.topic = t', ...lines];
const kafkaSource = (...lines: string[]): string[] => ['type = kafka', 'kafka.bootstrap.servers = b:9092', 'kafka.topics = t', 'batchSize = 100', ...lines];

describe('a definition', () => {
  it.each<[string, string, string, readonly string[]]>([
    ['error', 'capacity-below-transaction', 'channels.c1', ['type = memory', 'capacity = 50']],
    ['error', 'capacity-below-transaction', 'channels.c1', ['type = memory', 'transactionCapacity = 500']],
    ['error', 'capacity-below-transaction', 'channels.c1', ['type = file', 'capacity = 50']],
    ['error', 'capacity-below-transaction', 'channels.c1', ['type = SPILLABLEMEMORY', 'overflowCapacity = 5']],
    ['error', 'batch-exceeds-transaction', 'sinks.k1', ['type = null', 'batchSize = 200']],
    ['error', 'bad-regex', 'sources.r1', interceptor('type = regex_filter', 'regex = (')],
    ['error', 'bad-regex', 'sources.r1', interceptor('type = search_replace', 'searchPattern = (')],
    ['error', 'bad-replacement', 'sources.r1', interceptor('type = search_replace', 'searchPattern = a', 'replaceString = $1')],
    ['error', 'bad-serializer', 'sources.r1', interceptor('type = regex_extractor', 'regex = (a)', 'serializers = s1', 'serializers.s1.type = DEFAULT')],
    ['error', 'bad-selector', 'sources.r1', [...(TYPES['sources.r1'] ?? []), 'selector.type = multiplexing', 'selector.mapping.x = c9']],
    ['warning', 'channel-twice', 'sources.r1', [...(TYPES['sources.r1'] ?? []), 'selector.type = multiplexing', 'selector.mapping.x = c1 c1']],
    ['warning', 'no-effect', 'sources.r1', ['type = spooldir', 'spoolDir = /in', 'deletePolicy = immediate', 'trackingPolicy = tracker_dir']],
    ['error', 'unknown-charset', 'sources.r1', ['type = exec', 'command = date', 'charset = KOI9']],
    ['warning', 'tail-by-descriptor', 'sources.r1', ['type = exec', 'command = tail -f /x']],
    ['warning', 'shell-syntax', 'sources.r1', ['type = exec', 'command = a | b']],
    ['error', 'storage-directories', 'channels.c1', ['type = file', 'checkpointDir = /x', 'dataDirs = /x']],
    ['info', 'storage-size', 'channels.c1', ['type = file', 'checkpointDir = /x', 'dataDirs = /y', 'maxFileSize = 9000000000']],
    ['error', 'encryption', 'channels.c1', ['type = file', 'encryption.keyProvider = JCEKSFILE']],
    ['error', 'foreign-database', 'channels.c1', ['type = jdbc', 'driver.url = jdbc:derby:/x']],
    ['error', 'refused-property', 'sinks.k1', ['type = thrift', 'hostname = h', 'port = 1', 'kerberos = true']],
    ['warning', 'default-topic', 'sinks.k1', ['type = kafka', 'kafka.bootstrap.servers = b:9092', 'allowTopicOverride = false']],
    ['warning', 'literal-topic', 'sinks.k1', kafkaSink('kafka.topic = %{x}', 'allowTopicOverride = false')],
    ['info', 'acks-raised', 'sinks.k1', kafkaSink('kafka.producer.acks = 1', 'kafka.producer.enable.idempotence = true')],
    ['error', 'sasl-mechanism', 'sinks.k1', kafkaSink('kafka.producer.security.protocol = SASL_PLAINTEXT', 'kafka.producer.sasl.mechanism = GSSAPI')],
    ['info', 'unknown-kafka-setting', 'sinks.k1', kafkaSink('kafka.producer.lingerms = 5')],
    ['warning', 'kafka-assignor', 'sources.r1', kafkaSource('kafka.consumer.partition.assignment.strategy = org.acme.Mine')],
    ['error', 'zookeeper-offsets', 'sources.r1', kafkaSource('zookeeperConnect = z:2181')],
  ])('%s %s: %s %j', async (severity, code, part, lines) => {
    const findings = await findingsOf(part, lines);
    const found = findings.find((finding) => finding.code === code);
    expect(found, JSON.stringify(findings)).toMatchObject({ severity, fix: expect.stringMatching(/.{8}/) });
    // The place is the line that is wrong, or that of the component where one is missing.
    const first =
      1 +
      SOUND.length +
      Object.keys(TYPES)
        .slice(0, Object.keys(TYPES).indexOf(part))
        .reduce((sum, key) => sum + (TYPES[key]?.length ?? 0), 0);
    expect(found?.where?.file).toBe('test.conf');
    expect(found?.where?.line).toBeGreaterThanOrEqual(first);
    expect(found?.where?.line).toBeLessThan(first + lines.length);
    // Said once.
    expect(findings.filter((finding) => finding.code === code)).toHaveLength(1);
  });

  it('of which both sinks of a failover group have one priority', async () => {
    const group = ['sinks = k1 k2', 'sinks.k2.type = logger', 'sinks.k2.channel = c1', 'sinkgroups = g1', 'sinkgroups.g1.sinks = k1 k2'];
    const processor = ['sinkgroups.g1.processor.type = failover', 'sinkgroups.g1.processor.priority.k1 = 5', 'sinkgroups.g1.processor.priority.k2 = 5'];
    const findings = await findingsOf('sinks.k1', TYPES['sinks.k1'] ?? [], [...group, ...processor]);
    expect(findings).toContainEqual(expect.objectContaining({ code: 'duplicate-priority', severity: 'warning', fix: expect.any(String) }));
  });

  it('of which a channel acknowledges through to a source that cannot send again', async () => {
    const findings = await findingsOf('sources.r1', ['type = exec', 'command = date'], ['channels.c1.ackThrough = true']);
    expect(findings).toEqual([expect.objectContaining({ code: 'ack-through-without-replay', severity: 'warning', where: { file: 'test.conf', line: 10 } })]);
  });

  it('that lacks one side', async () => {
    const files = [
      {
        file: 'test.conf',
        bytes: Buffer.from('a1.channels = c1\na1.channels.c1.type = memory\na1.sinks = k1\na1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n'),
      },
    ];
    const { agentFindings } = await loadDefinition({ files, catalog: builtInCatalog, env: {} });
    expect(agentFindings.get('a1')).toContainEqual(
      expect.objectContaining({ code: 'incomplete-agent', severity: 'warning', where: { file: 'test.conf', line: 1 } }),
    );
  });

  it('in another format, or with lookups that are Java classes', async () => {
    const files = [{ file: 'test.yaml', bytes: Buffer.from('a1: {}') }];
    const { fileFindings } = await loadDefinition({ files, catalog: builtInCatalog, env: {}, systemProperties: { lookups: 'x.properties' } });
    expect(fileFindings.map(({ code, severity }) => `${severity} ${code}`)).toEqual(
      expect.arrayContaining(['warning unsupported-format', 'warning custom-lookups']),
    );
  });
});
