/**
 * Users must not notice that this broker is not Kafka: the same requests go to a real Kafka 3.9.1 and to ours, at the lowest,
 * a middle and the highest version of every API that both have, the good cases and the odd ones, and the decoded answers are
 * compared leaf by leaf. Part of `npm run proof`, where the real Kafka is at hand (MILLRACE_PEERS).
 */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../integration/agent-process.ts';
import { PROOF, TestBroker } from '../integration/broker-harness.ts';
import { accessCases } from './protocol-access.ts';
import { ALLOWED, type Allowed, allowedBy } from './protocol-allowed.ts';
import { configCases } from './protocol-configs.ts';
import { firstCases, groupCases } from './protocol-groups.ts';
import { memberCases } from './protocol-members.ts';
import { Pair } from './protocol-pair.ts';
import { recordCases } from './protocol-records.ts';
import { topicCases } from './protocol-topics.ts';
import { transactionCases } from './protocol-transactions.ts';
import { NEEDS_KAFKA, realKafka } from './real-kafka.ts';

const canStart = realKafka !== null && path.basename(realKafka.script) === 'kafka';
const why = !canStart ? ` (${NEEDS_KAFKA})` : PROOF ? '' : ' (in npm run proof)';

/** What both are told. */
const SAME = {
  'offsets.topic.num.partitions': '3',
  'transaction.state.log.num.partitions': '3',
  'group.initial.rebalance.delay.ms': '0',
};
const GUARDED = { 'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer', 'super.users': 'User:ANONYMOUS' };

const used = new Set<Allowed>();
let compared = 0;

/** One Kafka, one of ours, and what is asked of both. */
function compare(settings: Readonly<Record<string, string>>, suites: readonly Readonly<Record<string, (pair: Pair) => Promise<void>>>[]): void {
  let pair: Pair;
  let ours: TestBroker;
  const kafka = (...words: string[]): string => {
    const extra = Object.entries({ ...SAME, 'group.coordinator.rebalance.protocols': 'classic,consumer', ...settings });
    const env = { ...process.env, BROKER_HEAP_OPTS: '-Xmx384M', KAFKA_EXTRA: extra.map((pairOf) => pairOf.join('=')).join('\n') };
    return execFileSync(realKafka!.script, words, { env, stdio: ['ignore', 'pipe', 'ignore'] }).toString();
  };
  beforeAll(async () => {
    const port = await freePort();
    kafka('start', `${port}`);
    ours = await TestBroker.start({ 'node.id': '1', 'broker.id': '1', ...SAME, ...settings });
    pair = new Pair(ours.port, port);
    await pair.negotiate();
  }, 120_000);
  afterAll(async () => {
    await pair?.close();
    await ours?.end();
    kafka('stop');
  }, 60_000);
  for (const [name, ask] of suites.flatMap((suite) => Object.entries(suite))) {
    it(name, { timeout: 120_000 }, async () => {
      const [before, asked] = [pair.differences.length, pair.compared];
      await ask(pair);
      compared += pair.compared - asked;
      const left = [];
      for (const one of pair.differences.slice(before)) {
        const entry = allowedBy(one);
        if (entry) used.add(entry);
        else left.push(`${one.request} ${one.path}: ours ${one.ours}, Kafka ${one.real}`);
      }
      expect(left).toEqual([]);
    });
  }
}

describe.runIf(PROOF && canStart)(`the answers of Kafka and ours${why}`, () => {
  describe('without an authorizer', () =>
    compare({}, [firstCases, topicCases, configCases, recordCases, groupCases, memberCases, transactionCases, accessCases]));
  describe('with an authorizer', () => compare(GUARDED, [{ acls: accessCases.acls }]));
  it('compared many, and every allowed difference is still there', () => {
    console.log(`${compared} requests compared, ${ALLOWED.length} kinds of differences allowed`);
    expect(compared).toBeGreaterThan(1500);
    expect(ALLOWED.filter((entry) => !used.has(entry)).map(({ where }) => String(where))).toEqual([]);
  });
});
