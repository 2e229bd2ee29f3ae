/**
 * Scripts of Kafka's bin/ that have nothing to do on a single node, or that need Java: one table, one sentence each. What
 * asks for something that was not done ends with 1, so that scripts do not take it for done. The shims give their name first.
 */
import { KAFKA_VERSION } from './kafka-tool/tool.ts';

/** By the script's name without `.sh`: what to know instead. */
const REASONS: Readonly<Record<string, string>> = {
  'kafka-reassign-partitions': 'There is one node: no replicas to move. Against a cluster use that of Kafka itself.',
  'kafka-replica-verification': 'There is one node: no replicas to compare. bin/kafka-dump-log.sh checks the files of a log.',
  'kafka-metadata-quorum': 'There is no quorum of controllers: the broker keeps its metadata itself. bin/kafka-cluster.sh cluster-id tells the cluster id.',
  'kafka-metadata-shell':
    'There is no metadata log of a quorum to look into; bin/kafka-topics.sh --describe and bin/kafka-configs.sh tell what the broker has.',
  'kafka-delegation-tokens': 'Delegation tokens are not offered; use SASL PLAIN, SCRAM or client certificates.',
  'kafka-client-metrics': 'Metrics are not collected from clients; those of the broker are on its own port (millrace.metrics.port).',
  'kafka-jmx': 'There is no JMX, since there is no Java machine; the broker shows its metrics on its own port (millrace.metrics.port).',
  'kafka-e2e-latency': 'Use bin/kafka-producer-perf-test.sh with --throughput: it prints latencies until the acknowledgement.',
  'kafka-mirror-maker': 'Copy topics with a flow of an agent: a Kafka source, a channel and a Kafka sink.',
  'kafka-streams-application-reset':
    'Use bin/kafka-consumer-groups.sh --reset-offsets for the input topics and bin/kafka-topics.sh --delete for the internal ones.',
  'connect-standalone': 'Kafka Connect needs Java: run that of Kafka against this broker, or use an agent (bin/flume-ng).',
  'connect-distributed': 'Kafka Connect needs Java: run that of Kafka against this broker, or use an agent (bin/flume-ng).',
  'connect-mirror-maker': 'Copy topics with a flow of an agent: a Kafka source, a channel and a Kafka sink.',
  'connect-plugin-path': 'Kafka Connect needs Java: run that of Kafka against this broker, or use an agent (bin/flume-ng).',
  trogdor: 'Agents and coordinators of Trogdor need Java: run those of Kafka against this broker; bin/kafka-producer-perf-test.sh makes load.',
  'zookeeper-security-migration': 'ZooKeeper is not needed here; bin/kafka-acls.sh keeps access rules in the broker.',
};

const [script = '', word] = process.argv.slice(2);
const name = script.replace(/\.sh$/, '');
const reason = `${name} is not available here. ${REASONS[name] ?? 'docs/guide/kafka-tools.md tells what is.'}\n`;
if (word === '--version') process.stdout.write(`${KAFKA_VERSION}\n`);
else if (word === '--help' || word === '-h') process.stderr.write(`usage: ${reason}`);
else {
  process.stderr.write(reason);
  process.exitCode = 1;
}
