import { describe, expect, it } from 'vitest';
import type { RawValue } from '../../../../src/lib/props/finding.ts';
import { bool, int, list, oneOf, parseProperties, rest, secret, text } from '../../../../src/lib/props/spec.ts';

const SPEC = {
  port: int({ required: true, min: 0, max: 65_535, doc: 'Port.' }),
  size: int({ default: 7, min: 1, lenient: true, doc: 'Size.' }),
  flag: bool({ default: false, doc: 'Flag.' }),
  mode: oneOf(['Fast', 'Safe'], { default: 'Safe', doc: 'Mode.' }),
  names: list({ doc: 'Names.', aliases: ['nameList'] }),
  password: secret({ doc: 'Password.' }),
  old: text({ doc: 'Old.', ignored: 'nothing reads it' }),
  keys: text({ doc: 'Keys.', refused: 'they are Java’s' }),
  'pass.*': rest({ doc: 'Passed on.' }),
};

function read(values: Readonly<Record<string, string>>) {
  const raw: Record<string, RawValue> = {};
  for (const [key, value] of Object.entries(values)) raw[key] = { value };
  const { config, findings, unknown } = parseProperties(SPEC, raw);
  return { config, unknown, said: findings.map(({ code, severity, key }) => `${severity} ${code} ${key ?? '-'}`), findings };
}

describe('parseProperties', () => {
  it('answers typed values and defaults', () => {
    const { config, said } = read({ port: '+80', flag: 'TRUE', mode: 'fast', names: ' a  b\tc ', 'pass.x.y': 'z' });
    expect(config).toEqual({
      port: 80,
      size: 7,
      flag: true,
      mode: 'Fast',
      names: ['a', 'b', 'c'],
      password: undefined,
      old: undefined,
      keys: undefined,
      'pass.*': { 'x.y': 'z' },
    });
    expect(said).toEqual([]);
  });

  it.each(['', ' ', '1.5', '0x10', '1e3', '65536', '-1', 'x'])('refuses "%s" as a port', (port) => {
    expect(read({ port })).toMatchObject({ config: null, said: ['error bad-value port'] });
  });

  it('says everything at once', () => {
    expect(read({ size: '0', mode: 'slow', flag: 'yes' })).toMatchObject({
      config: null,
      said: ['error missing-property -', 'warning bad-value size', 'error bad-value mode'],
    });
  });

  it('takes retired names, the proper one first', () => {
    expect(read({ port: '1', nameList: 'a' })).toMatchObject({ config: { names: ['a'] }, said: ['warning retired-property nameList'] });
    expect(read({ port: '1', nameList: 'a', names: 'b' })).toMatchObject({ config: { names: ['b'] }, unknown: [] });
  });

  it('ignores or refuses a key, and what is written below it, with the reason', () => {
    expect(read({ port: '1', old: 'x', 'old.more': 'y' })).toMatchObject({
      said: ['info ignored-property old', 'info ignored-property old.more'],
      unknown: [],
    });
    for (const key of ['keys', 'keys.k1.passwordFile']) {
      const { config, findings, unknown } = read({ port: '1', [key]: 'x' });
      expect([config, unknown]).toEqual([null, []]);
      expect(findings[0]?.message).toContain('they are Java’s');
    }
  });

  it('names what nobody declared, but no prefix without a name', () => {
    expect(read({ port: '1', prot: '2', 'pass.': 'x', olden: 'x' }).unknown).toEqual(['prot', 'pass.', 'olden']);
  });
});
