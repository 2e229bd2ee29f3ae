import { expect, it } from 'vitest';
import { mergeFiles } from '../../../../src/agent/config/table.ts';
import { propertiesText } from '../../../../src/agent/config/write-back.ts';

it('what is written back reads the same, in the same order', () => {
  const table = new Map(
    Object.entries({
      'a1.sources': 'r1 r2',
      'b1.sources': 'x',
      'a1.sources.r1.ignorePattern': '^(.)*\\.tmp$',
      'a1.sources.r1.prefix': '中文 = : # !',
      'key with blank=x': 'v',
      'a1.sinks.k1.tab': 'a\tb',
      'a1.sinks.k1.flag': 'true',
      'a1.sinks.k1.number': '007',
    }).map(([key, value]) => [key, { value }]),
  );
  const read = mergeFiles([{ file: 'f', bytes: Buffer.from(propertiesText(table)) }]);
  expect(read.findings).toEqual([]);
  expect([...read.table].map(([key, { value }]) => [key, value])).toEqual([...table].map(([key, { value }]) => [key, value]));
});
