// The list of faults an agent has to survive is complete only while each entry has a test by its name.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FAULTS } from '../integration/fault-rig.ts';

it('every fault of the list has tests', () => {
  const folder = new URL('../integration/', import.meta.url);
  const tests = readdirSync(folder).filter((name) => /^faults-.*\.test\.ts$/.test(name));
  const text = tests.map((name) => readFileSync(new URL(name, folder), 'utf8')).join('\n');
  expect(FAULTS.filter((name) => !text.includes(`name: '${name}'`) && !text.includes(`fault('${name}'`))).toEqual([]);
});
