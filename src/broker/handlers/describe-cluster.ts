/** DescribeCluster (key 60): the one broker of this cluster (KIP-700, KIP-919). Endpoint type 2 asks for controllers: refused. */
import { DescribeCluster } from '../../kafka/apis/describe-cluster.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { handle } from '../request.ts';
import { clusterOperations } from './authorized-operations.ts';

const BROKERS = 1;
const CONTROLLERS = 2;

export const describeCluster = handle(DescribeCluster, (request, context) => {
  const { broker, client } = context;
  if (request.endpointType !== BROKERS) {
    const asController = request.endpointType === CONTROLLERS;
    return {
      errorCode: asController ? ErrorCode.MISMATCHED_ENDPOINT_TYPE : ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
      errorMessage: asController
        ? 'The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER'
        : `Unsupported endpoint type ${request.endpointType}`,
      clusterId: '',
      brokers: [],
    };
  }
  const { host, port } = broker.addressFor(client);
  return {
    errorCode: ErrorCode.NONE,
    clusterId: broker.clusterId,
    controllerId: broker.nodeId,
    brokers: [{ brokerId: broker.nodeId, host, port }],
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? clusterOperations(context) : undefined,
  };
});
