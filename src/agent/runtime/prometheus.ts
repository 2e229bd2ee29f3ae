/**
 * A snapshot as Prometheus text, written by prom-client. Names as Flume's trunk has them (`Flume_<Attribute>`, label
 * `component`; counters end in `_total`), plus a label `kind`, since a source and a sink may share a name; and our own
 * `millrace_*` with status, progress, and the conservation of every flow.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { attributesOf } from './metrics.ts';
import type { AgentSnapshot } from './snapshot.ts';

/** Content type and body of one scrape. */
export interface PrometheusText {
  readonly contentType: string;
  readonly body: string;
}

/** Flume's attributes that only grow; everything else is a gauge. */
const GROWS = /(Count|Timer|Fail|Received|Accepted)$/;
const IS_GAUGE = new Set(['OpenConnectionCount', 'StartTime', 'StopTime']);

/** One scrape: a registry of its own, so nothing of components that are gone is left over. */
class Scrape {
  readonly registry = new Registry();
  readonly #made = new Map<string, Counter | Gauge>();

  counter(name: string, help: string, labels: Record<string, string>, value: number): void {
    const counter = this.#metric(name, () => new Counter({ name, help, labelNames: Object.keys(labels), registers: [this.registry] })) as Counter;
    counter.inc(labels, Math.max(0, value));
  }

  gauge(name: string, help: string, labels: Record<string, string>, value: number): void {
    const gauge = this.#metric(name, () => new Gauge({ name, help, labelNames: Object.keys(labels), registers: [this.registry] })) as Gauge;
    gauge.set(labels, value);
  }

  #metric(name: string, make: () => Counter | Gauge): Counter | Gauge {
    let metric = this.#made.get(name);
    if (!metric) {
      metric = make();
      this.#made.set(name, metric);
    }
    return metric;
  }
}

function numberOf(value: number | string): number {
  if (typeof value === 'number') return value;
  if (value === 'true') return 1;
  return value === 'false' ? 0 : Number(value);
}

function flumeAttributes(scrape: Scrape, snapshot: AgentSnapshot): void {
  for (const component of snapshot.components) {
    const labels = { component: component.name, kind: component.kind };
    for (const [name, raw] of Object.entries(attributesOf(component))) {
      const value = numberOf(raw);
      if (Number.isNaN(value)) continue;
      const key = `Flume_${name.replace(/[^A-Za-z0-9_]/g, '_')}`;
      if (GROWS.test(name) && !IS_GAUGE.has(name)) scrape.counter(`${key}_total`, `Flume attribute ${name}`, labels, value);
      else scrape.gauge(key, `Flume attribute ${name}`, labels, value);
    }
  }
}

function ownMetrics(scrape: Scrape, snapshot: AgentSnapshot): void {
  scrape.gauge('millrace_agent_status', '1 for the status the agent has', { status: snapshot.status }, 1);
  scrape.gauge('millrace_agent_start_time_seconds', 'When the agent started', {}, snapshot.startedAt / 1000);
  scrape.gauge('millrace_definition_applied_time_seconds', 'When the running definition was applied', {}, snapshot.configuredAt / 1000);
  scrape.counter('millrace_reloads_total', 'Changed definitions, by what became of them', { result: 'applied' }, snapshot.reloads.applied);
  scrape.counter('millrace_reloads_total', 'Changed definitions, by what became of them', { result: 'refused' }, snapshot.reloads.refused);
  for (const component of snapshot.components) {
    const labels = { component: component.name, kind: component.kind };
    scrape.gauge('millrace_component_status', '1 for the status the component has', { ...labels, status: component.status }, 1);
    scrape.counter('millrace_component_restarts_total', 'Times the supervisor started it again', labels, component.restarts);
    scrape.gauge('millrace_component_progress_time_seconds', 'When it last stored or delivered a batch; 0 = not yet', labels, component.progressAt / 1000);
    scrape.gauge('millrace_component_failing_since_seconds', 'Since when every attempt failed; 0 = it does not', labels, component.failingSince / 1000);
  }
  for (const flow of snapshot.flows) {
    const labels = { channel: flow.channel };
    scrape.counter('millrace_flow_received_total', 'Events sources had for the channel', labels, flow.received);
    scrape.counter('millrace_flow_delivered_total', 'Events sinks took and committed', labels, flow.delivered);
    scrape.gauge('millrace_flow_in_channel', 'Events waiting or being delivered', labels, flow.inChannel);
    for (const [reason, count] of Object.entries(flow.dropped)) {
      scrape.counter('millrace_flow_dropped_total', 'Events ended on purpose, by reason', { ...labels, reason }, count);
    }
    if (flow.gap !== null) scrape.gauge('millrace_flow_gap', 'received - delivered - in channel - dropped; anything but 0 is a fault', labels, flow.gap);
  }
  for (const [source, count] of Object.entries(snapshot.unrouted)) {
    scrape.counter('millrace_unrouted_total', 'Events no channel was chosen for', { source }, count);
  }
  for (const [source, count] of Object.entries(snapshot.filtered ?? {})) {
    scrape.counter('millrace_filtered_total', 'Events interceptors took out before a channel was chosen', { source }, count);
  }
}

function processMetrics(scrape: Scrape): void {
  const { user, system } = process.cpuUsage();
  scrape.counter('process_cpu_seconds_total', 'CPU time of the agent', {}, (user + system) / 1e6);
  const memory = process.memoryUsage();
  scrape.gauge('process_resident_memory_bytes', 'Resident memory', {}, memory.rss);
  scrape.gauge('nodejs_heap_used_bytes', 'JavaScript heap in use', {}, memory.heapUsed);
  scrape.gauge('nodejs_external_memory_bytes', 'Memory of buffers', {}, memory.external);
}

/** The body of `/metrics/prometheus`. */
export async function prometheusText(snapshot: AgentSnapshot): Promise<PrometheusText> {
  const scrape = new Scrape();
  flumeAttributes(scrape, snapshot);
  ownMetrics(scrape, snapshot);
  processMetrics(scrape);
  return { contentType: scrape.registry.contentType, body: await scrape.registry.metrics() };
}
