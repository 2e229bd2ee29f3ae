/** Plugins are imported by Node itself with hooks, so each case runs in a process of its own, from source. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pluginDirectories } from '../../../../src/agent/runtime/plugins.ts';

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'plugins '));
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const at = path.join(dir, name);
  fs.mkdirSync(path.dirname(at), { recursive: true });
  fs.writeFileSync(at, text);
  return at;
}

/** Runs `body` with `catalog`, `file(name, text)` and `said` at hand; answers what it returns. */
async function inProcess<T>(body: string): Promise<T> {
  const source = (name: string): string => JSON.stringify(new URL(`../../../../src/${name}`, import.meta.url).href);
  const script = `
    import fs from 'node:fs';
    import path from 'node:path';
    import { pluginCatalog } from ${source('agent/runtime/plugins.ts')};
    const said = [];
    const log = { error: (text) => said.push(text), info() {}, warn() {}, debug() {}, trace() {}, isLevelEnabled: () => true };
    const builtIn = {
      async find(kind, type) { return kind === 'sink' && type === 'null' ? { kind, type } : undefined; },
      unavailable: (kind, type) => (type === 'hdfs' ? 'no Hadoop here' : undefined),
      types: async () => ['null'],
    };
    const dir = ${JSON.stringify(dir)};
    const catalog = pluginCatalog({ builtIn, directories: [dir, path.join(dir, 'later')], publicApi: ${source('plugin.ts')}, log });
    const file = (name, text) => { fs.mkdirSync(path.dirname(path.join(dir, name)), { recursive: true }); fs.writeFileSync(path.join(dir, name), text); };
    const result = await (async () => { ${body} })();
    process.stdout.write(JSON.stringify(result ?? null));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { cwd: process.cwd() });
  return JSON.parse(stdout) as T;
}

const sink = (type: string, more = ''): string => `import { defineSink, text, type Sealed } from 'millrace/plugin';
interface Options { readonly where: string }
const describe = (options: Options): string => options.where;
export default defineSink({ type: '${type}', summary: 'x', properties: { where: text({ default: 'here', doc: describe({ where: 'x' }) }) }, ${more}
  create: () => ({ async deliver(batch: readonly Sealed[]): Promise<void> { void batch.length; } }) });`;

describe('plugins', () => {
  it('are .ts and .js files, folders, packages, and Flume’s lib folders', async () => {
    file('a.ts', sink('A'));
    file('b/index.ts', `import { half } from './part.ts';\n${sink('b')}\nexport const kept: number = half(4);`);
    file('b/part.ts', 'export const half = (n: number): number => n / 2;');
    file('c/package.json', '{"main": "dist/main.js"}');
    file(
      'c/dist/main.js',
      "import { defineSource } from 'millrace/plugin';\nexport default defineSource({ type: 'c', summary: 'x', properties: {}, create: () => ({}) });",
    );
    file(
      'd/lib/d.mjs',
      "import { defineSink } from 'millrace/plugin';\nexport default defineSink({ type: 'd', aliases: ['org.acme.DSink'], summary: 'x', properties: {}, create: () => ({}) });",
    );
    file('d/lib/library.mjs', 'export const two = 2;');
    file('e.ts', `enum Level { Low = 1 }\n${sink('e')}\nexport const level = Level.Low;`);
    file('_hidden.ts', 'this is not a module');
    file('a.test.ts', 'nor is this');
    file('notes.txt', 'nor this');
    const found = await inProcess(`
      const types = {};
      for (const [kind, type] of [['sink', 'a'], ['sink', 'b'], ['source', 'c'], ['sink', 'D'], ['sink', 'org.acme.DSink'], ['sink', 'e'], ['sink', 'c'], ['sink', 'org.acme.dsink']])
        types[type] = (await catalog.find(kind, type))?.type ?? null;
      return { types, all: await catalog.types('sink'), said };`);
    expect(found).toEqual({
      types: { a: 'A', b: 'b', c: null, D: 'd', 'org.acme.DSink': 'd', e: 'e', 'org.acme.dsink': null },
      all: ['null', 'A', 'b', 'd', 'e'],
      said: [],
    });
  });

  it('are not even looked at for built-in types', async () => {
    file('broken.ts', 'syntax error here');
    expect(await inProcess("await catalog.find('sink', 'null'); return { said, problems: catalog.problems() };")).toEqual({ said: [], problems: [] });
  });

  it('that are broken are said once, by file, and stop no other', async () => {
    file('good.ts', sink('good'));
    file('bad.ts', "export default { type: 'webhok' ");
    file('other.ts', 'export const nothing = 1;');
    file('typed.ts', "import { Sealed } from 'millrace/plugin'; export default null;");
    file('shadow.ts', sink('null'));
    const result = await inProcess<{ good: string; said: string[]; why: string; named: string; other: string | null; hdfs: string }>(`
      const good = (await catalog.find('sink', 'good'))?.type;
      await catalog.find('sink', 'webhok');
      return { good, said, why: catalog.unavailable('sink', 'webhok'), named: catalog.unavailable('sink', 'typed'), other: catalog.unavailable('sink', 'unheard') ?? null, hdfs: catalog.unavailable('sink', 'hdfs') };`);
    expect(result.good).toBe('good');
    expect(result.said).toHaveLength(4);
    expect(result.said.join('\n')).toMatch(
      /bad\.ts: .*\n.*other\.ts: it does not default-export a component.*\n.*shadow\.ts: its type null is a built-in sink.*\n.*typed\.ts: /,
    );
    expect(result.why).toContain(`${path.join(fs.realpathSync(dir), 'bad.ts')} cannot be loaded: `);
    expect(result.named).toContain('typed.ts cannot be loaded');
    expect(result.other).toBeNull();
    expect(result.hdfs).toBe('no Hadoop here');
  });

  it('two for one type are both named, and neither is taken', async () => {
    file('one.ts', sink('twice'));
    file('two.ts', sink('x', "aliases: ['twice'],"));
    const result = await inProcess<{ found: boolean; why: string }>(
      "const found = (await catalog.find('sink', 'twice')) !== undefined; return { found, why: catalog.unavailable('sink', 'twice') };",
    );
    expect(result.found).toBe(false);
    expect(result.why).toMatch(/one\.ts and .*two\.ts both declare it; remove or rename/);
  });

  it('that are new, changed or gone are noticed at the next question', async () => {
    const seen = await inProcess(`
      const has = async (type) => (await catalog.find('sink', type))?.summary ?? null;
      const plugin = (type, summary) => \`import { defineSink } from 'millrace/plugin'; export default defineSink({ type: '\${type}', summary: '\${summary}', properties: {}, create: () => ({}) });\`;
      const steps = [await has('n')];
      file('later/n.ts', plugin('n', 'first'));
      steps.push(await has('n'));
      file('later/n.ts', plugin('n', 'second one'));
      steps.push(await has('n'));
      fs.rmSync(path.join(dir, 'later/n.ts'));
      steps.push(await has('n'));
      return steps;`);
    expect(seen).toEqual([null, 'first', 'second one', null]);
  });

  it('lie where Flume users expect them', () => {
    expect(pluginDirectories('/opt/m', undefined, '/srv')).toEqual(['/opt/m/plugins', '/opt/m/plugins.d']);
    expect(pluginDirectories('/opt/m', 'mine:/abs', '/srv')).toEqual(['/opt/m/plugins', '/srv/mine', '/abs']);
  });
});
