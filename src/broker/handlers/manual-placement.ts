/** Replicas that a client places by hand: on one node there is one good answer, and Kafka's words for the others. */

/** What is wrong with the brokers named for one partition, in the words of Kafka's ReplicationControlManager; null if nothing is. */
export function manualPlacementError(brokerIds: readonly number[], nodeId: number): string | null {
  if (brokerIds.length === 0) return 'The manual partition assignment includes an empty replica list.';
  const unknown = [...brokerIds].sort((a, b) => a - b).find((id) => id !== nodeId);
  const where = 'The manual partition assignment includes';
  if (unknown !== undefined) return `${where} broker ${unknown}, but no such broker is registered.`;
  return brokerIds.length > 1 ? `${where} the broker ${nodeId} more than once.` : null;
}
