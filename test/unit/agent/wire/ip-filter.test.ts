import { describe, expect, test } from 'vitest';
import { IpFilter } from '../../../../src/agent/wire/ip-filter.ts';

describe('ipFilterRules', () => {
  test('the first rule that matches decides, and nobody is denied without one', async () => {
    const filter = new IpFilter('allow:ip:127.*, deny:ip:10.0.?.1,allow:ip:10.*,deny:name:*');
    expect(await filter.allows('127.0.0.1')).toBe(true);
    expect(await filter.allows('::ffff:127.0.0.1')).toBe(true);
    expect(await filter.allows('10.0.3.1')).toBe(false);
    expect(await filter.allows('10.0.33.1')).toBe(true);
    expect(await new IpFilter('deny:ip:10.*').allows('192.168.0.1')).toBe(true);
    expect(await new IpFilter('deny:ip:1x7.0.0.1,deny:ip:127.0+0.1').allows('127.0.0.1')).toBe(true);
  });

  test('name:localhost is this machine', async () => {
    const filter = new IpFilter('allow:name:localhost,deny:ip:*');
    expect(await filter.allows('127.0.0.1')).toBe(true);
    expect(await filter.allows('::1')).toBe(true);
    expect(await filter.allows('203.0.113.9')).toBe(false);
  });

  test('names are asked of the name service, and an address without one stands for itself', async () => {
    expect(await new IpFilter('deny:name:local*').allows('127.0.0.1', 80)).toBe(false);
    expect(await new IpFilter('deny:name:203.0.113.*').allows('203.0.113.9', 80)).toBe(false);
  });

  test('malformed rules are refused', () => {
    for (const rule of ['allow', 'permit:ip:*', 'allow:host:*', 'allow:ip:', 'allow:ip']) expect(() => new IpFilter(rule)).toThrow('is no rule');
  });
});
