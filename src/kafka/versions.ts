/**
 * Every API that the house can read and write, by key, and what may be advertised of it. The ranges are those with which
 * all known clients and tools work: a lower bound above 0 switches off features in old librdkafka, an upper bound that is
 * not fully built breaks single clients (KIP-896 names what 4.x clients need at least).
 */
import { AddOffsetsToTxn } from './apis/add-offsets-to-txn.ts';
import { AddPartitionsToTxn } from './apis/add-partitions-to-txn.ts';
import { AlterClientQuotas } from './apis/alter-client-quotas.ts';
import { AlterConfigs } from './apis/alter-configs.ts';
import { AlterPartitionReassignments } from './apis/alter-partition-reassignments.ts';
import { AlterReplicaLogDirs } from './apis/alter-replica-log-dirs.ts';
import { AlterUserScramCredentials } from './apis/alter-user-scram-credentials.ts';
import { ApiVersions } from './apis/api-versions.ts';
import { ConsumerGroupDescribe } from './apis/consumer-group-describe.ts';
import { ConsumerGroupHeartbeat } from './apis/consumer-group-heartbeat.ts';
import { CreateAcls } from './apis/create-acls.ts';
import { CreatePartitions } from './apis/create-partitions.ts';
import { CreateTopics } from './apis/create-topics.ts';
import { DeleteAcls } from './apis/delete-acls.ts';
import { DeleteGroups } from './apis/delete-groups.ts';
import { DeleteRecords } from './apis/delete-records.ts';
import { DeleteTopics } from './apis/delete-topics.ts';
import { DescribeAcls } from './apis/describe-acls.ts';
import { DescribeClientQuotas } from './apis/describe-client-quotas.ts';
import { DescribeCluster } from './apis/describe-cluster.ts';
import { DescribeConfigs } from './apis/describe-configs.ts';
import { DescribeGroups } from './apis/describe-groups.ts';
import { DescribeLogDirs } from './apis/describe-log-dirs.ts';
import { DescribeProducers } from './apis/describe-producers.ts';
import { DescribeTopicPartitions } from './apis/describe-topic-partitions.ts';
import { DescribeTransactions } from './apis/describe-transactions.ts';
import { DescribeUserScramCredentials } from './apis/describe-user-scram-credentials.ts';
import { ElectLeaders } from './apis/elect-leaders.ts';
import { EndTxn } from './apis/end-txn.ts';
import { Fetch } from './apis/fetch.ts';
import { FindCoordinator } from './apis/find-coordinator.ts';
import { Heartbeat } from './apis/heartbeat.ts';
import { IncrementalAlterConfigs } from './apis/incremental-alter-configs.ts';
import { InitProducerId } from './apis/init-producer-id.ts';
import { JoinGroup } from './apis/join-group.ts';
import { LeaveGroup } from './apis/leave-group.ts';
import { ListGroups } from './apis/list-groups.ts';
import { ListOffsets } from './apis/list-offsets.ts';
import { ListPartitionReassignments } from './apis/list-partition-reassignments.ts';
import { ListTransactions } from './apis/list-transactions.ts';
import { Metadata } from './apis/metadata.ts';
import { OffsetCommit } from './apis/offset-commit.ts';
import { OffsetDelete } from './apis/offset-delete.ts';
import { OffsetFetch } from './apis/offset-fetch.ts';
import { OffsetForLeaderEpoch } from './apis/offset-for-leader-epoch.ts';
import { Produce } from './apis/produce.ts';
import { SaslAuthenticate } from './apis/sasl-authenticate.ts';
import { SaslHandshake } from './apis/sasl-handshake.ts';
import { SyncGroup } from './apis/sync-group.ts';
import { TxnOffsetCommit } from './apis/txn-offset-commit.ts';
import { WriteTxnMarkers } from './apis/write-txn-markers.ts';
import type { AnyApi } from './schema.ts';

/** In order of their keys. */
export const apis: readonly AnyApi[] = [
  Produce,
  Fetch,
  ListOffsets,
  Metadata,
  OffsetCommit,
  OffsetFetch,
  FindCoordinator,
  JoinGroup,
  Heartbeat,
  LeaveGroup,
  SyncGroup,
  DescribeGroups,
  ListGroups,
  SaslHandshake,
  ApiVersions,
  CreateTopics,
  DeleteTopics,
  DeleteRecords,
  InitProducerId,
  OffsetForLeaderEpoch,
  AddPartitionsToTxn,
  AddOffsetsToTxn,
  EndTxn,
  WriteTxnMarkers,
  TxnOffsetCommit,
  DescribeAcls,
  CreateAcls,
  DeleteAcls,
  DescribeConfigs,
  AlterConfigs,
  AlterReplicaLogDirs,
  DescribeLogDirs,
  SaslAuthenticate,
  CreatePartitions,
  DeleteGroups,
  ElectLeaders,
  IncrementalAlterConfigs,
  AlterPartitionReassignments,
  ListPartitionReassignments,
  OffsetDelete,
  DescribeClientQuotas,
  AlterClientQuotas,
  DescribeUserScramCredentials,
  AlterUserScramCredentials,
  DescribeCluster,
  DescribeProducers,
  DescribeTransactions,
  ListTransactions,
  ConsumerGroupHeartbeat,
  ConsumerGroupDescribe,
  DescribeTopicPartitions,
];

const byKey: readonly (AnyApi | undefined)[] = apis.reduce<(AnyApi | undefined)[]>((table, api) => {
  table[api.key] = api;
  return table;
}, []);

/** The API with this key; undefined if the house does not know it. */
export function apiByKey(key: number): AnyApi | undefined {
  return byKey[key];
}

/** One line of an ApiVersions response. */
export interface OfferedRange {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

/** What to advertise for these APIs, in order of their keys. */
export function offeredRanges(offered: readonly AnyApi[]): OfferedRange[] {
  return [...offered].sort((a, b) => a.key - b.key).map(({ key, offered: [minVersion, maxVersion] }) => ({ apiKey: key, minVersion, maxVersion }));
}
