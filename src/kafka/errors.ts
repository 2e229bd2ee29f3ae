/**
 * Kafka's error codes (`org.apache.kafka.common.protocol.Errors`, 4.1): number, name, whether a Java client tries again,
 * and Kafka's text. Errors on the wire are values: handlers answer these numbers, they do not throw.
 */

/** `retriable`: the client repeats the request by itself; `refresh`: it asks for metadata first. */
export type Retry = 'no' | 'retriable' | 'refresh';

type Row = readonly [code: number, retry: Retry, message: string];

const table = {
  UNKNOWN_SERVER_ERROR: [-1, 'no', 'The server experienced an unexpected error when processing the request.'],
  NONE: [0, 'no', ''],
  OFFSET_OUT_OF_RANGE: [1, 'no', 'The requested offset is not within the range of offsets maintained by the server.'],
  CORRUPT_MESSAGE: [
    2,
    'retriable',
    'This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is otherwise corrupt.',
  ],
  UNKNOWN_TOPIC_OR_PARTITION: [3, 'refresh', 'This server does not host this topic-partition.'],
  INVALID_FETCH_SIZE: [4, 'no', 'The requested fetch size is invalid.'],
  LEADER_NOT_AVAILABLE: [5, 'refresh', 'There is no leader for this topic-partition as we are in the middle of a leadership election.'],
  NOT_LEADER_OR_FOLLOWER: [6, 'refresh', 'For requests intended only for the leader, this error indicates that the broker is not the current leader.'],
  REQUEST_TIMED_OUT: [7, 'retriable', 'The request timed out.'],
  BROKER_NOT_AVAILABLE: [8, 'no', 'The broker is not available.'],
  REPLICA_NOT_AVAILABLE: [9, 'refresh', 'The replica is not available for the requested topic-partition.'],
  MESSAGE_TOO_LARGE: [10, 'no', 'The request included a message larger than the max message size the server will accept.'],
  STALE_CONTROLLER_EPOCH: [11, 'no', 'The controller moved to another broker.'],
  OFFSET_METADATA_TOO_LARGE: [12, 'no', 'The metadata field of the offset request was too large.'],
  NETWORK_EXCEPTION: [13, 'refresh', 'The server disconnected before a response was received.'],
  COORDINATOR_LOAD_IN_PROGRESS: [14, 'retriable', "The coordinator is loading and hence can't process requests."],
  COORDINATOR_NOT_AVAILABLE: [15, 'refresh', 'The coordinator is not available.'],
  NOT_COORDINATOR: [16, 'refresh', 'This is not the correct coordinator.'],
  INVALID_TOPIC_EXCEPTION: [17, 'no', 'The request attempted to perform an operation on an invalid topic.'],
  RECORD_LIST_TOO_LARGE: [18, 'no', 'The request included message batch larger than the configured segment size on the server.'],
  NOT_ENOUGH_REPLICAS: [19, 'retriable', 'Messages are rejected since there are fewer in-sync replicas than required.'],
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: [20, 'retriable', 'Messages are written to the log, but to fewer in-sync replicas than required.'],
  INVALID_REQUIRED_ACKS: [21, 'no', 'Produce request specified an invalid value for required acks.'],
  ILLEGAL_GENERATION: [22, 'no', 'Specified group generation id is not valid.'],
  INCONSISTENT_GROUP_PROTOCOL: [
    23,
    'no',
    "The group member's supported protocols are incompatible with those of existing members or first group member tried to join with empty protocol type or empty protocol list.",
  ],
  INVALID_GROUP_ID: [24, 'no', 'The group id is invalid.'],
  UNKNOWN_MEMBER_ID: [25, 'no', 'The coordinator is not aware of this member.'],
  INVALID_SESSION_TIMEOUT: [
    26,
    'no',
    'The session timeout is not within the range allowed by the broker (as configured by group.min.session.timeout.ms and group.max.session.timeout.ms).',
  ],
  REBALANCE_IN_PROGRESS: [27, 'no', 'The group is rebalancing, so a rejoin is needed.'],
  INVALID_COMMIT_OFFSET_SIZE: [28, 'no', 'The committing offset data size is not valid.'],
  TOPIC_AUTHORIZATION_FAILED: [29, 'no', 'Topic authorization failed.'],
  GROUP_AUTHORIZATION_FAILED: [30, 'no', 'Group authorization failed.'],
  CLUSTER_AUTHORIZATION_FAILED: [31, 'no', 'Cluster authorization failed.'],
  INVALID_TIMESTAMP: [32, 'no', 'The timestamp of the message is out of acceptable range.'],
  UNSUPPORTED_SASL_MECHANISM: [33, 'no', 'The broker does not support the requested SASL mechanism.'],
  ILLEGAL_SASL_STATE: [34, 'no', 'Request is not valid given the current SASL state.'],
  UNSUPPORTED_VERSION: [35, 'no', 'The version of API is not supported.'],
  TOPIC_ALREADY_EXISTS: [36, 'no', 'Topic with this name already exists.'],
  INVALID_PARTITIONS: [37, 'no', 'Number of partitions is below 1.'],
  INVALID_REPLICATION_FACTOR: [38, 'no', 'Replication factor is below 1 or larger than the number of available brokers.'],
  INVALID_REPLICA_ASSIGNMENT: [39, 'no', 'Replica assignment is invalid.'],
  INVALID_CONFIG: [40, 'no', 'Configuration is invalid.'],
  NOT_CONTROLLER: [41, 'retriable', 'This is not the correct controller for this cluster.'],
  INVALID_REQUEST: [
    42,
    'no',
    'This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.',
  ],
  UNSUPPORTED_FOR_MESSAGE_FORMAT: [43, 'no', 'The message format version on the broker does not support the request.'],
  POLICY_VIOLATION: [44, 'no', 'Request parameters do not satisfy the configured policy.'],
  OUT_OF_ORDER_SEQUENCE_NUMBER: [45, 'no', 'The broker received an out of order sequence number.'],
  DUPLICATE_SEQUENCE_NUMBER: [46, 'no', 'The broker received a duplicate sequence number.'],
  INVALID_PRODUCER_EPOCH: [47, 'no', 'Producer attempted to produce with an old epoch.'],
  INVALID_TXN_STATE: [48, 'no', 'The producer attempted a transactional operation in an invalid state.'],
  INVALID_PRODUCER_ID_MAPPING: [49, 'no', 'The producer attempted to use a producer id which is not currently assigned to its transactional id.'],
  INVALID_TRANSACTION_TIMEOUT: [
    50,
    'no',
    'The transaction timeout is larger than the maximum value allowed by the broker (as configured by transaction.max.timeout.ms).',
  ],
  CONCURRENT_TRANSACTIONS: [
    51,
    'retriable',
    'The producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing.',
  ],
  TRANSACTION_COORDINATOR_FENCED: [
    52,
    'no',
    'Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current coordinator for a given producer.',
  ],
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: [53, 'no', 'Transactional Id authorization failed.'],
  SECURITY_DISABLED: [54, 'no', 'Security features are disabled.'],
  OPERATION_NOT_ATTEMPTED: [
    55,
    'no',
    'The broker did not attempt to execute this operation. This may happen for batched RPCs where some operations in the batch failed, causing the broker to respond without trying the rest.',
  ],
  KAFKA_STORAGE_ERROR: [56, 'refresh', 'Disk error when trying to access log file on the disk.'],
  LOG_DIR_NOT_FOUND: [57, 'no', 'The user-specified log directory is not found in the broker config.'],
  SASL_AUTHENTICATION_FAILED: [58, 'no', 'SASL Authentication failed.'],
  UNKNOWN_PRODUCER_ID: [59, 'no', 'The broker could not locate the producer metadata associated with the producer id.'],
  REASSIGNMENT_IN_PROGRESS: [60, 'no', 'A partition reassignment is in progress.'],
  DELEGATION_TOKEN_AUTH_DISABLED: [61, 'no', 'Delegation Token feature is not enabled.'],
  DELEGATION_TOKEN_NOT_FOUND: [62, 'no', 'Delegation Token is not found on server.'],
  DELEGATION_TOKEN_OWNER_MISMATCH: [63, 'no', 'Specified Principal is not valid Owner/Renewer.'],
  DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: [
    64,
    'no',
    'Delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on delegation token authenticated channels.',
  ],
  DELEGATION_TOKEN_AUTHORIZATION_FAILED: [65, 'no', 'Delegation Token authorization failed.'],
  DELEGATION_TOKEN_EXPIRED: [66, 'no', 'Delegation Token is expired.'],
  INVALID_PRINCIPAL_TYPE: [67, 'no', 'Supplied principalType is not supported.'],
  NON_EMPTY_GROUP: [68, 'no', 'The group is not empty.'],
  GROUP_ID_NOT_FOUND: [69, 'no', 'The group id does not exist.'],
  FETCH_SESSION_ID_NOT_FOUND: [70, 'retriable', 'The fetch session ID was not found.'],
  INVALID_FETCH_SESSION_EPOCH: [71, 'retriable', 'The fetch session epoch is invalid.'],
  LISTENER_NOT_FOUND: [72, 'refresh', 'There is no listener on the leader broker that matches the listener on which metadata request was processed.'],
  TOPIC_DELETION_DISABLED: [73, 'no', 'Topic deletion is disabled.'],
  FENCED_LEADER_EPOCH: [74, 'refresh', 'The leader epoch in the request is older than the epoch on the broker.'],
  UNKNOWN_LEADER_EPOCH: [75, 'retriable', 'The leader epoch in the request is newer than the epoch on the broker.'],
  UNSUPPORTED_COMPRESSION_TYPE: [76, 'no', 'The requesting client does not support the compression type of given partition.'],
  STALE_BROKER_EPOCH: [77, 'no', 'Broker epoch has changed.'],
  OFFSET_NOT_AVAILABLE: [
    78,
    'retriable',
    'The leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing.',
  ],
  MEMBER_ID_REQUIRED: [79, 'no', 'The group member needs to have a valid member id before actually entering a consumer group.'],
  PREFERRED_LEADER_NOT_AVAILABLE: [80, 'refresh', 'The preferred leader was not available.'],
  GROUP_MAX_SIZE_REACHED: [81, 'no', 'The consumer group has reached its max size.'],
  FENCED_INSTANCE_ID: [
    82,
    'no',
    'The broker rejected this static consumer since another consumer with the same group.instance.id has registered with a different member.id.',
  ],
  ELIGIBLE_LEADERS_NOT_AVAILABLE: [83, 'refresh', 'Eligible topic partition leaders are not available.'],
  ELECTION_NOT_NEEDED: [84, 'refresh', 'Leader election not needed for topic partition.'],
  NO_REASSIGNMENT_IN_PROGRESS: [85, 'no', 'No partition reassignment is in progress.'],
  GROUP_SUBSCRIBED_TO_TOPIC: [86, 'no', 'Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.'],
  INVALID_RECORD: [87, 'no', 'This record has failed the validation on broker and hence will be rejected.'],
  UNSTABLE_OFFSET_COMMIT: [88, 'retriable', 'There are unstable offsets that need to be cleared.'],
  THROTTLING_QUOTA_EXCEEDED: [89, 'retriable', 'The throttling quota has been exceeded.'],
  PRODUCER_FENCED: [90, 'no', 'There is a newer producer with the same transactionalId which fences the current one.'],
  RESOURCE_NOT_FOUND: [91, 'no', 'A request illegally referred to a resource that does not exist.'],
  DUPLICATE_RESOURCE: [92, 'no', 'A request illegally referred to the same resource twice.'],
  UNACCEPTABLE_CREDENTIAL: [93, 'no', 'Requested credential would not meet criteria for acceptability.'],
  INCONSISTENT_VOTER_SET: [94, 'no', 'Indicates that the either the sender or recipient of a voter-only request is not one of the expected voters.'],
  INVALID_UPDATE_VERSION: [95, 'no', 'The given update version was invalid.'],
  FEATURE_UPDATE_FAILED: [96, 'no', 'Unable to update finalized features due to an unexpected server error.'],
  PRINCIPAL_DESERIALIZATION_FAILURE: [97, 'no', 'Request principal deserialization failed during forwarding.'],
  SNAPSHOT_NOT_FOUND: [98, 'no', 'Requested snapshot was not found.'],
  POSITION_OUT_OF_RANGE: [99, 'no', 'Requested position is not greater than or equal to zero, and less than the size of the snapshot.'],
  UNKNOWN_TOPIC_ID: [100, 'refresh', 'This server does not host this topic ID.'],
  DUPLICATE_BROKER_REGISTRATION: [101, 'no', 'This broker ID is already in use.'],
  BROKER_ID_NOT_REGISTERED: [102, 'no', 'The given broker ID was not registered.'],
  INCONSISTENT_TOPIC_ID: [103, 'refresh', "The log's topic ID did not match the topic ID in the request."],
  INCONSISTENT_CLUSTER_ID: [104, 'no', 'The clusterId in the request does not match that found on the server.'],
  TRANSACTIONAL_ID_NOT_FOUND: [105, 'no', 'The transactionalId could not be found.'],
  FETCH_SESSION_TOPIC_ID_ERROR: [106, 'retriable', 'The fetch session encountered inconsistent topic ID usage.'],
  INELIGIBLE_REPLICA: [107, 'no', 'The new ISR contains at least one ineligible replica.'],
  NEW_LEADER_ELECTED: [108, 'no', 'The AlterPartition request successfully updated the partition state but the leader has changed.'],
  OFFSET_MOVED_TO_TIERED_STORAGE: [109, 'no', 'The requested offset is moved to tiered storage.'],
  FENCED_MEMBER_EPOCH: [110, 'no', 'The member epoch is fenced by the group coordinator. The member must abandon all its partitions and rejoin.'],
  UNRELEASED_INSTANCE_ID: [111, 'no', 'The instance ID is still used by another member in the consumer group. That member must leave first.'],
  UNSUPPORTED_ASSIGNOR: [112, 'no', 'The assignor or its version range is not supported by the consumer group.'],
  STALE_MEMBER_EPOCH: [
    113,
    'no',
    'The member epoch is stale. The member must retry after receiving its updated member epoch via the ConsumerGroupHeartbeat API.',
  ],
  MISMATCHED_ENDPOINT_TYPE: [114, 'no', 'The request was sent to an endpoint of the wrong type.'],
  UNSUPPORTED_ENDPOINT_TYPE: [115, 'no', 'This endpoint type is not supported yet.'],
  UNKNOWN_CONTROLLER_ID: [116, 'no', 'This controller ID is not known.'],
  UNKNOWN_SUBSCRIPTION_ID: [117, 'no', 'Client sent a push telemetry request with an invalid or outdated subscription ID.'],
  TELEMETRY_TOO_LARGE: [118, 'no', 'Client sent a push telemetry request larger than the maximum size the broker will accept.'],
  INVALID_REGISTRATION: [119, 'no', 'The controller has considered the broker registration to be invalid.'],
  TRANSACTION_ABORTABLE: [
    120,
    'no',
    'The server encountered an error with the transaction. The client can abort the transaction to continue using this transactional ID.',
  ],
  INVALID_RECORD_STATE: [121, 'no', 'The record state is invalid. The acknowledgement of delivery could not be completed.'],
  SHARE_SESSION_NOT_FOUND: [122, 'retriable', 'The share session was not found.'],
  INVALID_SHARE_SESSION_EPOCH: [123, 'retriable', 'The share session epoch is invalid.'],
  FENCED_STATE_EPOCH: [124, 'no', 'The share coordinator rejected the request because the share-group state epoch did not match.'],
  INVALID_VOTER_KEY: [125, 'no', "The voter key doesn't match the receiving replica's key."],
  DUPLICATE_VOTER: [126, 'no', 'The voter is already part of the set of voters.'],
  VOTER_NOT_FOUND: [127, 'no', 'The voter is not part of the set of voters.'],
  INVALID_REGULAR_EXPRESSION: [128, 'no', 'The regular expression is not valid.'],
  REBOOTSTRAP_REQUIRED: [129, 'no', 'Client metadata is stale. The client should rebootstrap to obtain new metadata.'],
} as const satisfies Record<string, Row>;

export type ErrorName = keyof typeof table;

const rows = Object.entries(table) as [ErrorName, Row][];

/** Code by name: `ErrorCode.UNKNOWN_TOPIC_OR_PARTITION` is 3. */
export const ErrorCode = Object.fromEntries(rows.map(([name, [code]]) => [name, code])) as { readonly [N in ErrorName]: (typeof table)[N][0] };

const byCode = new Map(rows.map(([name, [code, retry, message]]) => [code, { name, retry, message }]));

/** The name of a code; codes that we do not know are shown as numbers. */
export function errorName(code: number): string {
  return byCode.get(code)?.name ?? `error ${code}`;
}

/** Kafka's text for a code, one or two sentences; empty for 0. */
export function errorMessage(code: number): string {
  return byCode.get(code)?.message ?? `The server answered error code ${code}, which this version does not know.`;
}

/** True if the same request may succeed later. */
export function isRetriable(code: number): boolean {
  return (byCode.get(code)?.retry ?? 'no') !== 'no';
}

/** True if a client should ask for metadata before it tries again. */
export function needsRefresh(code: number): boolean {
  return byCode.get(code)?.retry === 'refresh';
}
