/** DescribeLogDirs and AlterReplicaLogDirs (keys 35 and 34): sizes per data directory; moving between them is refused (KIP-113). */
import { AlterReplicaLogDirs } from '../../kafka/apis/alter-replica-log-dirs.ts';
import { DescribeLogDirs } from '../../kafka/apis/describe-log-dirs.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { CLUSTER_NAME, OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';

export const describeLogDirs = handle(DescribeLogDirs, (request, { broker, client }) => {
  if (!broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.cluster, CLUSTER_NAME))
    return { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, results: [] };
  const wanted = request.topics && new Map(request.topics.map(({ topic, partitions }) => [topic, new Set(partitions)]));
  const results = broker.topics.dirs.map((logDir) => {
    const topics = broker.topics
      .all()
      .map(({ name, partitions }) => ({
        name,
        partitions: partitions
          .filter((partition) => partition.dataDir === logDir && (!wanted || wanted.get(name)?.has(partition.index)))
          .map((partition) => ({ partitionIndex: partition.index, partitionSize: partition.sizeBytes, offsetLag: 0, isFutureKey: false })),
      }))
      .filter(({ partitions }) => partitions.length > 0);
    return { errorCode: ErrorCode.NONE, logDir, topics, ...broker.topics.volume(logDir) };
  });
  return { errorCode: ErrorCode.NONE, results };
});

export const alterReplicaLogDirs = handle(AlterReplicaLogDirs, (request, { broker }) => {
  const results = request.dirs.flatMap(({ path, topics }) =>
    topics.map(({ name, partitions }) => ({
      topicName: name,
      partitions: partitions.map((partitionIndex) => {
        // The directory first, as Kafka.
        if (!broker.topics.dirs.includes(path)) return { partitionIndex, errorCode: ErrorCode.LOG_DIR_NOT_FOUND };
        const partition = broker.topics.partition(name, partitionIndex);
        if (!partition) return { partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
        return { partitionIndex, errorCode: partition.dataDir === path ? ErrorCode.NONE : ErrorCode.LOG_DIR_NOT_FOUND };
      }),
    })),
  );
  return { results };
});
