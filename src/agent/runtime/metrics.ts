/**
 * A snapshot as Flume's attributes: `{"CHANNEL.c1": {"Type": "CHANNEL", "ChannelSize": "0", …}}`, every value a string as
 * Java prints it (flume-ng-core instrumentation/util/JMXPollUtil). Unlike Flume, every component is there, also netcat,
 * logger and others that have no public counters in Flume; nobody's reader minds more keys. Nor one `FLOW.c1` per channel: the
 * conservation of its events, which Flume has not.
 */
import type { AgentSnapshot, ComponentSnapshot, FlowSnapshot } from './snapshot.ts';

/** Flume's name of a component in metrics, e.g. `SOURCE.r1`. */
export function metricKey(component: ComponentSnapshot): string {
  return `${component.kind.toUpperCase()}.${component.name}`;
}

/** Percentage of a channel's capacity in use; Java's Double.MAX_VALUE when there is no bound, as Flume has it. */
export function fillPercentage(size: number, capacity: number): number {
  return capacity > 0 ? (size / capacity) * 100 : Number.MAX_VALUE;
}

/** A number as Java's Double.toString prints it: `0.0`, `60.0`, `1.0E-4`, `1.7976931348623157E308`. */
export function javaDouble(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e7) return Number.isInteger(value) ? `${value}.0` : String(value);
  const [digits = '', exponent = '0'] = value.toExponential().split('e');
  return `${digits.includes('.') ? digits : `${digits}.0`}E${Number(exponent)}`;
}

/** All attributes of one component but Type, as numbers where they are numbers; ChannelFillPercentage is a float. */
export function attributesOf(component: ComponentSnapshot): Record<string, number | string> {
  const attributes: Record<string, number | string> = { ...component.counters, ...component.extra };
  if (component.gauges) {
    const { size, capacity } = component.gauges;
    attributes.ChannelCapacity = capacity;
    attributes.ChannelSize = size;
    attributes.ChannelFillPercentage = fillPercentage(size, capacity);
  }
  return attributes;
}

/** An attribute's value as Flume's text: whole numbers plain, the one float as a Java double. */
export function attributeText(name: string, value: number | string): string {
  if (typeof value === 'string') return value;
  return name === 'ChannelFillPercentage' || !Number.isInteger(value) ? javaDouble(value) : String(value);
}

/** The body of `/metrics`. */
export function flumeMetrics(snapshot: AgentSnapshot): Record<string, Record<string, string>> {
  const all: Record<string, Record<string, string>> = {};
  for (const component of snapshot.components) {
    const texts: Record<string, string> = { Type: component.kind.toUpperCase() };
    for (const [name, value] of Object.entries(attributesOf(component))) texts[name] = attributeText(name, value);
    all[metricKey(component)] = texts;
  }
  for (const flow of snapshot.flows) all[`FLOW.${flow.channel}`] = flowTexts(flow);
  return all;
}

/** Received = Delivered + InChannel + Dropped + Gap; without Gap where others use the channel too. */
function flowTexts({ received, delivered, inChannel, dropped, gap }: FlowSnapshot): Record<string, string> {
  const reasons = Object.entries(dropped);
  return {
    Type: 'FLOW',
    Received: String(received),
    Delivered: String(delivered),
    InChannel: String(inChannel),
    Dropped: String(reasons.reduce((sum, [, count]) => sum + count, 0)),
    ...Object.fromEntries(reasons.map(([reason, count]) => [`Dropped.${reason}`, String(count)])),
    ...(gap === null ? {} : { Gap: String(gap) }),
  };
}
