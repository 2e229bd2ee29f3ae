/**
 * FindCoordinator (key 10): always this node. Key types: 0 group, 1 transaction; others are refused (2 belongs to share groups).
 */
import { FindCoordinator } from '../../kafka/apis/find-coordinator.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle, type RequestContext } from '../request.ts';

const GROUP = 0;
const TRANSACTION = 1;

export const findCoordinator = handle(FindCoordinator, (request, context) => {
  const keys = context.version >= 4 ? request.coordinatorKeys : [request.key];
  const coordinators = keys.map((key) => coordinator(key, request.keyType, context));
  // Kafka's own odd text for "no error" of the versions with one key.
  if (context.version < 4 && coordinators[0]?.errorCode === ErrorCode.NONE) return { ...coordinators[0], errorMessage: 'NONE' };
  const [only] = coordinators;
  return context.version >= 4 || !only ? { coordinators } : only;
});

function coordinator(key: string, keyType: number, { broker, client }: RequestContext) {
  const errorCode = refusal(key, keyType, { broker, client });
  const { host, port } = broker.addressFor(client);
  if (errorCode !== ErrorCode.NONE) return { key, nodeId: -1, host: '', port: -1, errorCode, errorMessage: errorMessage(errorCode) };
  return { key, nodeId: broker.nodeId, host, port, errorCode, errorMessage: '' };
}

function refusal(key: string, keyType: number, { broker, client }: Pick<RequestContext, 'broker' | 'client'>): number {
  if (keyType === GROUP) {
    return broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.group, key) ? ErrorCode.NONE : ErrorCode.GROUP_AUTHORIZATION_FAILED;
  }
  if (keyType === TRANSACTION) {
    return broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.transactionalId, key)
      ? ErrorCode.NONE
      : ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
  }
  return ErrorCode.INVALID_REQUEST;
}
