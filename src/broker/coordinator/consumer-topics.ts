/**
 * Which topics a group of the new consumer protocol reads: those its members name and those their regular expressions find,
 * as far as they exist. Looked up again when a member changes its mind or the catalog of topics has changed; what comes out
 * different is a reason to assign anew (KIP-848, "group epoch").
 */
import { OFFSETS_TOPIC, TRANSACTIONS_TOPIC } from '../storage/topics.ts';
import type { ConsumerGroup, ConsumerMember, ReadTopic } from './consumer-group.ts';
import { TopicPattern } from './topic-pattern.ts';

/** All topics there are. */
export interface TopicCatalog {
  /** Another number after every change. */
  readonly topicsVersion: number;
  readonly topics: ReadonlyMap<string, ReadTopic>;
}

type Topics = ConsumerGroup['topics'];

/** Regular expressions do not find the broker's own topics: here they are there from the start, and nobody means them by `.*`. */
const HIDDEN: ReadonlySet<string> = new Set([OFFSETS_TOPIC, TRANSACTIONS_TOPIC]);

/** Looks up what these members read; null if it is what is stored. */
export function refreshTopics(
  group: ConsumerGroup,
  members: readonly ConsumerMember[],
  catalog: TopicCatalog,
  mayDescribe: (topic: string) => boolean,
): Topics | null {
  const regexes = new Set(members.map(({ topicRegex }) => topicRegex).filter((regex) => regex !== ''));
  group.resolved = new Map([...regexes].map((regex) => [regex, topicsLike(regex, catalog).filter(mayDescribe)]));
  const topics = new Map<string, ReadTopic>();
  for (const name of namesRead(group, members)) {
    const topic = catalog.topics.get(name);
    if (topic) topics.set(name, { id: topic.id, partitions: topic.partitions });
  }
  return sameTopics(topics, group.topics) ? null : topics;
}

function topicsLike(regex: string, catalog: TopicCatalog): string[] {
  const pattern = new TopicPattern(regex);
  return [...catalog.topics.keys()].filter((name) => !HIDDEN.has(name) && pattern.matches(name));
}

function namesRead(group: ConsumerGroup, members: Iterable<ConsumerMember>): Set<string> {
  const names = new Set<string>();
  for (const { topicNames, topicRegex } of members) {
    for (const name of topicNames) names.add(name);
    for (const name of group.resolved.get(topicRegex) ?? []) names.add(name);
  }
  return names;
}

/** What is read when these members are gone; null if that stays the same, or has to wait until a member's next call looks again. */
export function topicsWithout(group: ConsumerGroup, gone: readonly ConsumerMember[]): Topics | null {
  const rest = [...group.members.values()].filter((member) => !gone.includes(member));
  if (group.refreshed === null && rest.length > 0) return null;
  const names = namesRead(group, rest);
  const topics = new Map([...group.topics].filter(([name]) => names.has(name)));
  return topics.size === group.topics.size ? null : topics;
}

function sameTopics(a: Topics, b: Topics): boolean {
  return a.size === b.size && [...a].every(([name, { id, partitions }]) => b.get(name)?.id === id && b.get(name)?.partitions === partitions);
}
