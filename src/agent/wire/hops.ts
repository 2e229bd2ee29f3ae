/**
 * The hop counter that stops topic loops at run time. A Kafka sink that writes an event where its topic header says, and
 * which a Kafka source has read before, adds the record header `millrace.hops` = how often that happened; the Kafka
 * source that reads the record turns it into the event header of the same name, which travels along (through Avro hops
 * between agents too). An event that has made too many hops is not written once more: its last copy is in the topic.
 * Events of other flows bear no mark: neither those that come from elsewhere nor those whose topic the sink itself names.
 */

/** Event header and record header. */
export const HOPS_HEADER = 'millrace.hops';

/** How often the event was written to Kafka before; -1 = it was never read from there. */
export function hopsOf(headers: Readonly<Record<string, string>>): number {
  const hops = headers[HOPS_HEADER];
  if (hops !== undefined) return /^\d{1,9}$/.test(hops) ? Number(hops) : 0;
  // Both headers together are what a Kafka source leaves on every event it read.
  return headers.offset !== undefined && headers.partition !== undefined ? 0 : -1;
}
