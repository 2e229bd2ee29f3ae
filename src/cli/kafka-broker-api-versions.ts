/** `kafka-broker-api-versions.sh`: which APIs and versions each broker offers (kafka.admin.BrokerApiVersionsCommand 3.9). */

import type { KafkaConnection } from '../kafka/client/connection.ts';
import { apis } from '../kafka/versions.ts';
import type { Cluster } from './kafka-tool/cluster.ts';
import type { ToolOption } from './kafka-tool/options.ts';
import { out } from './kafka-tool/output.ts';
import { BOOTSTRAP, COMMAND_CONFIG, runTool, withCluster, ZOOKEEPER } from './kafka-tool/tool.ts';

const OPTIONS: readonly ToolOption[] = [BOOTSTRAP, COMMAND_CONFIG, ZOOKEEPER];

/** Names of APIs that this house does not speak, so that every API of a broker has one (ApiKeys 3.9). */
const OTHERS: Readonly<Record<number, string>> = {
  4: 'LeaderAndIsr',
  5: 'StopReplica',
  6: 'UpdateMetadata',
  7: 'ControlledShutdown',
  38: 'CreateDelegationToken',
  39: 'RenewDelegationToken',
  40: 'ExpireDelegationToken',
  41: 'DescribeDelegationToken',
  55: 'DescribeQuorum',
  56: 'AlterPartition',
  57: 'UpdateFeatures',
  58: 'Envelope',
  64: 'UnregisterBroker',
  67: 'AllocateProducerIds',
  71: 'GetTelemetrySubscriptions',
  72: 'PushTelemetry',
  74: 'ListClientMetricsResources',
  76: 'ShareGroupHeartbeat',
  77: 'ShareGroupDescribe',
  78: 'ShareFetch',
  79: 'ShareAcknowledge',
  80: 'AddRaftVoter',
  81: 'RemoveRaftVoter',
  83: 'InitializeShareGroupState',
  84: 'ReadShareGroupState',
  85: 'WriteShareGroupState',
  86: 'DeleteShareGroupState',
  87: 'ReadShareGroupStateSummary',
};

function versionLines(connection: KafkaConnection): string[] {
  const names = new Map<number, string>([
    ...Object.entries(OTHERS).map(([key, name]) => [Number(key), name] as const),
    ...apis.map(({ key, name }) => [key, name] as const),
  ]);
  const ours = new Map(apis.map((api) => [api.key, api]));
  const keys = [...new Set([...names.keys(), ...connection.offered.keys()])].sort((a, b) => a - b);
  return keys.map((key) => {
    const name = `${names.get(key) ?? 'UNKNOWN'}(${key})`;
    const range = connection.offered.get(key);
    if (range === undefined) return `\t${name}: UNSUPPORTED`;
    const shown = range[0] === range[1] ? `${range[0]}` : `${range[0]} to ${range[1]}`;
    const api = ours.get(key);
    const usable = api === undefined ? range[1] : connection.versionOf(api);
    return `\t${name}: ${shown} ${usable < 0 ? '[unusable: node too new]' : `[usable: ${usable}]`}`;
  });
}

async function run(cluster: Cluster): Promise<number> {
  await cluster.metadata([]);
  for (const { nodeId, host, port, rack } of [...cluster.brokers].sort((a, b) => a.nodeId - b.nodeId)) {
    const connection = await cluster.broker(nodeId);
    out(`${host}:${port} (id: ${nodeId} rack: ${rack}) -> (\n${versionLines(connection).join(',\n')}\n)\n`);
  }
  return 0;
}

await runTool({
  purpose: 'This tool helps to retrieve broker version information.',
  options: OPTIONS,
  run: (options) => withCluster(options, run),
});
