/**
 * Broker settings (server.properties): one declaration per key with Kafka's names, types and defaults, from which
 * follow reading the file, the notices at start, and DescribeConfigs of the broker resource.
 * Keys of a cluster (ZooKeeper, replication, thread counts) are accepted and named once as not needed on one node.
 */
import { bool, int, list, long, oneOf, type Properties, type Property, secret, text } from '../lib/props/spec.ts';
import { SERVER_KEYS, TOPIC_PROPERTIES, type TopicKey } from './topic-config.ts';

const MAX_LONG = 2 ** 63;
const MAX_INT = 2_147_483_647;
const ONE_NODE = 'this broker is a single node';
const NO_THREADS = 'this broker has one event loop';

/** Keys with a meaning of their own here (topic defaults are derived below). */
const OWN = {
  'broker.id': int({ doc: 'Id of this node in metadata.' }),
  'node.id': int({ doc: 'Newer name of broker.id.' }),
  'cluster.id': text({ doc: 'Cluster id to use when the data directory has none yet; 22 characters of base64.' }),
  listeners: list({ separator: 'comma', doc: 'NAME://host:port, several separated by commas.' }),
  'advertised.listeners': list({ separator: 'comma', doc: 'Addresses clients are told; default: the address each client reached us by.' }),
  'host.name': text({ doc: 'Address to listen on when listeners is absent (Kafka before 3.0).' }),
  port: int({ default: 9092, min: 0, max: 65535, doc: 'Port to listen on when listeners is absent (Kafka before 3.0).' }),
  'advertised.host.name': text({ doc: 'Host clients are told (Kafka before 3.0).' }),
  'advertised.port': int({ min: 1, max: 65535, doc: 'Port clients are told (Kafka before 3.0).' }),
  'listener.security.protocol.map': list({ separator: 'comma', doc: 'NAME:PROTOCOL pairs for listeners with names of their own.' }),
  'log.dirs': list({ separator: 'comma', doc: 'Data directories.' }),
  'log.dir': text({ doc: 'Data directory when log.dirs is absent.' }),
  'num.partitions': int({ default: 1, min: 1, doc: 'Partitions of a topic created without a number.' }),
  'default.replication.factor': int({ default: 1, min: 1, doc: 'Replicas of a topic created without a number; taken as 1 here.' }),
  'auto.create.topics.enable': bool({ default: true, doc: 'Whether asking for an unknown topic creates it.' }),
  'delete.topic.enable': bool({ default: true, doc: 'Whether topics may be deleted.' }),
  'socket.request.max.bytes': int({ default: 104_857_600, min: 1, doc: 'Largest request frame.' }),
  'connections.max.idle.ms': long({ default: 600_000, doc: 'A connection idle this long is closed.' }),
  'max.connections': int({
    default: MAX_INT,
    min: 0,
    doc: 'Most connections at once; further ones wait until one ends. Also for one listener, as listener.name.NAME.max.connections.',
  }),
  'max.connections.per.ip': int({ default: MAX_INT, min: 0, doc: 'Most connections at once from one address; further ones are closed.' }),
  'max.connections.per.ip.overrides': text({
    default: '',
    doc: 'Other values of max.connections.per.ip for single addresses or hosts: host:100,127.0.0.1:200.',
  }),
  'max.connection.creation.rate': int({
    default: MAX_INT,
    min: 0,
    doc: 'Most new connections per second; further ones wait. Also for one listener, as listener.name.NAME.max.connection.creation.rate.',
  }),
  'connection.failed.authentication.delay.ms': int({ default: 100, min: 0, doc: 'Wait before closing after a failed login.' }),
  'connections.max.reauth.ms': long({ default: 0, min: 0, doc: 'Lifetime of a SASL login; 0 = for ever.' }),
  'fetch.max.bytes': int({ default: 57_671_680, min: 1024, doc: 'Upper bound of one fetch answer.' }),
  'max.incremental.fetch.session.cache.slots': int({ default: 1000, min: 0, doc: 'Incremental fetch sessions kept.' }),
  'max.request.partition.size.limit': int({ default: 2000, min: 1, doc: 'Most partitions in one DescribeTopicPartitions answer.' }),
  'log.retention.check.interval.ms': long({ default: 300_000, min: 1, doc: 'Time between two retention runs.' }),
  'log.initial.task.delay.ms': long({ default: 30_000, min: 0, doc: 'Wait after the start before the first retention run.' }),
  'log.flush.scheduler.interval.ms': long({ default: MAX_LONG, doc: 'Time between two looks for logs due under flush.ms.' }),
  'log.flush.offset.checkpoint.interval.ms': int({ default: 60_000, min: 0, doc: 'Time between two recovery point checkpoints.' }),
  'log.flush.start.offset.checkpoint.interval.ms': int({ default: 60_000, min: 0, doc: 'Time between two start offset checkpoints.' }),
  'log.cleaner.enable': bool({ default: true, doc: 'Whether compaction runs.' }),
  'log.cleaner.backoff.ms': long({ default: 15_000, min: 0, doc: 'Pause of the cleaner when nothing is to be done.' }),
  'log.cleaner.dedupe.buffer.size': long({ default: 134_217_728, doc: 'Memory for the key map of a compaction.' }),
  'offsets.topic.num.partitions': int({ default: 50, min: 1, doc: 'Partitions of __consumer_offsets.' }),
  'offsets.topic.replication.factor': int({ default: 3, min: 1, doc: 'Taken as 1 on a single node.' }),
  'offsets.topic.segment.bytes': int({ default: 104_857_600, min: 1, doc: 'Segment size of __consumer_offsets.' }),
  'offsets.retention.minutes': int({ default: 10_080, min: 1, doc: 'How long offsets of an empty group are kept.' }),
  'offsets.retention.check.interval.ms': long({ default: 600_000, min: 1, doc: 'Time between two looks for expired offsets.' }),
  'offset.metadata.max.bytes': int({ default: 4096, min: 0, doc: 'Longest metadata of a committed offset.' }),
  'group.initial.rebalance.delay.ms': int({ default: 3000, min: 0, doc: 'Wait for more members before the first rebalance.' }),
  'group.min.session.timeout.ms': int({ default: 6000, min: 1, doc: 'Shortest session timeout a member may ask for.' }),
  'group.max.session.timeout.ms': int({ default: 1_800_000, min: 1, doc: 'Longest session timeout a member may ask for.' }),
  'group.max.size': int({ default: MAX_INT, min: 1, doc: 'Most members of a group.' }),
  'group.coordinator.rebalance.protocols': list({
    separator: 'comma',
    default: ['classic', 'consumer'],
    doc: 'Without "consumer" the new consumer protocol (KIP-848) is refused; the classic protocol is always on.',
  }),
  'group.consumer.session.timeout.ms': int({ default: 45_000, min: 1, doc: 'A member of the new protocol that is not heard of for so long is removed.' }),
  'group.consumer.min.session.timeout.ms': int({ default: 45_000, min: 1, doc: 'Least value of group.consumer.session.timeout.ms.' }),
  'group.consumer.max.session.timeout.ms': int({ default: 60_000, min: 1, doc: 'Largest value of group.consumer.session.timeout.ms.' }),
  'group.consumer.heartbeat.interval.ms': int({ default: 5000, min: 1, doc: 'How often members of the new protocol are told to call.' }),
  'group.consumer.min.heartbeat.interval.ms': int({ default: 5000, min: 1, doc: 'Least value of group.consumer.heartbeat.interval.ms.' }),
  'group.consumer.max.heartbeat.interval.ms': int({ default: 15_000, min: 1, doc: 'Largest value of group.consumer.heartbeat.interval.ms.' }),
  'group.consumer.max.size': int({ default: MAX_INT, min: 1, doc: 'Most members of a group of the new protocol.' }),
  'group.consumer.assignors': list({
    separator: 'comma',
    default: ['uniform', 'range'],
    doc: "The broker's assignors that members of the new protocol may ask for, by name or by Kafka's class; the first is the default.",
  }),
  'group.consumer.migration.policy': oneOf(['disabled', 'upgrade', 'downgrade', 'bidirectional'], {
    default: 'bidirectional',
    doc: 'Whether a group changes its protocol while it has members: up with the first of the new protocol, down with the last.',
  }),
  'transaction.state.log.num.partitions': int({ default: 50, min: 1, doc: 'Partitions of __transaction_state.' }),
  'transaction.state.log.replication.factor': int({ default: 3, min: 1, doc: 'Taken as 1 on a single node.' }),
  'transaction.state.log.segment.bytes': int({ default: 104_857_600, min: 1, doc: 'Segment size of __transaction_state.' }),
  'transaction.max.timeout.ms': int({ default: 900_000, min: 1, doc: 'Longest transaction timeout.' }),
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': int({ default: 10_000, min: 1, doc: 'Time between two looks for timed-out transactions.' }),
  'transactional.id.expiration.ms': int({ default: 604_800_000, min: 1, doc: 'How long an idle transactional id is kept.' }),
  'producer.id.expiration.ms': int({ default: 86_400_000, min: 1, doc: 'How long an idle producer is remembered per partition.' }),
  'sasl.enabled.mechanisms': list({ separator: 'comma', default: ['PLAIN'], doc: 'PLAIN, SCRAM-SHA-256, SCRAM-SHA-512.' }),
  'sasl.jaas.config': secret({ doc: 'JAAS line with user_NAME="password" entries.' }),
  'ssl.keystore.location': text({ doc: 'Key and certificate: PKCS12, PEM or JKS file, told apart by its content.' }),
  'ssl.keystore.password': secret({ doc: 'Password of the key store.' }),
  'ssl.keystore.type': text({ default: 'JKS', doc: 'PKCS12, PEM or JKS; not needed, the content tells.' }),
  'ssl.keystore.key': secret({ doc: 'Private key as PEM text.' }),
  'ssl.keystore.certificate.chain': text({ doc: 'Certificate chain as PEM text.' }),
  'ssl.key.password': secret({ doc: 'Password of the private key.' }),
  'ssl.truststore.location': text({ doc: 'Certificates of accepted client CAs: PKCS12, PEM or JKS file.' }),
  'ssl.truststore.password': secret({ doc: 'Password of the trust store.' }),
  'ssl.truststore.type': text({ default: 'JKS', doc: 'PKCS12, PEM or JKS; not needed, the content tells.' }),
  'ssl.truststore.certificates': text({ doc: 'CA certificates as PEM text.' }),
  'ssl.client.auth': oneOf(['none', 'requested', 'required'], { default: 'none', doc: 'Whether clients must show a certificate.' }),
  'ssl.enabled.protocols': list({ separator: 'comma', default: ['TLSv1.2', 'TLSv1.3'], doc: 'TLS versions.' }),
  'ssl.cipher.suites': list({ separator: 'comma', doc: 'Cipher suites in the names of Java or OpenSSL; default: those of Node.' }),
  'ssl.principal.mapping.rules': text({ default: 'DEFAULT', doc: 'How a certificate name becomes a principal.' }),
  'authorizer.class.name': text({ doc: 'Any authorizer class switches ACL checks on.' }),
  'super.users': text({ doc: 'Principals that may do everything, separated by semicolons.' }),
  'allow.everyone.if.no.acl.found': bool({ default: false, doc: 'What happens on resources without ACL.' }),
  'millrace.sync': oneOf(['acknowledged', 'os'], {
    default: 'acknowledged',
    doc: 'acknowledged: acks=all is answered after fdatasync. os: after the write, as Kafka does; the operating system syncs.',
  }),
  'millrace.metrics.port': int({ min: 0, max: 65535, doc: 'Port for Prometheus text and JSON figures; absent = none.' }),
  'millrace.metrics.host': text({ default: '127.0.0.1', doc: 'Address the metrics port listens on.' }),
} as const;

const NO_JAVA = 'Java classes are not loaded';
const NOT_NEEDED: Readonly<Record<string, string>> = {
  'zookeeper.connect': 'no ZooKeeper is needed',
  'zookeeper.connection.timeout.ms': 'no ZooKeeper is needed',
  'zookeeper.session.timeout.ms': 'no ZooKeeper is needed',
  'zookeeper.sync.time.ms': 'no ZooKeeper is needed',
  'zookeeper.max.in.flight.requests': 'no ZooKeeper is needed',
  'zookeeper.set.acl': 'no ZooKeeper is needed',
  'process.roles': ONE_NODE,
  'controller.quorum.voters': ONE_NODE,
  'controller.quorum.bootstrap.servers': ONE_NODE,
  'controller.listener.names': ONE_NODE,
  'inter.broker.listener.name': ONE_NODE,
  'inter.broker.protocol.version': ONE_NODE,
  'security.inter.broker.protocol': ONE_NODE,
  'sasl.mechanism.inter.broker.protocol': ONE_NODE,
  'auto.leader.rebalance.enable': ONE_NODE,
  'broker.rack': ONE_NODE,
  'num.network.threads': NO_THREADS,
  'num.io.threads': NO_THREADS,
  'background.threads': NO_THREADS,
  'num.recovery.threads.per.data.dir': NO_THREADS,
  'queued.max.requests': NO_THREADS,
  'log.cleaner.threads': NO_THREADS,
  'num.replica.fetchers': ONE_NODE,
  'transaction.state.log.min.isr': ONE_NODE,
  'socket.send.buffer.bytes': 'the operating system sizes socket buffers',
  'socket.receive.buffer.bytes': 'the operating system sizes socket buffers',
  'fetch.purgatory.purge.interval.requests': 'waiting requests are removed at once',
  'producer.purgatory.purge.interval.requests': 'waiting requests are removed at once',
  'delete.records.purgatory.purge.interval.requests': 'waiting requests are removed at once',
  'offsets.commit.timeout.ms': 'a commit is answered when it is on disk',
  'offsets.load.buffer.size': ONE_NODE,
  'alter.config.policy.class.name': NO_JAVA,
  'create.topic.policy.class.name': NO_JAVA,
  'client.quota.callback.class': NO_JAVA,
  'principal.builder.class': NO_JAVA,
  'security.providers': NO_JAVA,
  'auto.include.jmx.reporter': 'figures are served on millrace.metrics.port',
  'broker.id.generation.enable': ONE_NODE,
  'reserved.broker.max.id': ONE_NODE,
  'control.plane.listener.name': ONE_NODE,
  'early.start.listeners': ONE_NODE,
  'eligible.leader.replicas.enable': ONE_NODE,
  'initial.broker.registration.timeout.ms': ONE_NODE,
  'log.dir.failure.timeout.ms': ONE_NODE,
  'num.replica.alter.log.dirs.threads': ONE_NODE,
  'request.timeout.ms': ONE_NODE,
  'unclean.leader.election.interval.ms': ONE_NODE,
  'server.max.startup.time.ms': 'the start is not limited',
  'socket.listen.backlog.size': 'a backlog of 1024 is asked for',
  'queued.max.request.bytes': 'a connection holds one request',
  'offsets.commit.required.acks': 'a commit is answered when it is on disk',
  'offsets.topic.compression.codec': 'offsets are stored plain',
  'producer.id.expiration.check.interval.ms': 'idle producers are looked for every ten minutes',
  'transaction.partition.verification.enable': 'it is always verified',
  'transaction.remove.expired.transaction.cleanup.interval.ms': 'expiry is found by deadline',
  'transaction.state.log.load.buffer.size': ONE_NODE,
};

/** Prefixes of keys that are accepted and have no effect, with the reason. */
const NOT_NEEDED_PREFIXES: readonly (readonly [string, string])[] = [
  ['zookeeper.', 'no ZooKeeper is needed'],
  ['replica.', ONE_NODE],
  ['leader.imbalance.', ONE_NODE],
  ['controlled.shutdown.', ONE_NODE],
  ['controller.', ONE_NODE],
  ['log.cleaner.io.', 'compaction runs in slices of a few milliseconds'],
  ['metric.', 'figures are served on millrace.metrics.port'],
  ['metrics.', 'figures are served on millrace.metrics.port'],
  ['kafka.metrics.', 'figures are served on millrace.metrics.port'],
  ['confluent.', 'it belongs to another distribution'],
  ['quota.', 'quotas are set with kafka-configs'],
  ['telemetry.', 'client telemetry is not collected'],
  ['group.consumer.', 'topics are looked up when they change'],
  ['alter.log.dirs.', ONE_NODE],
  ['replication.quota.', ONE_NODE],
  ['broker.heartbeat.', ONE_NODE],
  ['broker.session.', ONE_NODE],
  ['metadata.', 'metadata is kept in millrace.metadata of the first data directory'],
  ['remote.', 'there is no tiered storage'],
  ['group.coordinator.', NO_THREADS],
  ['group.share.', 'share groups are not offered'],
  ['delegation.token.', 'delegation tokens are not offered'],
  ['password.encoder.', 'no passwords are kept'],
  ['sasl.kerberos.', 'Kerberos is not offered'],
  ['sasl.oauthbearer.', 'OAUTHBEARER is not offered to clients'],
  ['sasl.', 'logins are PLAIN and SCRAM'],
  ['ssl.', 'TLS is that of Node'],
  ['socket.connection.setup.', ONE_NODE],
  ['unstable.', 'nothing unstable is offered'],
];

/** Why a key has no effect here, or undefined when it has one or nobody knows it. */
export function notNeeded(key: string): string | undefined {
  return NOT_NEEDED[key] ?? NOT_NEEDED_PREFIXES.find(([prefix]) => key.startsWith(prefix))?.[1];
}

/** True for `listener.name.<name>.<key>`: settings of one listener. */
export function isListenerKey(key: string): boolean {
  return key.startsWith('listener.name.');
}

/** Broker keys that are topic defaults, under their server names, typed like the topic key they default. */
function serverDefaults(): Record<string, Property<unknown>> {
  const out: Record<string, Property<unknown>> = {};
  for (const [key, names] of Object.entries(SERVER_KEYS) as [TopicKey, readonly string[]][]) {
    const property = TOPIC_PROPERTIES[key] as Property<unknown>;
    for (const name of names) {
      if (name.endsWith('.hours') || name.endsWith('.minutes')) continue;
      out[name] = optional(name, property);
    }
  }
  out['log.retention.minutes'] = int({ doc: 'log.retention.ms in minutes.' });
  out['log.retention.hours'] = int({ default: 168, doc: 'log.retention.ms in hours.' });
  out['log.roll.hours'] = int({ default: 168, min: 1, doc: 'log.roll.ms in hours.' });
  out['log.roll.jitter.hours'] = int({ default: 0, min: 0, doc: 'log.roll.jitter.ms in hours.' });
  return out;
}

/** Keys that have a twin in other units have no default of their own. */
function optional(name: string, property: Property<unknown>): Property<unknown> {
  const scaled = name === 'log.retention.ms' || name === 'log.roll.ms' || name === 'log.roll.jitter.ms';
  return scaled ? { ...property, options: { doc: property.options.doc } } : property;
}

/** All broker keys that DescribeConfigs knows. */
export const BROKER_PROPERTIES: typeof OWN & Properties = { ...serverDefaults(), ...OWN };

/** Limits of connections: read anew when they change. */
const CONNECTION_KEYS: readonly string[] = ['max.connections', 'max.connections.per.ip', 'max.connections.per.ip.overrides', 'max.connection.creation.rate'];
const LISTENER_LIMIT = /^listener\.name\.[^.]+\.(max\.connections|max\.connection\.creation\.rate)$/;

/** What a broker key means, limits of one listener (`listener.name.NAME.max.connections`) included. */
export function brokerProperty(key: string): Property<unknown> | undefined {
  return (BROKER_PROPERTIES as Readonly<Record<string, Property<unknown>>>)[LISTENER_LIMIT.exec(key)?.[1] ?? key];
}

/** True for a limit of one listener that can be changed while the broker runs. */
export function isListenerLimit(key: string): boolean {
  return LISTENER_LIMIT.test(key);
}

/** Keys that AlterConfigs of a broker may change while it runs: those that are topic defaults, and limits of connections. */
export function isDynamicBrokerKey(key: string): boolean {
  if (CONNECTION_KEYS.includes(key) || isListenerLimit(key)) return true;
  return key in BROKER_PROPERTIES && !(key in OWN) && key !== 'preallocate';
}
