/**
 * The figures of a broker in Prometheus' text format 0.0.4. Written by hand: no metric outlives its topic or group this
 * way, and the broker starts without a library. Names say unit and, for what only grows, `_total`.
 */
import type { BrokerFigures } from './metrics.ts';

type Labels = Readonly<Record<string, string | number>>;

class Text {
  readonly #lines: string[] = [];

  /** One metric with all its samples. */
  metric(name: string, help: string, samples: readonly (readonly [Labels, number])[]): void {
    const type = name.endsWith('_total') ? 'counter' : 'gauge';
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value] of samples) this.#lines.push(`${name}${labelText(labels)} ${value}`);
  }

  one(name: string, help: string, value: number): void {
    this.metric(name, help, [[{}, value]]);
  }

  finish(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}

export function prometheusText(figures: BrokerFigures): string {
  const text = new Text();
  brokerMetrics(text, figures);
  topicMetrics(text, figures);
  groupMetrics(text, figures);
  return text.finish();
}

function brokerMetrics(text: Text, figures: BrokerFigures): void {
  const { connections, requests, bytes, throttles, disk, compaction } = figures;
  text.metric('millrace_broker_info', 'Identity of the broker; always 1.', [[{ node_id: figures.nodeId, cluster_id: figures.clusterId }, 1]]);
  text.one('millrace_broker_start_time_seconds', 'When it was started, in seconds since 1970.', figures.startedAt / 1000);
  text.one('millrace_broker_memory_bytes', 'Resident memory of the process.', figures.memoryBytes);
  text.one('millrace_broker_connections', 'Open connections.', connections.open);
  text.one('millrace_broker_connections_total', 'Connections accepted.', connections.total);
  text.one('millrace_broker_waiting_connections', 'New connections that max.connections or max.connection.creation.rate keeps waiting.', connections.waiting);
  text.one('millrace_broker_delayed_connections_total', 'New connections that had to wait for these.', connections.delayed);
  text.one(
    'millrace_broker_throttled_connections_total',
    'Closed after a delay for the quota connection_creation_rate of their address.',
    connections.throttled,
  );
  text.one('millrace_broker_refused_connections_total', 'Closed for max.connections.per.ip, or because too many waited.', connections.refused);
  text.one('millrace_broker_failed_logins_total', 'SASL logins refused.', connections.failedLogins);
  text.one('millrace_broker_bad_frames_total', 'Requests that could not be read, and failed TLS handshakes.', connections.badFrames);
  text.one('millrace_broker_received_bytes_total', 'Bytes received from clients.', bytes.in);
  text.one('millrace_broker_sent_bytes_total', 'Bytes sent to clients.', bytes.out);
  text.metric(
    'millrace_broker_requests_total',
    'Answered requests.',
    requests.byApi.map(({ api, count }) => [{ api }, count]),
  );
  text.metric(
    'millrace_broker_request_seconds_total',
    'Time from request to answer, long polls included.',
    requests.byApi.map(({ api, totalMs }) => [{ api }, totalMs / 1000]),
  );
  text.one('millrace_broker_failed_requests_total', 'Requests that ended their connection.', requests.failed);
  text.one('millrace_broker_waiting_fetches', 'Long polls that wait for data now.', requests.waitingFetches);
  text.one('millrace_broker_throttles_total', 'Answers that made a client wait for its quota.', throttles.count);
  text.one('millrace_broker_throttle_seconds_total', 'Time that clients had to wait for their quotas.', throttles.totalMs / 1000);
  text.one('millrace_broker_syncs_total', 'Waits for the device (fsync, fdatasync).', disk.syncs);
  text.one('millrace_broker_sync_seconds_total', 'Time of those waits.', disk.syncMs / 1000);
  text.one('millrace_broker_longest_sync_seconds', 'The longest of them.', disk.longestSyncMs / 1000);
  text.one('millrace_broker_failed_syncs_total', 'Syncs that the device refused.', disk.failedSyncs);
  text.one('millrace_broker_damages_total', 'Places where stored bytes were damaged and put aside.', disk.damages);
  text.one('millrace_broker_compaction_rounds_total', 'Rounds of compaction.', compaction.rounds);
  text.one('millrace_broker_compaction_freed_bytes_total', 'Bytes that compaction freed.', compaction.freedBytes);
}

function topicMetrics(text: Text, { topics }: BrokerFigures): void {
  const partitions = topics.flatMap(({ topic, partitions }) => partitions.map((one) => ({ labels: { topic, partition: one.partition }, one })));
  const each = (name: string, help: string, value: (one: (typeof partitions)[number]['one']) => number): void =>
    text.metric(
      `millrace_partition_${name}`,
      help,
      partitions.map(({ labels, one }) => [labels, value(one)]),
    );
  each('size_bytes', 'Bytes of its log.', ({ sizeBytes }) => sizeBytes);
  each('segments', 'Segments of its log.', ({ segments }) => segments);
  each('log_start_offset', 'First offset that can be read.', ({ logStartOffset }) => logStartOffset);
  each('high_watermark', 'Offset of the next record.', ({ highWatermark }) => highWatermark);
  each('last_stable_offset', 'First offset of an open transaction, else the high watermark.', ({ lastStableOffset }) => lastStableOffset);
  each('appended_bytes_total', 'Bytes appended since the start of the broker.', ({ appendedBytes }) => appendedBytes);
  each('fetched_bytes_total', 'Bytes fetched since the start of the broker.', ({ fetchedBytes }) => fetchedBytes);
  each('failed', '1 while its log takes no records.', ({ failure }) => (failure === null ? 0 : 1));
}

function groupMetrics(text: Text, { groups }: BrokerFigures): void {
  text.metric(
    'millrace_group_members',
    'Members of a consumer group.',
    groups.map(({ group, state, members }) => [{ group, state }, members.length]),
  );
  const partitions = groups.flatMap(({ group, partitions }) =>
    partitions.map((one) => ({ labels: { group, topic: one.topic, partition: one.partition }, one })),
  );
  text.metric(
    'millrace_group_offset',
    'Committed offset.',
    partitions.map(({ labels, one }) => [labels, one.offset]),
  );
  text.metric(
    'millrace_group_lag_records',
    'Records behind the committed offset.',
    partitions.map(({ labels, one }) => [labels, one.lagRecords]),
  );
}
