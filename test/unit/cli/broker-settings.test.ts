/** server.properties with its overrides, as the broker's programs read it. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadBrokerSettings } from '../../../src/cli/broker-settings.ts';
import type { Logger } from '../../../src/lib/log.ts';

let dir: string;
let said: string[];
const hear = (text: string): void => void said.push(text);
const log = { info: hear, warn: hear, error: hear } as unknown as Logger;
beforeEach(() => {
  said = [];
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-settings-'));
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

function file(text: string): string {
  const name = path.join(dir, 'server.properties');
  fs.writeFileSync(name, text);
  return name;
}

test('--override wins over the file, the last one over those before, and is checked like the file', async () => {
  const name = file('broker.id=1\nnum.partitions=2\nlog.dirs=/a\n');
  const settings = await loadBrokerSettings(name, ['num.partitions=3', 'log.dirs=/b,/c', 'num.partitions = 4', 'sasl.jaas.config=x y="a=b";'], log);
  expect(settings.own).toMatchObject({ 'broker.id': 1, 'num.partitions': 4, 'log.dirs': ['/b', '/c'], 'sasl.jaas.config': 'x y="a=b";' });
  await expect(loadBrokerSettings(name, ['num.partitions=many'], log)).rejects.toThrow(/num\.partitions/);
  await expect(loadBrokerSettings(name, ['num.partitions'], log)).rejects.toThrow('--override num.partitions is not key=value');
});

test('what is not needed, unknown or clamped is said once, with its line', async () => {
  await loadBrokerSettings(file('zookeeper.connect=a:2181\nnum.io.threads=8\nbroker.idd=1\ndefault.replication.factor=3\n'), [], log);
  expect(said).toHaveLength(3);
  expect(said.filter((line) => /accepted, not needed here: zookeeper\.connect .*num\.io\.threads/.test(line))).toHaveLength(1);
  expect(said.some((line) => /server\.properties:3: no setting "broker\.idd"/.test(line))).toBe(true);
  expect(said.some((line) => /server\.properties:4: default\.replication\.factor=3 is taken as 1.*use a Kafka cluster/.test(line))).toBe(true);
});

test('a file that is not there is named', async () => {
  await expect(loadBrokerSettings(path.join(dir, 'nowhere.properties'), [], log)).rejects.toThrow(/cannot read .*nowhere\.properties/);
});
