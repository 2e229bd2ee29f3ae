/**
 * ElectLeaders (key 43).
 *
 * Asks for an election of partition leaders (KIP-183, KIP-460). One broker always leads: ELECTION_NOT_NEEDED for each.
 *
 * Versions: 1 adds the kind of election and a top-level error, 2 is flexible. Null partitions mean all.
 */
import { api, array, int8, int16, int32, string } from '../schema.ts';

export const ElectLeaders = api(
  43,
  { name: 'ElectLeaders', versions: '0-2', flexible: '2+' },
  {
    electionType: int8().since(1),
    topicPartitions: array({
      topic: string(),
      partitions: array(int32()),
    }).nullable(),
    timeoutMs: int32().default(60000),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16().since(1),
    replicaElectionResults: array({
      topic: string(),
      partitionResult: array({
        partitionId: int32(),
        errorCode: int16(),
        errorMessage: string().nullable(),
      }),
    }),
  },
);
