/**
 * The command-line tools of the real Apache Kafka, for tests that compare with them or have them talk to our broker:
 * `SCRIPT TOOL words…`, e.g. `SCRIPT topics --list …`. MILLRACE_PEERS names a folder with such a `kafka` script; without it
 * ../shared/peers beside the repository is used when it is there; else `npm run proof` fetches the jars by Maven.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { CACHE, mavenJars } from './fetched.ts';

const VERSION = '3.9.1';
/** Main classes by the names of the scripts. */
const CLASSES: Readonly<Record<string, string>> = {
  topics: 'org.apache.kafka.tools.TopicCommand',
  configs: 'kafka.admin.ConfigCommand',
  acls: 'kafka.admin.AclCommand',
  'console-producer': 'kafka.tools.ConsoleProducer',
  'console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'dump-log': 'kafka.tools.DumpLogSegments',
  'log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  transactions: 'org.apache.kafka.tools.TransactionsCommand',
  'broker-api-versions': 'kafka.admin.BrokerApiVersionsCommand',
  'producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  'consumer-perf-test': 'org.apache.kafka.tools.ConsumerPerformance',
  'verifiable-producer': 'org.apache.kafka.tools.VerifiableProducer',
  'verifiable-consumer': 'org.apache.kafka.tools.VerifiableConsumer',
};
const LOG4J = `log4j.rootLogger=WARN,stderr
log4j.appender.stderr=org.apache.log4j.ConsoleAppender
log4j.appender.stderr.target=System.err
log4j.appender.stderr.layout=org.apache.log4j.PatternLayout
log4j.appender.stderr.layout.ConversionPattern=[%d] %p %m (%c)%n
`;

export interface RealKafka {
  /** Path of the script. */
  readonly script: string;
  /** Folder of its jars; may fetch them. */
  jars(): string;
}

function findKafka(): RealKafka | null {
  const peers = process.env.MILLRACE_PEERS ?? path.resolve(import.meta.dirname, '../../../shared/peers');
  const script = path.join(peers, 'kafka');
  if (fs.existsSync(script)) return { script, jars: () => path.join(execFileSync(path.join(peers, 'setup.sh'), { encoding: 'utf8' }).trim(), 'kafka', 'lib') };
  const dir = mavenJars(`kafka-${VERSION}`, [
    `org.apache.kafka:kafka_2.13:${VERSION}`,
    `org.apache.kafka:kafka-tools:${VERSION}`,
    'org.slf4j:slf4j-reload4j:1.7.36',
  ]);
  return dir === null ? null : { script: scriptFor(dir), jars: () => dir };
}

/** Makes the script beside the jars. */
function scriptFor(dir: string): string {
  const script = path.join(CACHE, 'java', `kafka-${VERSION}.sh`);
  const log4j = path.join(dir, 'log4j.properties');
  fs.writeFileSync(log4j, LOG4J);
  const cases = Object.entries(CLASSES).map(([name, main]) => `${name}) main=${main} ;;`);
  const lines = [
    '#!/bin/sh',
    'case $1 in',
    ...cases,
    '*) echo "no tool $1" >&2; exit 2 ;;',
    'esac',
    'shift',
    `exec java -Xmx512M "-Dlog4j.configuration=file:${log4j}" -cp "${dir}/*" "$main" "$@"`,
    '',
  ];
  // Renamed into place: another test file may be starting it.
  fs.writeFileSync(`${script}.${process.pid}`, lines.join('\n'), { mode: 0o755 });
  fs.renameSync(`${script}.${process.pid}`, script);
  return script;
}

/** Null when it is not here and this run does not fetch. */
export const realKafka: RealKafka | null = findKafka();
/** For names of tests. */
export const NEEDS_KAFKA = 'skipped without a real Kafka: set MILLRACE_PEERS, or have npm run proof fetch it by Maven';
