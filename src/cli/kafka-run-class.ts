/** `kafka-run-class.sh CLASS …`: runs the tool that stands for a Java class of Kafka, under its old or its new name. */

/** Tools by the last part of their class name; both packages, kafka.* and org.apache.kafka.tools.*, are meant. */
const TOOLS: Readonly<Record<string, () => Promise<unknown>>> = {
  TopicCommand: () => import('./kafka-topics.ts'),
  ConfigCommand: () => import('./kafka-configs.ts'),
  ConsumerGroupCommand: () => import('./kafka-consumer-groups.ts'),
  ConsoleProducer: () => import('./kafka-console-producer.ts'),
  ConsoleConsumer: () => import('./kafka-console-consumer.ts'),
  GetOffsetShell: () => import('./kafka-get-offsets.ts'),
  DumpLogSegments: () => import('./kafka-dump-log.ts'),
  DeleteRecordsCommand: () => import('./kafka-delete-records.ts'),
  LogDirsCommand: () => import('./kafka-log-dirs.ts'),
  TransactionsCommand: () => import('./kafka-transactions.ts'),
  AclCommand: () => import('./kafka-acls.ts'),
  BrokerApiVersionsCommand: () => import('./kafka-broker-api-versions.ts'),
  LeaderElectionCommand: () => import('./kafka-leader-election.ts'),
  PreferredReplicaLeaderElectionCommand: () => import('./kafka-leader-election.ts'),
  ClusterTool: () => import('./kafka-cluster.ts'),
  ProducerPerformance: () => import('./kafka-producer-perf-test.ts'),
  ConsumerPerformance: () => import('./kafka-consumer-perf-test.ts'),
  VerifiableProducer: () => import('./kafka-verifiable-producer.ts'),
  VerifiableConsumer: () => import('./kafka-verifiable-consumer.ts'),
  FeatureCommand: () => import('./kafka-features.ts'),
  StorageTool: () => import('./kafka-storage.ts'),
  Kafka: () => import('./kafka-server-start.ts'),
};

/** Options of the script and of a Java machine come before the class. */
function splitWords(words: readonly string[]): { className: string | undefined; rest: readonly string[] } {
  let at = 0;
  while (at < words.length && (words[at] as string).startsWith('-')) at += words[at] === '-name' ? 2 : 1;
  return { className: words[at], rest: words.slice(at + 1) };
}

/** The words of the tool: one of Kafka before 2.4 stands for one kind of election, as its script does. */
function wordsFor(name: string, words: readonly string[]): readonly string[] {
  if (name !== 'PreferredReplicaLeaderElectionCommand') return words;
  const isNamed = words.some((word) => word.includes('path-to-json-file'));
  return ['--election-type', 'preferred', ...(isNamed ? [] : ['--all-topic-partitions']), ...words];
}

const { className, rest } = splitWords(process.argv.slice(2));
if (className === undefined) {
  process.stdout.write('USAGE: kafka-run-class.sh [-daemon] [-name servicename] [-loggc] classname [opts]\n');
  process.exitCode = 1;
} else {
  const name = className.replace(/^.*\./, '');
  const tool = TOOLS[name];
  if (tool === undefined) {
    process.stderr.write(`Error: Could not find or load main class ${className}\nHere there are: ${Object.keys(TOOLS).join(', ')}\n`);
    process.exitCode = 1;
  } else {
    process.argv.splice(2, Number.POSITIVE_INFINITY, ...wordsFor(name, rest));
    await tool();
  }
}
