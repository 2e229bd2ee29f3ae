/** CRC-32C and CRC-32 by size: tables against natives, GB/s, median of 5. `npx tsx bench/micro-crc.ts` */
import { randomBytes } from 'node:crypto';
import { crc32, crc32c, crc32cTable, crc32Table } from '../src/lib/crc32c.ts';

function rate(work: (data: Buffer) => number, data: Buffer): number {
  const rates: number[] = [];
  for (let round = 0; round < 6; round++) {
    const until = performance.now() + 60;
    const start = performance.now();
    let bytes = 0;
    let sum = 0;
    while (performance.now() < until) {
      for (let i = 0; i < 64; i++) sum ^= work(data);
      bytes += 64 * data.length;
    }
    if (sum === 0.5) throw new Error('not reached; keeps the work from being removed');
    if (round > 0) rates.push(bytes / ((performance.now() - start) * 1e6));
  }
  return rates.sort((a, b) => a - b)[2] ?? 0;
}

for (const size of [64, 256, 1024, 16_384, 1_048_576]) {
  const data = randomBytes(size);
  const figures = { crc32c: rate(crc32c, data), crc32cTable: rate(crc32cTable, data), crc32: rate(crc32, data), crc32Table: rate(crc32Table, data) };
  const shown = Object.entries(figures).map(([name, value]) => `${name} ${value.toFixed(2)} GB/s`);
  console.log(`${size} bytes: ${shown.join(', ')}`);
  console.log(JSON.stringify({ bench: 'crc', size, ...figures }));
}
