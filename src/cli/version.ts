/** `flume-ng version`: Flume's five lines, for scripts that look at their shape. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { type Command, EXIT } from './command.ts';
import { HOME } from './component-catalog.ts';

/** The release of Flume whose behaviour this program follows. */
const FLUME_VERSION = '1.11.0';

/** Name and version from package.json. */
export function packageFacts(): { readonly name: string; readonly version: string; readonly checksum: string } {
  const text = fs.readFileSync(path.join(HOME, 'package.json'));
  const { name, version } = JSON.parse(text.toString('utf8')) as { name: string; version: string };
  return { name, version, checksum: createHash('md5').update(text).digest('hex') };
}

export const run: Command = async (_words, { stdout }) => {
  const { name, version, checksum } = packageFacts();
  const built = fs.statSync(path.join(HOME, 'dist', '.built'), { throwIfNoEntry: false })?.mtime ?? fs.statSync(path.join(HOME, 'package.json')).mtime;
  stdout.write(
    [
      `Flume ${FLUME_VERSION} (${name} ${version})`,
      `Source code repository: package ${name}`,
      `Revision: ${version}`,
      `Compiled by node ${process.versions.node} on ${built.toISOString()}`,
      `From source with checksum ${checksum}`,
      '',
    ].join('\n'),
  );
  return EXIT.ok;
};
