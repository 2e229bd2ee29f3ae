import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { crc32, crc32c, crc32cTable, crc32Table } from '../../../src/lib/crc32c.ts';

const check = Buffer.from('123456789');

/** The definition, one bit at a time. */
function bitwise(polynomial: number, data: Buffer): number {
  let crc = -1;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
  }
  return ~crc >>> 0;
}

test('the published check values', () => {
  expect(crc32c(check).toString(16)).toBe('e3069283');
  expect(crc32(check).toString(16)).toBe('cbf43926');
  expect(crc32c(Buffer.alloc(0))).toBe(0);
  expect(crc32c(Buffer.alloc(32)).toString(16)).toBe('8a9136aa'); // RFC 3720 B.4
  expect(crc32c(Buffer.alloc(32, 0xff)).toString(16)).toBe('62a8ab43');
});

test('every length around the slicing and the native threshold agrees with the definition', () => {
  for (let n = 0; n < 600; n++) {
    const data = randomBytes(n);
    const expected = bitwise(0x82f63b78, data);
    expect(crc32cTable(data)).toBe(expected);
    expect(crc32c(data)).toBe(expected);
    const ieee = bitwise(0xedb88320, data);
    expect(crc32Table(data)).toBe(ieee);
    expect(crc32(data)).toBe(ieee);
  }
});

test('a range of a larger buffer', () => {
  const data = randomBytes(2000);
  expect(crc32c(data, 13, 1700)).toBe(crc32c(Buffer.from(data.subarray(13, 1700))));
  expect(crc32(data, 13, 1700)).toBe(crc32(Buffer.from(data.subarray(13, 1700))));
  expect(crc32c(data, 13, 40)).toBe(bitwise(0x82f63b78, data.subarray(13, 40)));
});
