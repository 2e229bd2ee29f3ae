// `${…}` as commons-text reads it, and where we go further.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is the syntax under test
import { describe, expect, it } from 'vitest';
import { ENV_RESOLVER, type Surroundings, substitute, unresolvedFinding } from '../../../../src/agent/config/substitute.ts';
import type { Table } from '../../../../src/agent/config/table.ts';

const around = (env: Record<string, string> = {}, systemProperties: Record<string, string> = {}): Surroundings => ({
  env: { HOST: 'h1', PORT: '4444', EMPTY: '', WHICH: 'PORT', AGAIN: '${env:HOST}', ...env },
  systemProperties: { 'user.home': '/home/u', ...systemProperties },
  date: (pattern) => {
    if (pattern === 'bad') throw new Error('no such letter');
    return `<${pattern}>`;
  },
});

function table(pairs: Record<string, string>): Table {
  return new Map(Object.entries(pairs).map(([key, value], index) => [key, { value, where: { file: 'f', line: index + 1 }, lost: [] }]));
}

/** The value of `v` among the given properties. */
function value(written: string, others: Record<string, string> = {}, surroundings = around()): string | undefined {
  return substitute(table({ v: written, ...others }), surroundings).table.get('v')?.value;
}

describe('values', () => {
  it.each<[string, string | undefined]>([
    ['plain', 'plain'],
    ['${env:HOST}', 'h1'],
    ['a ${env:HOST} b ${env:PORT} c', 'a h1 b 4444 c'],
    ['${sys:user.home}/x', '/home/u/x'],
    ['${date:yyyy-MM-dd}', '<yyyy-MM-dd>'],
    ['${other}', 'o'],
    ['${a.b.c}', 'abc'],
    ['${chain}', 'h1'],
    ['${env:NONE:-d}', 'd'],
    ['${NONE:-d}', 'd'],
    ['${env:HOST:-d}', 'h1'],
    ['${NONE:-${env:HOST}}', 'h1'],
    ['${NONE:-}x', 'x'],
    ['${env:${env:WHICH}}', '4444'],
    ['${env:${sel}}', 'h1'],
    ['${env:AGAIN}', 'h1'],
    ['$${env:HOST}', '${env:HOST}'],
    ['$${x} ${env:HOST}', '${x} h1'],
    ['$$', '$$'],
    ['$x', '$x'],
    ['${}', '${}'],
    ['${env:HOST', '${env:HOST'],
    ['${a ${env:HOST}', '${a ${env:HOST}'],
    ['${env:NONE}', '${env:NONE}'],
    ['${none.at.all}', '${none.at.all}'],
    ['${unknown:thing}', '${unknown:thing}'],
    ['${HOST}', 'h1'],
    ['${ENV:HOST}', 'h1'],
    ['${a ${env:HOST}}', '${a ${env:HOST}}'],
    ['${unknown:other}', 'o'],
    ['$$${env:HOST}', '$${env:HOST}'],
    ['$${${other}}', '${o}'],
    ['${NONE:-a:-b}', 'a:-b'],
    ['${env:other}', 'o'],
    ['x${env:HOST}}', 'xh1}'],
    ["${f1['key']}", "${f1['key']}"],
  ])('%s: %s', (written, expected) => {
    expect(value(written, { other: 'o', 'a.b.c': 'abc', chain: '${link}', link: '${env:HOST}', sel: 'HOST' })).toBe(expected);
  });

  it('does not depend on the order of properties', () => {
    const one = substitute(table({ a: '${b}', b: '${c}', c: 'x' }), around()).table;
    const two = substitute(table({ c: 'x', b: '${c}', a: '${b}' }), around()).table;
    expect([one.get('a')?.value, two.get('a')?.value]).toEqual(['x', 'x']);
  });

  it('drops what becomes empty, and says so', () => {
    const { table: out, findings } = substitute(table({ v: '${env:EMPTY}' }), around());
    expect(out.has('v')).toBe(false);
    expect(findings).toMatchObject([{ code: 'empty-value', where: { line: 1 } }]);
  });

  it('leaves a value without variables untouched', () => {
    const written = table({ v: 'x' });
    expect(substitute(written, around()).table.get('v')).toBe(written.get('v'));
  });
});

describe('findings', () => {
  const findings = (pairs: Record<string, string>, surroundings = around()) => substitute(table(pairs), surroundings);

  it('a bare environment variable is a note, unless the resolver of Flume is asked for', () => {
    expect(findings({ v: '${HOST}' }).findings).toMatchObject([{ code: 'bare-environment-variable', severity: 'info' }]);
    expect(findings({ v: '${HOST}' }, around({}, { propertiesImplementation: ENV_RESOLVER })).findings).toEqual([]);
  });

  it.each([
    ['itself', { a: '${a}' }],
    ['a circle of two', { a: '${b}', b: '${a}' }],
  ])('%s', (_name, pairs) => {
    const { findings: said } = findings(pairs);
    expect(said.map((finding) => finding.code)).toContain('circular-variable');
  });

  it('an environment that refers to itself ends', () => {
    expect(findings({ v: '${env:LOOP}' }, around({ LOOP: 'x${env:LOOP}' })).findings).toMatchObject([{ code: 'circular-variable' }]);
  });

  it('a bad date pattern', () => {
    const { findings: said, unresolved } = findings({ v: '${date:bad}' });
    expect(said).toMatchObject([{ code: 'bad-date-pattern' }]);
    expect(unresolved).toHaveLength(1);
  });

  it('Java is answered by Node, with a note', () => {
    const { table: out, findings: said } = findings({ v: '${java:version}' });
    expect(out.get('v')?.value).toContain('Node.js');
    expect(said).toMatchObject([{ code: 'no-java', severity: 'info' }]);
  });

  it('knows which properties are used as variables', () => {
    expect([...findings({ v: '${other}', other: 'o', third: 't' }).referenced]).toEqual(['other']);
  });

  it('suggests a name that is near', () => {
    const written = table({ v: '${env:PROT}' });
    const [one] = substitute(written, around()).unresolved;
    expect(unresolvedFinding(one!, around(), written)).toMatchObject({
      code: 'unresolved-variable',
      severity: 'warning',
      fix: expect.stringContaining('did you mean PORT?'),
    });
  });
});
