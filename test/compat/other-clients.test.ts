/**
 * Clients of other languages against the broker, each a small program that prints `ok NAME` per scenario: Java of eight
 * versions, Python's three, Go's two, @platformatic/kafka. In `npm run proof` they are fetched (fetched.ts); elsewhere what
 * an earlier proof left is skipped as well: these take minutes. Missing ones are skipped by name.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROOF, TestBroker, tempDir } from '../integration/broker-harness.ts';
import { compileJava, completed, type Ended, goProgram, jars, npmPackages, python, run } from './fetched.ts';

let broker: TestBroker;
let scratch: string;
beforeAll(async () => {
  broker = await TestBroker.start();
  scratch = tempDir('compat');
});
afterAll(async () => {
  await broker.end();
  fs.rmSync(scratch, { recursive: true, force: true });
});

const scenarios = (ended: Ended): string[] => completed(ended, broker.said);

const found = <T>(look: () => T | null): T | null => (PROOF ? look() : null);
const TUTORIAL = ['producer acks 0, 1, all', 'auto commit', 'commitSync, seek, offsets', 'commitAsync', 'group of two, one leaves', 'codecs'];
const NEWER = ['transactions with offsets, read_committed', 'fencing', 'admin'];

for (const version of ['0.10.2.2', '1.1.1', '2.0.1', '2.2.0', '2.7.2', '3.9.1', '4.1.0']) {
  const dir = found(() => jars('kafka-clients', version));
  const hasTransactions = !version.startsWith('0.10');
  describe.runIf(dir)(`kafka-clients ${version} (Java; needs a JDK and Maven, in npm run proof)`, () => {
    test('what the tutorials do', async () => {
      const classes = await compileJava(hasTransactions ? ['Tutorial', 'Newer'] : ['Tutorial'], dir!, path.join(scratch, version));
      expect(scenarios(await run('java', ['-cp', classes, 'Tutorial', broker.address, `java-${version}-`]))).toEqual(TUTORIAL);
      if (!hasTransactions) return;
      expect(scenarios(await run('java', ['-cp', classes, 'Newer', broker.address, `java-${version}-`]))).toEqual(NEWER);
    });
  });
}

const oldest = found(() => jars('kafka-clients', '0.9.0.1'));
test.runIf(oldest)('kafka-clients 0.9.0.1 (Java; in npm run proof)', async () => {
  const classes = await compileJava(['Oldest'], oldest!, path.join(scratch, '0.9.0.1'));
  expect(scenarios(await run('java', ['-cp', classes, 'Oldest', broker.address, 'java-0.9-']))).toHaveLength(2);
});

const PYTHON: readonly (readonly [name: string, driver: string, packages: readonly string[], expected: number])[] = [
  ['kafka-python', 'kafka_python_driver', ['kafka-python==3.0.12', 'lz4', 'python-snappy', 'zstandard'], 8],
  ['aiokafka', 'aiokafka_driver', ['aiokafka==0.14.0', 'lz4', 'cramjam'], 4],
  ['confluent-kafka', 'confluent_driver', ['confluent-kafka==2.16.1'], 8],
];
for (const [name, driver, packages, expected] of PYTHON) {
  const program = found(() => python(name, packages));
  test.runIf(program)(`${packages[0]} (Python; in npm run proof)`, async () => {
    const ended = await run(program!, [path.join(import.meta.dirname, 'python', `${driver}.py`), broker.address]);
    expect(scenarios(ended)).toHaveLength(expected);
  });
}

for (const [name, label, expected] of [
  ['franz', 'franz-go 1.20.7', 8],
  ['sarama', 'sarama 1.46.3 as 0.10.2, 1.0, 2.1, 3.6 and 4.1', 10],
] as const) {
  const program = found(() => goProgram(name));
  test.runIf(program)(`${label} (Go; in npm run proof)`, async () => {
    expect(scenarios(await run(program!, [broker.address], { limitSeconds: 300 }))).toHaveLength(expected);
  });
}

const platformatic = found(() => npmPackages('platformatic', ['@platformatic/kafka@1.35.0']));
test.runIf(platformatic)('@platformatic/kafka 1.35.0 (npm; in npm run proof)', async () => {
  const driver = path.join(import.meta.dirname, 'node', 'platformatic-driver.mjs');
  expect(scenarios(await run(process.execPath, [driver, broker.address, platformatic!]))).toHaveLength(5);
});
