import { expect, it } from 'vitest';
import { countText, findingText, wantsColour } from '../../../src/cli/finding-text.ts';
import type { Finding } from '../../../src/lib/props/finding.ts';

const findings: Finding[] = [
  {
    code: 'a',
    severity: 'warning',
    message: 'no property "checkpontDir"',
    fix: 'did you mean "checkpointDir"?',
    component: 'channel c1 (file)',
    where: { file: 'conf/x.conf', line: 14 },
  },
  { code: 'b', severity: 'error', message: 'broken', where: { file: 'conf/x.conf', line: 5 } },
];

it('puts the remedy below, in the same column', () => {
  expect(findingText(findings)).toBe(
    `conf/x.conf:14  warning  channel c1 (file): no property "checkpontDir"
                         did you mean "checkpointDir"?
conf/x.conf:5   error    broken
`,
  );
});

it('paints only the weight and the remedy', () => {
  const plain = findingText(findings, true)
    .split('\u001b')
    .map((part, index) => (index === 0 ? part : part.replace(/^\[\d+m/, '')))
    .join('');
  expect(plain).toBe(findingText(findings));
});

it.each([
  [{ isTTY: true }, {}, true],
  [{ isTTY: true }, { NO_COLOR: '1' }, false],
  [{ isTTY: true }, { TERM: 'dumb' }, false],
  [{}, {}, false],
])('colour on %j with %j: %s', (stream, env, expected) => expect(wantsColour(stream, env)).toBe(expected));

it.each([
  [[], 'nothing to say'],
  [findings, '1 error, 1 warning'],
  [[findings[0]!, findings[0]!], '2 warnings'],
])('counts', (list, expected) => expect(countText(list)).toBe(expected));
