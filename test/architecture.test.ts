/**
 * The rules of the house that a compiler does not hold: who may import whom (the table of the architecture, after
 * Kafka's checkstyle/import-control.xml), file length, names, and calls that belong to one place only.
 */
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const src = path.join(root, 'src');

const COMPONENT_ROOMS = [
  'sources',
  'channels',
  'sinks',
  'processors',
  'interceptors',
  'selectors',
  'serializers',
  'deserializers',
  'config-filters',
  'handlers',
];
const FOR_COMPONENTS = ['lib', 'records', 'wal', 'kafka', 'agent/core', 'agent/wire'];
const MAY_IMPORT: Readonly<Record<string, readonly string[] | 'everything'>> = {
  lib: [],
  records: ['lib'],
  wal: ['lib', 'records'],
  kafka: ['lib', 'records'],
  broker: ['lib', 'records', 'wal', 'kafka'],
  console: ['lib', 'agent/core', 'kafka'],
  cli: 'everything',
  plugin: ['lib', 'agent/core', 'kafka'],
  'agent/core': ['lib'],
  'agent/config': ['lib', 'agent/core'],
  'agent/wire': ['lib', 'agent/core'],
  'agent/runtime': ['lib', 'agent/core', 'agent/config'],
  ...Object.fromEntries(COMPONENT_ROOMS.map((room) => [`agent/${room}`, FOR_COMPONENTS])),
};
/** The one list of components: it imports each of them, on first use. */
const CATALOG = /^agent\/wire\/catalog(-[a-z-]+)?\.ts$/;

function filesBelow(dir: string, ending: RegExp): string[] {
  if (!fs.existsSync(dir)) return [];
  return fs
    .readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}

const sources = filesBelow(src, /\.ts$/);
const name = (file: string): string => path.relative(src, file).split(path.sep).join('/');

function roomOf(file: string): string {
  const parts = name(file).split('/');
  if (parts.length === 1) return parts[0]!.replace(/\.ts$/, '');
  return parts[0] === 'agent' ? `agent/${parts[1]!.replace(/\.ts$/, '')}` : parts[0]!;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/[^\n]*/g, '$1');
}

/** Every module a file imports, statically, dynamically or in a type. */
function importsOf(text: string): string[] {
  const found: string[] = [];
  const pattern = /(?:\bfrom\s*|\bimport\s*\(\s*|^\s*import\s+)(['"])([^'"]+)\1/gm;
  for (const match of withoutComments(text).matchAll(pattern)) found.push(match[2]!);
  return found;
}

/** A component may have parts of its own: netcat.ts may import netcat-lines.ts and netcat/… (and these it); nobody else may. */
function ownPart(from: string, to: string): boolean {
  const fromDir = path.dirname(from);
  const stem = path.basename(from, '.ts');
  if (path.dirname(to) === fromDir) {
    const family = stem.split('-')[0]!;
    const other = path.basename(to, '.ts');
    return other.startsWith(`${stem}-`) || (other.startsWith(`${family}-`) && stem.startsWith(`${family}-`)) || name(from).split('/').length > 3;
  }
  return to.startsWith(`${path.join(fromDir, stem)}${path.sep}`) || to === `${fromDir}.ts`;
}

/** What is wrong with one import; an empty string = nothing. */
function importFault(file: string, target: string): string {
  if (!target.startsWith('.')) return target.startsWith('millrace') ? `${name(file)} imports its own package by name` : '';
  const to = path.resolve(path.dirname(file), target);
  if (!to.startsWith(src + path.sep)) return `${name(file)} imports ${target}, which is outside src/`;
  if (!target.endsWith('.ts')) return `${name(file)} imports ${target} without .ts`;
  const [from, into] = [roomOf(file), roomOf(to)];
  const allowed = MAY_IMPORT[from];
  if (allowed === undefined) return `${name(file)} is in a room the table does not know`;
  if (allowed === 'everything' || allowed.includes(into)) return '';
  if (CATALOG.test(name(file)) && into.startsWith('agent/')) return '';
  if (from === into) {
    const component = COMPONENT_ROOMS.some((room) => from === `agent/${room}`);
    return !component || ownPart(file, to) ? '' : `${name(file)} imports another component, ${name(to)}`;
  }
  return `${name(file)} (${from}) must not import ${name(to)} (${into})`;
}

describe('who may import whom', () => {
  it('is as the table says', () => {
    const faults = sources
      .flatMap((file) => importsOf(fs.readFileSync(file, 'utf8')).map((target) => importFault(file, target)))
      .filter((fault) => fault !== '');
    expect(faults).toEqual([]);
  });

  it('would notice each kind of fault', () => {
    const at = (file: string): string => path.join(src, file);
    expect(importFault(at('lib/x.ts'), '../agent/core/event.ts')).toContain('must not import');
    expect(importFault(at('agent/runtime/x.ts'), '../sources/netcat.ts')).toContain('must not import');
    expect(importFault(at('agent/sources/a.ts'), './b.ts')).toContain('another component');
    expect(importFault(at('agent/sources/a.ts'), '../sinks/b.ts')).toContain('must not import');
    expect(importFault(at('agent/sources/a.ts'), './a-lines.ts')).toBe('');
    expect(importFault(at('broker/x.ts'), '../agent/core/event.ts')).toContain('must not import');
    expect(importFault(at('cli/x.ts'), '../../test/x.ts')).toContain('outside');
    expect(importFault(at('cli/x.ts'), '../lib/x.js')).toContain('without .ts');
    expect(
      importsOf("import type { A } from './a.ts';\nconst b = await import('./b.ts');\nimport './c.ts';\n// import './d.ts'\nexport * from './e.ts';"),
    ).toEqual(['./a.ts', './b.ts', './c.ts', './e.ts']);
  });
});

describe('files', () => {
  const header = (text: string): string => /^(?:#![^\n]*\n)?\s*(\/\*[\s\S]*?\*\/|(?:\/\/[^\n]*\n)+)/.exec(text)?.[1] ?? '';

  it('begin by saying what they are', () => {
    expect(sources.filter((file) => header(fs.readFileSync(file, 'utf8')) === '').map(name)).toEqual([]);
  });

  it('have at most 400 lines, or say why not', () => {
    const long = sources.filter((file) => {
      const text = fs.readFileSync(file, 'utf8');
      return text.trimEnd().split('\n').length > 400 && !/\b(long|longer|length|400|lines)\b/i.test(header(text));
    });
    expect(long.map(name)).toEqual([]);
  });

  it('are kebab-case nouns that say what is in them', () => {
    const bad = sources.filter((file) => {
      const base = path.basename(file, '.ts');
      return !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(base) || /(^|-)(utils?|helpers?|common|manager|misc|impl|base)(-|$)/.test(base);
    });
    expect(bad.map(name)).toEqual([]);
  });
});

describe('functions', () => {
  /** As node:fs has it, and WebAssembly: their signatures are not ours. */
  const FOREIGN = /^(read|_ZSTD_compress)$/;

  /** What is too long or wants too much, as `file:line name`. */
  function faultsOf(file: string, text: string): string[] {
    const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    const faults: string[] = [];
    const lineAt = (position: number): number => tree.getLineAndCharacterOfPosition(position).line + 1;
    const visit = (node: ts.Node): void => {
      ts.forEachChild(node, visit);
      if (!ts.isFunctionLike(node)) return;
      const [from, to] = [lineAt(node.getStart(tree)), lineAt(node.end)];
      const title = node.name?.getText(tree) ?? '';
      const lines = 'body' in node && node.body ? to - from + 1 : 0;
      if (lines > 60) faults.push(`${file}:${from} ${title} has ${lines} lines`);
      if (node.parameters.length > 4 && !FOREIGN.test(title)) faults.push(`${file}:${from} ${title} has ${node.parameters.length} parameters`);
    };
    visit(tree);
    return faults;
  }

  it('have at most 60 lines and 4 parameters', () => {
    expect(sources.flatMap((file) => faultsOf(name(file), fs.readFileSync(file, 'utf8')))).toEqual([]);
    expect(faultsOf('x.ts', 'const f = (a, b, c, d, e) => 1;')).toEqual(['x.ts:1  has 5 parameters']);
    expect(faultsOf('x.ts', `class C { m() {${'\n'.repeat(60)}} }`)).toEqual(['x.ts:1 m has 61 lines']);
  });
});

describe('programs', () => {
  /** Belongs to nothing that runs, on purpose: the disk that fails, tears and forgets is the tests'. */
  const FOR_TESTS = ['lib/memory-disk.ts'];

  it('reach every module: what only a test imports is dead', () => {
    // flume-ng imports its commands by computed names; plugin-hooks runs in Node's loader thread.
    const reached = new Set(sources.filter((file) => /^(cli\/[^/]+|plugin|agent\/runtime\/plugin-hooks)\.ts$/.test(name(file))));
    for (const file of reached)
      for (const target of importsOf(fs.readFileSync(file, 'utf8'))) {
        const module = path.resolve(path.dirname(file), target);
        if (target.startsWith('.') && fs.existsSync(module)) reached.add(module);
      }
    expect(sources.filter((file) => !reached.has(file)).map(name)).toEqual(FOR_TESTS);
  });
});

describe('calls that belong to one place', () => {
  const users = (pattern: RegExp): string[] => sources.filter((file) => pattern.test(withoutComments(fs.readFileSync(file, 'utf8')))).map(name);

  it('only cli/ exits the process', () => {
    expect(users(/\bprocess\s*\.\s*(exit|abort)\s*\(/).filter((file) => !file.startsWith('cli/'))).toEqual([]);
  });
  it('only the protocol compiler makes functions from text', () => {
    expect(users(/\bnew Function\s*\(|[^.\w]eval\s*\(/).filter((file) => file !== 'kafka/compile.ts')).toEqual([]);
  });
  it('only cli/ writes to the console', () => {
    expect(users(/\bconsole\.(log|info|warn|error|debug)\s*\(/).filter((file) => !file.startsWith('cli/'))).toEqual([]);
  });
  it('nothing is left to do later, and no test is switched off', () => {
    const everything = [...sources, ...filesBelow(path.join(root, 'test'), /\.ts$/)].filter((file) => file !== import.meta.filename);
    const bad = everything.filter((file) =>
      /\b(TODO|FIXME|XXX)\b|\b(it|test|describe)\.(skip|only|todo)\(|@ts-ignore|@ts-nocheck/.test(fs.readFileSync(file, 'utf8')),
    );
    expect(bad.map((file) => path.relative(root, file))).toEqual([]);
  });
});
