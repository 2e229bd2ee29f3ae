/** Every API this broker serves; ApiVersions answers exactly this list. */
import type { AnyApi } from '../../kafka/schema.ts';
import type { Handler } from '../request.ts';
import { createAcls, deleteAcls, describeAcls } from './acls.ts';
import { alterConfigs, incrementalAlterConfigs } from './alter-configs.ts';
import { apiVersions } from './api-versions.ts';
import { alterClientQuotas, describeClientQuotas } from './client-quotas.ts';
import { consumerGroupDescribe, consumerGroupHeartbeat } from './consumer-groups.ts';
import { createPartitions } from './create-partitions.ts';
import { createTopics } from './create-topics.ts';
import { deleteRecords } from './delete-records.ts';
import { deleteTopics } from './delete-topics.ts';
import { describeCluster } from './describe-cluster.ts';
import { describeConfigs } from './describe-configs.ts';
import { describeProducers } from './describe-producers.ts';
import { describeTopicPartitions } from './describe-topic-partitions.ts';
import { electLeaders } from './elect-leaders.ts';
import { fetch } from './fetch.ts';
import { findCoordinator } from './find-coordinator.ts';
import { deleteGroups, describeGroups, listGroups, offsetDelete } from './group-admin.ts';
import { heartbeat } from './heartbeat.ts';
import { joinGroup } from './join-group.ts';
import { leaveGroup } from './leave-group.ts';
import { listOffsets } from './list-offsets.ts';
import { alterReplicaLogDirs, describeLogDirs } from './log-dirs.ts';
import { metadata } from './metadata.ts';
import { offsetCommit, txnOffsetCommit } from './offset-commit.ts';
import { offsetFetch } from './offset-fetch.ts';
import { offsetForLeaderEpoch } from './offset-for-leader-epoch.ts';
import { alterPartitionReassignments, listPartitionReassignments } from './partition-reassignments.ts';
import { produce } from './produce.ts';
import { saslAuthenticate, saslHandshake } from './sasl.ts';
import { alterUserScramCredentials, describeUserScramCredentials } from './scram-credentials.ts';
import { syncGroup } from './sync-group.ts';
import { describeTransactions, listTransactions, writeTxnMarkers } from './transaction-admin.ts';
import { addOffsetsToTxn, addPartitionsToTxn, endTxn, initProducerId } from './transactions.ts';

const ALL = [
  produce,
  fetch,
  listOffsets,
  metadata,
  offsetCommit,
  offsetFetch,
  findCoordinator,
  joinGroup,
  heartbeat,
  leaveGroup,
  syncGroup,
  describeGroups,
  listGroups,
  saslHandshake,
  apiVersions,
  createTopics,
  deleteTopics,
  deleteRecords,
  initProducerId,
  offsetForLeaderEpoch,
  addPartitionsToTxn,
  addOffsetsToTxn,
  endTxn,
  writeTxnMarkers,
  txnOffsetCommit,
  describeAcls,
  createAcls,
  deleteAcls,
  describeConfigs,
  alterConfigs,
  alterReplicaLogDirs,
  describeLogDirs,
  saslAuthenticate,
  createPartitions,
  deleteGroups,
  electLeaders,
  incrementalAlterConfigs,
  alterPartitionReassignments,
  listPartitionReassignments,
  offsetDelete,
  describeClientQuotas,
  alterClientQuotas,
  describeUserScramCredentials,
  alterUserScramCredentials,
  describeCluster,
  describeProducers,
  describeTransactions,
  listTransactions,
  consumerGroupHeartbeat,
  consumerGroupDescribe,
  describeTopicPartitions,
] as unknown as readonly Handler<AnyApi>[];

/** Handlers by API key. */
export function handlers(): ReadonlyMap<number, Handler> {
  return new Map(ALL.map((handler) => [handler.api.key, handler]));
}
