/**
 * Clients that use the new consumer protocol (`group.protocol=consumer`, KIP-848): Java from 3.9 on, librdkafka from 2.12 on.
 * As in other-clients.test.ts they run in `npm run proof` only, where they are fetched.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROOF, TestBroker, tempDir } from '../integration/broker-harness.ts';
import { compileJava, completed, type Ended, jars, python, run } from './fetched.ts';

/** Members call often, so that the test need not wait for them. */
const SETTINGS = { 'group.consumer.heartbeat.interval.ms': '300', 'group.consumer.min.heartbeat.interval.ms': '300' };

let broker: TestBroker;
let scratch: string;
beforeAll(async () => {
  broker = await TestBroker.start(SETTINGS);
  scratch = tempDir('new-groups');
});
afterAll(async () => {
  await broker.end();
  fs.rmSync(scratch, { recursive: true, force: true });
});

const scenarios = (ended: Ended): string[] => completed(ended, broker.said);

const found = <T>(look: () => T | null): T | null => (PROOF ? look() : null);
const JAVA = [
  'commitSync, auto commit, seek',
  'group of two, one leaves: uniform',
  'group of two, one leaves: range',
  'static members',
  'new partitions',
  'subscribe, unsubscribe',
  'offsets in a transaction',
  'admin: describe, list, delete',
  'from one protocol to the other',
];

for (const version of ['3.9.1', '4.1.0']) {
  const dir = found(() => jars('kafka-clients', version));
  describe.runIf(dir)(`kafka-clients ${version} (Java; needs a JDK and Maven, in npm run proof)`, () => {
    test('group.protocol=consumer', async () => {
      const classes = await compileJava(['Tutorial', 'NewGroups'], dir!, path.join(scratch, version));
      const ended = await run('java', ['-cp', classes, 'NewGroups', broker.address, `new-${version}-`]);
      expect(scenarios(ended)).toEqual(version.startsWith('3.') ? JAVA : [...JAVA, 'regular expressions']);
    });

    test('from one protocol to the other and back, member by member', async () => {
      const classes = await compileJava(['Tutorial', 'Rolling'], dir!, path.join(scratch, `rolling-${version}`));
      const ended = await run('java', ['-cp', classes, 'Rolling', broker.address, `rolling-${version}-`]);
      expect(scenarios(ended)).toEqual(['default', 'eager', 'cooperative'].map((how) => `member by member to the new protocol and back: ${how}`));
    });
  });
}

const confluent = found(() => python('confluent-kafka', ['confluent-kafka==2.16.1']));
test.runIf(confluent)('confluent-kafka 2.16.1 with group.protocol=consumer (Python; in npm run proof)', async () => {
  const driver = path.join(import.meta.dirname, 'python', 'confluent_groups_driver.py');
  expect(scenarios(await run(confluent!, [driver, broker.address]))).toHaveLength(5);
});
