/** What a fresh clone needs of package.json and package-lock.json so that `npm ci` works everywhere and stays quick. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const home = path.resolve(import.meta.dirname, '../..');
const json = (name: string) => JSON.parse(fs.readFileSync(path.join(home, name), 'utf8'));

interface Locked {
  readonly version?: string;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

describe('packages', () => {
  const lock: Readonly<Record<string, Locked>> = json('package-lock.json').packages;

  it('are locked for every platform, also those this machine is not', () => {
    const missing: string[] = [];
    for (const [at, { optionalDependencies }] of Object.entries(lock)) {
      for (const name of Object.keys(optionalDependencies ?? {})) {
        if (lock[`node_modules/${name}`] === undefined && lock[`${at}/node_modules/${name}`] === undefined) missing.push(`${name} of ${at}`);
      }
    }
    expect(missing).toEqual([]);
    expect(Object.entries(lock).filter(([at, { version }]) => at !== '' && version === undefined)).toEqual([]);
  });

  it('that have install scripts are declared, allowed or not, as npm 11.16 and newer ask', () => {
    const withScripts = Object.entries(lock).flatMap(([at, { hasInstallScript }]) => (hasInstallScript ? [at.replace(/.*node_modules\//, '')] : []));
    // fsevents, which only macOS installs, has one although the lock file does not say so.
    expect(Object.keys(json('package.json').allowScripts).sort()).toEqual([...new Set([...withScripts, 'fsevents'])].sort());
  });

  it('are asked for by nothing that is locked to one machine', () => {
    const text = fs.readFileSync(path.join(home, 'package-lock.json'), 'utf8');
    expect(text.match(/"resolved": "(?!https:\/\/registry\.npmjs\.org\/)[^"]*"/g)).toBeNull();
    expect(text).not.toMatch(/"file:|"link": true/);
  });

  it('of the program hold what the package promises', () => {
    const described = json('package.json');
    // Kafka's tools and the ZooKeeper scripts of the tutorials too: every shim of bin/.
    const shims = fs.readdirSync(path.join(home, 'bin')).filter((name) => !name.startsWith('bootstrap.'));
    expect(json('package-lock.json').packages[''].bin).toEqual(described.bin);
    expect(described.bin).toEqual(Object.fromEntries(shims.map((name) => [name, `bin/${name}`])));
    for (const file of Object.values(described.bin as Record<string, string>)) {
      expect(fs.statSync(path.join(home, file)).mode & 0o111, file).not.toBe(0);
      expect(fs.readFileSync(path.join(home, file), 'utf8')).toMatch(/^#!\/bin\/sh\n/);
    }
    for (const file of (described.files as string[]).filter((name) => !name.startsWith('!') && name !== 'dist'))
      expect(fs.existsSync(path.join(home, file)), file).toBe(true);
    expect(described.engines.node).toBe('>=20');
  });
});
