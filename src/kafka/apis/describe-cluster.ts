/**
 * DescribeCluster (key 60).
 *
 * Cluster id, controller and brokers (KIP-700). Version 1 asks for brokers or controllers (KIP-919).
 */
import { api, array, bool, int8, int16, int32, string } from '../schema.ts';

export const DescribeCluster = api(
  60,
  { name: 'DescribeCluster', versions: '0-1', flexible: '0+' },
  {
    includeClusterAuthorizedOperations: bool(),
    endpointType: int8().default(1).since(1),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16(),
    errorMessage: string().nullable().default(null),
    endpointType: int8().default(1).since(1),
    clusterId: string(),
    controllerId: int32().default(-1),
    brokers: array({
      brokerId: int32(),
      host: string(),
      port: int32(),
      rack: string().nullable().default(null),
    }),
    clusterAuthorizedOperations: int32().default(-2147483648),
  },
);
