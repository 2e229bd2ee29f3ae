import { readFileSync } from 'node:fs';
import os from 'node:os';
import { describe, expect, test } from 'vitest';
import { compileTemplate } from '../../../../src/agent/core/template.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { ConfigError, DeliveryError } from '../../../../src/lib/errors.ts';

type Case = [template: string, epochMs: number, round: [number, 'second' | 'minute' | 'hour'] | null, text: string];
/** What BucketPath of Flume 1.11 answered in zone Asia/Shanghai, with the headers below. */
const cases: Case[] = JSON.parse(readFileSync(new URL('template-cases.json', import.meta.url), 'utf8'));
const clock = new ManualClock();

test.each(cases)('%j at %d, rounded %j', (template, epochMs, round, text) => {
  const compiled = compileTemplate(template, { clock, timeZone: 'Asia/Shanghai', round: round ? { value: round[0], unit: round[1] } : undefined });
  expect(compiled.render({ timestamp: String(epochMs), a: 'A', 'a.b-c': 'D' })).toBe(text);
});

describe('time', () => {
  test.each(['%Y', '%%', '%q'])('%s needs the header timestamp', (template) => {
    const compiled = compileTemplate(template, { clock });
    expect(() => compiled.render({})).toThrow(DeliveryError);
    expect(() => compiled.render({ timestamp: 'noon' })).toThrow('timestamp=noon');
  });

  test('comes from the clock if asked', async () => {
    const own = new ManualClock(1_700_000_000_000);
    const compiled = compileTemplate('%s/%t', { clock: own, useLocalTime: true });
    expect(compiled.render({})).toBe('1700000000/1700000000000');
    await own.advance(1500);
    expect(compiled.render({ timestamp: '5' })).toBe('1700000001/1700000001500');
  });

  test('zones: fixed, with summer time, unknown', () => {
    const at = (timeZone: string, timestamp: string) => compileTemplate('%H%M%z', { clock, timeZone }).render({ timestamp });
    expect(at('GMT+8', '0')).toBe('0800+0800');
    expect(at('GMT-03:30', '0')).toBe('2030-0330');
    expect(at('Europe/Berlin', '1700000000000')).toBe('2313+0100');
    expect(at('Europe/Berlin', '1690000000000')).toBe('0626+0200');
    expect(() => at('Mars/Olympus', '0')).toThrow(ConfigError);
  });
});

test('a text without escapes is constant; %[localhost] is too', () => {
  expect(compileTemplate('plain 100%', { clock }).constant).toBe('plain 100%');
  expect(compileTemplate('on-%[LocalHost]', { clock }).constant).toBe(`on-${os.hostname()}`);
  expect(compileTemplate('%{x}', { clock }).constant).toBeUndefined();
  expect(() => compileTemplate('%[moon]', { clock })).toThrow('does not match any of (localhost,IP,FQDN)');
});
