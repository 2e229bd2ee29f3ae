/** The interceptors that set or remove headers. */
import { isIP } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { InterceptorContext, InterceptorSpec } from '../../../../src/agent/core/define.ts';
import type { Event } from '../../../../src/agent/core/event.ts';
import host from '../../../../src/agent/interceptors/host.ts';
import removeHeader from '../../../../src/agent/interceptors/remove-header.ts';
import fixed from '../../../../src/agent/interceptors/static.ts';
import timestamp from '../../../../src/agent/interceptors/timestamp.ts';
import uuid from '../../../../src/agent/interceptors/uuid.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import type { Properties } from '../../../../src/lib/props/spec.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

const clock = new ManualClock(1_700_000_000_000);

/** Headers after the interceptor, for each event's headers before. */
function headersAfter<P extends Properties>(
  spec: InterceptorSpec<P>,
  raw: Record<string, string>,
  ...before: Record<string, string>[]
): Record<string, string>[] {
  const { config } = parseProperties(spec.properties, Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
  const interceptor = spec.create(config as NonNullable<typeof config>, { clock } as unknown as InterceptorContext);
  const batch = before.map((headers): Event => ({ headers: { ...headers }, body: Buffer.from('body') }));
  return interceptor.apply(batch).map((event) => event.headers);
}

describe('timestamp', () => {
  test('sets epoch milliseconds over what was there', () => {
    expect(headersAfter(timestamp, {}, {}, { timestamp: '1' })).toEqual([{ timestamp: '1700000000000' }, { timestamp: '1700000000000' }]);
  });
  test('headerName and preserveExisting', () => {
    expect(headersAfter(timestamp, { headerName: 'at', preserveExisting: 'true' }, { at: '1' }, {})).toEqual([{ at: '1' }, { at: '1700000000000' }]);
  });
});

describe('static', () => {
  test('keeps an existing header by default', () => {
    expect(headersAfter(fixed, { key: 'topic', value: 'b' }, { topic: 'a' }, {})).toEqual([{ topic: 'a' }, { topic: 'b' }]);
    expect(headersAfter(fixed, {}, {})).toEqual([{ key: 'value' }]);
  });
  test('preserveExisting false overwrites', () => {
    expect(headersAfter(fixed, { key: 'topic', value: 'b', preserveExisting: 'false' }, { topic: 'a' })).toEqual([{ topic: 'b' }]);
  });
});

describe('host', () => {
  test('an address by default, a name if asked', () => {
    const [address] = headersAfter(host, {}, {});
    expect(isIP(address?.host ?? '')).not.toBe(0);
    const [name] = headersAfter(host, { useIP: 'false', hostHeader: 'h' }, {});
    expect(isIP(name?.h ?? '')).toBe(0);
    expect(name?.h).not.toBe('');
  });
  test('preserveExisting', () => {
    expect(headersAfter(host, { preserveExisting: 'true' }, { host: 'x' })).toEqual([{ host: 'x' }]);
    expect(headersAfter(host, {}, { host: 'x' })[0]?.host).not.toBe('x');
  });
});

describe('uuid', () => {
  const VERSION_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  test('a version 4 id for each event, an existing one is kept', () => {
    const [a, b, c] = headersAfter(uuid, {}, {}, {}, { id: 'mine' });
    expect(a?.id).toMatch(VERSION_4);
    expect(b?.id).toMatch(VERSION_4);
    expect(a?.id).not.toBe(b?.id);
    expect(c?.id).toBe('mine');
  });
  test('headerName, prefix, preserveExisting', () => {
    const [a] = headersAfter(uuid, { headerName: 'key', prefix: 'p-', preserveExisting: 'false' }, { key: 'mine' });
    expect(a?.key?.slice(0, 2)).toBe('p-');
    expect(a?.key?.slice(2)).toMatch(VERSION_4);
  });
  test('answers to the class name', () => {
    expect(uuid.aliases).toContain('org.apache.flume.sink.solr.morphline.UUIDInterceptor$Builder');
  });
});

describe('remove_header', () => {
  const before = { a: '1', b: '2', bb: '3', c: '4' };
  test('by name', () => {
    expect(headersAfter(removeHeader, { withName: 'b' }, before)).toEqual([{ a: '1', bb: '3', c: '4' }]);
  });
  test('by list', () => {
    expect(headersAfter(removeHeader, { fromList: 'a , c' }, before)).toEqual([{ b: '2', bb: '3' }]);
    expect(headersAfter(removeHeader, { fromList: 'a;c', fromListSeparator: ';' }, before)).toEqual([{ b: '2', bb: '3' }]);
  });
  test('by pattern, on the whole name', () => {
    expect(headersAfter(removeHeader, { matching: 'b|c' }, before)).toEqual([{ a: '1', bb: '3' }]);
  });
  test('all three together, and nothing without any', () => {
    expect(headersAfter(removeHeader, { withName: 'a', fromList: 'c', matching: 'b++' }, before)).toEqual([{}]);
    expect(headersAfter(removeHeader, {}, before)).toEqual([before]);
  });
  test('a bad pattern is a finding', () => {
    expect(removeHeader.check?.({ withName: undefined, fromList: undefined, fromListSeparator: ',', matching: '(' }, {})).toMatchObject([
      { severity: 'error', key: 'matching' },
    ]);
  });
});
