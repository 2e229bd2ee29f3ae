/**
 * Rules for sink groups. As in Flume a group whose processor cannot run takes its sinks with it (a standby must not
 * deliver as if it were the active one), while sinks of a group that merely has no members run alone.
 * Flume: FlumeConfiguration.validateGroups, DefaultSinkProcessor, LoadBalancingSinkProcessor, FailoverSinkProcessor.
 */
import { nearest } from '../../lib/suggest.ts';
import { type DraftAgent, type DraftGroup, type DraftSink, remark, runs } from './draft.ts';

export function checkGroups(agent: DraftAgent): void {
  const owner = new Map<string, DraftGroup>();
  for (const group of agent.groups.values()) {
    if (!group.hasSinks) {
      const fix = `add ${group.prefix}sinks = ${[...agent.sinks.keys()].join(' ') || 'k1 k2'}`;
      remark(group, { code: 'group-without-sinks', severity: 'error', message: 'has no "sinks"; its sinks run alone (Flume does not start at all)', fix });
      continue;
    }
    const written = group.sinks.length;
    group.sinks = group.sinks.filter((name) => keepMember(name, group, owner, agent));
    for (const name of group.sinks) owner.set(name, group);
    if (group.sinks.length === 0) {
      remark(group, {
        code: 'empty-group',
        severity: 'error',
        message: 'none of its sinks can run here',
        fix: 'correct its sinks, or delete the group',
        where: group.sinksWhere,
      });
      continue;
    }
    group.findings.push(...group.processor.findings);
    checkProcessor(group, written);
    if (!runs(group)) leaveSinksOut(group, agent);
  }
}

function keepMember(name: string, group: DraftGroup, owner: ReadonlyMap<string, DraftGroup>, agent: DraftAgent): boolean {
  const taken = owner.get(name);
  if (taken !== undefined) {
    const message = `sink ${name} is in group ${taken.name} already and stays there`;
    remark(group, { code: 'sink-in-two-groups', severity: 'warning', message, fix: `take ${name} out of one of the groups`, where: group.sinksWhere });
    return false;
  }
  const sink = agent.sinks.get(name);
  if (runs(sink)) return true;
  if (name.includes(',')) return false;
  const meant = sink === undefined ? nearest(name, agent.sinks.keys()) : undefined;
  const fix = sink !== undefined ? `correct sink ${name}` : meant !== undefined ? `did you mean ${meant}?` : `add ${name} to ${agent.name}.sinks`;
  const message = sink === undefined ? `sink ${name} does not exist; the group goes on without it` : `sink ${name} cannot run; the group goes on without it`;
  remark(group, { code: 'unknown-sink', severity: 'warning', message, fix, where: group.sinksWhere });
  return false;
}

function checkProcessor(group: DraftGroup, written: number): void {
  const { processor } = group;
  if (processor.spec === undefined) return;
  const size = group.sinks.length;
  if (!group.processorWritten) {
    const severity = size > 1 ? 'error' : 'warning';
    const message = `"processor.type" is missing${size > 1 ? ', and the default processor serves one sink only' : '; taken as "default"'} (Flume loses the group and its sinks)`;
    remark(group, { code: 'missing-processor-type', severity, message, fix: `add ${group.prefix}processor.type = failover, or load_balance` });
  } else if (processor.spec.type === 'default' && size > 1) {
    const fix = `set ${group.prefix}processor.type to failover or load_balance, or delete the group: its sinks then run alone`;
    remark(group, { code: 'group-size', severity: 'error', message: `the default processor serves one sink, not ${size}`, fix, where: processor.where });
  } else if (processor.spec.type === 'load_balance' && size < 2) {
    const why = written > size ? ` (${size} of ${written} can run)` : '';
    remark(group, {
      code: 'group-size',
      severity: 'error',
      message: `load_balance needs at least two sinks${why}`,
      fix: 'add a sink, or delete the group: the sink then runs alone',
      where: processor.where,
    });
  }
  if (processor.spec.type === 'failover') checkPriorities(group);
}

/** Priorities are keyed by sink, which only the group knows; that two are equal the processor says itself. */
function checkPriorities(group: DraftGroup): void {
  for (const [key, { value, where }] of Object.entries(group.processor.raw)) {
    if (!key.startsWith('priority.')) continue;
    const sink = key.slice('priority.'.length);
    if (!group.sinks.includes(sink)) {
      const meant = nearest(sink, group.sinks);
      const fix = meant === undefined ? 'delete the line, or add the sink to the group' : `did you mean ${meant}?`;
      remark(group, { code: 'unknown-sink', severity: 'warning', message: `"${key}" names no sink of the group`, fix, where });
    } else if (!/^[+-]?\d+$/.test(value)) {
      const message = `"${key}" is "${value}" but must be a whole number; the sink gets the lowest priority`;
      remark(group, { code: 'bad-value', severity: 'warning', message, fix: `correct ${group.prefix}processor.${key}`, where });
    }
  }
}

function leaveSinksOut(group: DraftGroup, agent: DraftAgent): void {
  for (const name of group.sinks) {
    const sink = agent.sinks.get(name) as DraftSink;
    const message = `belongs to group ${group.name}, which cannot run`;
    remark(sink, { code: 'group-left-out', severity: 'error', message, fix: `correct group ${group.name}, or delete it: the sink then runs alone` });
  }
}
