import fs from 'node:fs';
import path from 'node:path';
import type { Sealed } from '../../src/agent/core/event.ts';
import fileRoll from '../../src/agent/sinks/file-roll.ts';
import { configOf } from './config-of.ts';
import { sinkContext } from './contexts.ts';
import { sinkContract } from './sink-kit.ts';

const asLines = () => () => ({
  write: (batch: readonly Sealed[], out: Buffer[]) => {
    for (const { body } of batch) out.push(body, Buffer.from('\n'));
  },
  supportsReopen: true,
});

sinkContract({
  name: 'file_roll',
  make: (place) => {
    const dir = path.join(place, 'out');
    fs.mkdirSync(dir);
    const config = configOf(fileRoll, { 'sink.directory': dir, 'sink.rollInterval': 0 });
    return {
      sink: fileRoll.create(config, sinkContext(undefined, asLines)),
      arrived: () => {
        const files = fs.readdirSync(dir).map((name) => path.join(dir, name));
        files.sort((a, b) => fs.statSync(a).ctimeMs - fs.statSync(b).ctimeMs || (a < b ? -1 : 1));
        return files.flatMap((file) => fs.readFileSync(file, 'utf8').split('\n').slice(0, -1));
      },
    };
  },
});
