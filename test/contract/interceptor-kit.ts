/**
 * What every interceptor must hold: it answers at once with a batch of its own or the same, keeps the order of what it
 * keeps, keeps no batch, and stands events of any shape.
 */
import { describe, expect, it } from 'vitest';
import type { Event } from '../../src/agent/core/event.ts';
import type { Interceptor } from '../../src/agent/core/interceptor.ts';

export interface InterceptorKit {
  readonly name: string;
  readonly make: () => Interceptor;
  /** An event that it lets pass, as a source would make it. Default: body `pass`. */
  readonly passing?: () => Event;
}

export function interceptorContract(kit: InterceptorKit): void {
  const passing = kit.passing ?? (() => ({ headers: {}, body: Buffer.from('pass') }));
  /** Events that pass, told apart by a header. */
  const marked = (from: number, count: number): Event[] =>
    Array.from({ length: count }, (_, i) => {
      const event = passing();
      return { headers: { ...event.headers, 'contract.mark': `${from + i}` }, body: event.body };
    });
  const marks = (batch: readonly Event[]): (string | undefined)[] => batch.map((event) => event.headers['contract.mark']);

  describe(`${kit.name}, as any interceptor,`, () => {
    it('answers an empty batch with an empty batch', () => {
      expect(kit.make().apply([])).toEqual([]);
    });

    it('keeps the order of the events it lets pass', () => {
      const out = marks(kit.make().apply(marked(0, 50))).filter((mark) => mark !== undefined);
      expect(out.length).toBeGreaterThan(0);
      expect(out).toEqual([...out].sort((a, b) => Number(a) - Number(b)));
    });

    it('keeps no batch: one does not show up in the next', () => {
      const interceptor = kit.make();
      const first = interceptor.apply(marked(0, 10));
      const kept = [...first];
      const second = interceptor.apply(marked(100, 10));
      expect(marks(second).every((mark) => mark === undefined || Number(mark) >= 100)).toBe(true);
      expect(first).toEqual(kept);
    });

    it('stands empty bodies, bytes that are not UTF-8, no headers, odd header names, and large bodies', () => {
      const odd: Event[] = [
        { headers: {}, body: Buffer.alloc(0) },
        { headers: {}, body: Buffer.from([0xff, 0xfe, 0x00, 0xc3]) },
        { headers: { '': '', constructor: 'x', 'a b': '\u0000', 键: '值' }, body: Buffer.from('pass') },
        { headers: {}, body: Buffer.alloc(1_000_000, 'a') },
      ];
      const out = kit.make().apply(odd);
      for (const event of out) {
        expect(Buffer.isBuffer(event.body)).toBe(true);
        for (const value of Object.values(event.headers)) expect(typeof value).toBe('string');
      }
    });

    it('leaves bytes of a body that others may share as they are', () => {
      const event = passing();
      const slab = Buffer.concat([Buffer.from('before'), event.body, Buffer.from('after')]);
      const copy = Buffer.from(slab);
      kit.make().apply([{ headers: event.headers, body: slab.subarray(6, 6 + event.body.length) }]);
      expect(slab.equals(copy)).toBe(true);
    });
  });
}
