/**
 * DescribeUserScramCredentials and AlterUserScramCredentials (keys 50 and 51, KIP-554). The client salts the password;
 * only what verifies it is kept.
 */
import { AlterUserScramCredentials } from '../../kafka/apis/alter-user-scram-credentials.ts';
import { DescribeUserScramCredentials } from '../../kafka/apis/describe-user-scram-credentials.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import type { RequestOf } from '../../kafka/schema.ts';
import { CLUSTER_NAME, OPERATION, RESOURCE } from '../auth/acl.ts';
import { credentialFromSalted, type ScramMechanism } from '../auth/scram.ts';
import { handle, type RequestContext } from '../request.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';

const MECHANISMS: Readonly<Record<number, ScramMechanism>> = { 1: 'SCRAM-SHA-256', 2: 'SCRAM-SHA-512' };
const MIN_ITERATIONS = 4096;
const MAX_ITERATIONS = 16_384;

export const describeUserScramCredentials = handle(DescribeUserScramCredentials, ({ users }, { broker, client }) => {
  if (!broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.cluster, CLUSTER_NAME)) {
    return { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, errorMessage: errorMessage(ErrorCode.CLUSTER_AUTHORIZATION_FAILED), results: [] };
  }
  const known = broker.metadata.scramUsers();
  const names = users === null || users.length === 0 ? [...known.keys()] : users.map(({ name }) => name);
  const results = [...new Set(names)].map((user) => {
    const credentials = known.get(user);
    if (names.indexOf(user) !== names.lastIndexOf(user)) {
      return {
        user,
        errorCode: ErrorCode.DUPLICATE_RESOURCE,
        errorMessage: `Cannot describe SCRAM credentials for the same user twice in a single request: ${user}`,
        credentialInfos: [],
      };
    }
    if (!credentials) {
      return {
        user,
        errorCode: ErrorCode.RESOURCE_NOT_FOUND,
        errorMessage: `Attempt to describe a user credential that does not exist: ${user}`,
        credentialInfos: [],
      };
    }
    const credentialInfos = credentials.map(({ mechanism, iterations }) => ({ mechanism: mechanism === 'SCRAM-SHA-256' ? 1 : 2, iterations }));
    return { user, errorCode: ErrorCode.NONE, errorMessage: '', credentialInfos };
  });
  return { errorCode: ErrorCode.NONE, errorMessage: '', results };
});

type Alteration = RequestOf<typeof AlterUserScramCredentials>;
type Upsertion = Alteration['upsertions'][number];
type Deletion = Alteration['deletions'][number];

export const alterUserScramCredentials = handle(AlterUserScramCredentials, async ({ deletions, upsertions }, context) => {
  const changes: readonly (Upsertion | Deletion)[] = [...deletions, ...upsertions];
  const users = [...new Set(changes.map(({ name }) => name))];
  const results = [];
  for (const user of users) {
    const mine = changes.filter(({ name }) => name === user);
    const { errorCode, message } = await alterUser(mine, context);
    results.push({ user, errorCode, errorMessage: errorCode === ErrorCode.NONE ? null : message });
  }
  return { results };
});

async function alterUser(
  changes: readonly (Upsertion | Deletion)[],
  context: RequestContext,
): Promise<{ readonly errorCode: number; readonly message: string }> {
  const { broker, client } = context;
  if (!broker.authorizer.allowed(client, OPERATION.alter, RESOURCE.cluster, CLUSTER_NAME)) {
    return { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, message: errorMessage(ErrorCode.CLUSTER_AUTHORIZATION_FAILED) };
  }
  const problem = problemOf(changes);
  if (problem) return problem;
  for (const change of changes) {
    const mechanism = MECHANISMS[change.mechanism] as ScramMechanism;
    const credential = 'salt' in change ? credentialFromSalted(mechanism, change.saltedPassword, change.salt, change.iterations) : null;
    const stored = broker.changeMetadata({ kind: 'set-scram', user: change.name, mechanism, credential });
    const { errorCode } = await unlessDiskRefuses(stored, context, () => ({ errorCode: ErrorCode.KAFKA_STORAGE_ERROR }));
    if (errorCode === ErrorCode.RESOURCE_NOT_FOUND) return { errorCode, message: 'Attempt to delete a user credential that does not exist' };
    if (errorCode !== ErrorCode.NONE) return { errorCode, message: errorMessage(errorCode) };
  }
  return { errorCode: ErrorCode.NONE, message: '' };
}

function problemOf(changes: readonly (Upsertion | Deletion)[]): { readonly errorCode: number; readonly message: string } | null {
  if (changes.some(({ name }) => name === '')) return { errorCode: ErrorCode.UNACCEPTABLE_CREDENTIAL, message: 'Username must not be empty' };
  if (changes.some(({ mechanism }) => !MECHANISMS[mechanism])) return { errorCode: ErrorCode.UNSUPPORTED_SASL_MECHANISM, message: 'Unknown SCRAM mechanism' };
  if (new Set(changes.map(({ mechanism }) => mechanism)).size !== changes.length) {
    return { errorCode: ErrorCode.DUPLICATE_RESOURCE, message: 'A user credential cannot be altered twice in the same request' };
  }
  for (const change of changes) {
    if (!('salt' in change)) continue;
    if (change.iterations < MIN_ITERATIONS) return { errorCode: ErrorCode.UNACCEPTABLE_CREDENTIAL, message: 'Too few iterations' };
    if (change.iterations > MAX_ITERATIONS) return { errorCode: ErrorCode.UNACCEPTABLE_CREDENTIAL, message: 'Too many iterations' };
  }
  return null;
}
