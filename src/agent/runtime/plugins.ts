/**
 * User components: files and folders that default-export a `define…`, laid over the built-in catalog. Looked at only
 * when a definition names a type that no built-in has, so nobody pays for plugins who uses none; looked at again on
 * every such question, so that a running agent picks up a new file at its next reload. One that is broken is said once,
 * with its file, and stops no other. Layouts: `plugins/x.ts`, `plugins/x/index.ts`, Flume's `plugins.d/x/lib/*.js`.
 */
import fs from 'node:fs';
import module from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { errorText } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Catalog } from '../core/catalog.ts';
import type { AnySpec, Kind } from '../core/define.ts';
import type { HookData } from './plugin-hooks.ts';

export interface PluginOptions {
  readonly builtIn: Catalog;
  /** Directories to look into; those that do not exist are no fault. */
  readonly directories: readonly string[];
  /** URL of this installation's plugin.js (or plugin.ts), which `millrace/plugin` means. */
  readonly publicApi: string;
  readonly log: Logger;
}

/** A file that could not become a component. */
export interface PluginProblem {
  readonly file: string;
  readonly message: string;
  readonly fix: string;
}

/** The built-in catalog with the user's components added. */
export interface PluginCatalog extends Catalog {
  /** What is wrong with the plugins read so far. */
  problems(): readonly PluginProblem[];
}

const KINDS: readonly Kind[] = ['source', 'channel', 'sink', 'selector', 'processor', 'interceptor', 'serializer', 'deserializer', 'configfilter'];
const MODULE = /(?<!\.d)\.(ts|mts|js|mjs|cjs)$/;
const NOT_A_PLUGIN = /^[._]|\.(test|spec)\./;

/**
 * The directories Flume users expect: `plugins/` and `plugins.d/` of the installation; `--plugins-path` (colon-separated)
 * replaces `plugins.d`, as in Flume.
 */
export function pluginDirectories(home: string, pluginsPath: string | undefined, cwd: string): string[] {
  const given = pluginsPath?.split(':').filter((word) => word !== '');
  return [path.join(home, 'plugins'), ...(given?.map((word) => path.resolve(cwd, word)) ?? [path.join(home, 'plugins.d')])];
}

/** One module that may hold a component. In Flume's `lib/` other files may lie beside it, so there a mere library is no fault. */
interface Candidate {
  readonly file: string;
  readonly library: boolean;
}

/** What a file gave when it was read at `version`. */
interface Read {
  readonly version: string;
  readonly spec?: AnySpec;
  readonly problem?: PluginProblem;
}

/** Lays the plugins over the built-in components. Built-in types cannot be replaced. */
export function pluginCatalog(options: PluginOptions): PluginCatalog {
  return new Plugins(options);
}

class Plugins implements PluginCatalog {
  readonly #options: PluginOptions;
  readonly #reads = new Map<string, Read>();
  #refreshing: Promise<void> = Promise.resolve();

  constructor(options: PluginOptions) {
    this.#options = options;
  }

  async find(kind: Kind, type: string): Promise<AnySpec | undefined> {
    const builtIn = await this.#options.builtIn.find(kind, type);
    if (builtIn) return builtIn;
    await this.#refresh();
    const found = this.#declaring(kind, type);
    return found.length === 1 ? found[0]!.spec : undefined;
  }

  unavailable(kind: Kind, type: string): string | undefined {
    const found = this.#declaring(kind, type);
    if (found.length > 1) return `${found.map(({ file }) => file).join(' and ')} both declare it; remove or rename one of them`;
    for (const problem of this.problems()) {
      if (seemsToDeclare(problem.file, type)) return `${problem.file} cannot be loaded: ${problem.message.replaceAll('; ', ', ')}; ${problem.fix}`;
    }
    return this.#options.builtIn.unavailable(kind, type);
  }

  async types(kind: Kind): Promise<readonly string[]> {
    await this.#refresh();
    const own = [...this.#reads.values()].flatMap(({ spec }) => (spec?.kind === kind ? [spec.type] : []));
    return [...new Set([...(await this.#options.builtIn.types(kind)), ...own])];
  }

  problems(): readonly PluginProblem[] {
    return [...this.#reads.values()].flatMap(({ problem }) => problem ?? []);
  }

  #declaring(kind: Kind, type: string): { file: string; spec: AnySpec }[] {
    const found: { file: string; spec: AnySpec }[] = [];
    for (const [file, { spec }] of this.#reads) if (spec && spec.kind === kind && answersTo(spec, type)) found.push({ file, spec });
    return found;
  }

  /** One look at a time: two finds at once must not import the same file twice. */
  #refresh(): Promise<void> {
    this.#refreshing = this.#refreshing.then(() => this.#look());
    return this.#refreshing;
  }

  async #look(): Promise<void> {
    const candidates = this.#options.directories.flatMap((directory) => candidatesIn(directory));
    const seen = new Set(candidates.map(({ file }) => file));
    for (const file of this.#reads.keys()) if (!seen.has(file)) this.#reads.delete(file);
    for (const candidate of candidates) {
      const stat = fs.statSync(candidate.file, { throwIfNoEntry: false });
      if (!stat) continue;
      const version = `${stat.mtimeMs}-${stat.size}`;
      if (this.#reads.get(candidate.file)?.version === version) continue;
      const read = await this.#read(candidate, version);
      this.#reads.set(candidate.file, read);
      if (read.problem) this.#options.log.error(`plugin ${read.problem.file}: ${read.problem.message} (${read.problem.fix})`);
      else if (read.spec) this.#options.log.info(`plugin ${candidate.file}: ${read.spec.kind} ${read.spec.type}`);
    }
  }

  async #read({ file, library }: Candidate, version: string): Promise<Read> {
    const fault = (message: string, fix: string): Read => ({ version, problem: { file, message, fix } });
    try {
      await registerHooks(this.#options);
      const loaded = (await import(`${pathToFileURL(file).href}?v=${version}`)) as { default?: unknown };
      const spec = loaded.default as AnySpec | undefined;
      if (!isSpec(spec)) {
        if (library) return { version };
        return fault('it does not default-export a component', 'write export default defineSource({ … }), or another define… of millrace/plugin');
      }
      const builtIn = await this.#options.builtIn.find(spec.kind, spec.type);
      if (builtIn) return fault(`its type ${spec.type} is a built-in ${spec.kind}`, 'choose another type; built-in ones cannot be replaced');
      return { version, spec };
    } catch (error) {
      return fault(errorText(error).split('\n')[0]!, remedyFor(error));
    }
  }
}

function answersTo(spec: AnySpec, type: string): boolean {
  if (spec.type.toLowerCase() === type.toLowerCase()) return true;
  return (spec.aliases ?? []).some((alias) => alias === type || (!alias.includes('.') && alias.toLowerCase() === type.toLowerCase()));
}

function isSpec(value: unknown): value is AnySpec {
  if (typeof value !== 'object' || value === null) return false;
  const spec = value as Partial<AnySpec>;
  return KINDS.includes(spec.kind as Kind) && typeof spec.type === 'string' && typeof spec.create === 'function' && typeof spec.properties === 'object';
}

/** Whether a file that could not be read was probably meant: by its name, or because the type is written in it. */
function seemsToDeclare(file: string, type: string): boolean {
  if (path.basename(file).replace(MODULE, '').toLowerCase() === type.toLowerCase()) return true;
  try {
    return new RegExp(`['"\`]${type.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}['"\`]`, 'i').test(fs.readFileSync(file, 'utf8'));
  } catch {
    return false; // unreadable: then its name is all there is to go by
  }
}

function remedyFor(error: unknown): string {
  const text = errorText(error);
  if (/does not provide an export named/.test(text)) return 'types are imported with import type { … }';
  if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return 'install what it imports beside it, in a folder with its own package.json';
  return 'mend the file; it is read again when the definition is';
}

/** The modules of one directory, by name: its files, and in each folder `lib/*`, else the folder's main file. */
function candidatesIn(directory: string): Candidate[] {
  const entries = list(directory);
  return entries.flatMap((entry): Candidate[] => {
    if (NOT_A_PLUGIN.test(entry)) return [];
    const at = path.join(directory, entry);
    if (MODULE.test(entry)) return [{ file: real(at), library: false }];
    if (entry === 'node_modules') return [];
    const lib = path.join(at, 'lib');
    const inLib = list(lib).filter((name) => MODULE.test(name) && !NOT_A_PLUGIN.test(name));
    if (inLib.length > 0) return inLib.map((name) => ({ file: real(path.join(lib, name)), library: true }));
    const main = mainOf(at);
    return main === undefined ? [] : [{ file: real(main), library: false }];
  });
}

function mainOf(folder: string): string | undefined {
  const names = ['index.ts', 'index.mts', 'index.js', 'index.mjs', 'index.cjs'];
  const described = path.join(folder, 'package.json');
  try {
    const main: unknown = JSON.parse(fs.readFileSync(described, 'utf8')).main;
    if (typeof main === 'string') names.unshift(main);
  } catch {
    // no package.json, or not one to be read: then index.* it is
  }
  return names.map((name) => path.join(folder, name)).find((file) => fs.existsSync(file));
}

function list(directory: string): string[] {
  try {
    return fs.readdirSync(directory).sort();
  } catch {
    return []; // not there, or not a directory
  }
}

/** Modules are known by their real path, and so the hooks see them. */
function real(file: string): string {
  return fs.realpathSync(file);
}

let registered: Promise<void> | undefined;

/** Node ≥ 22.15 has hooks in the same thread; before that they live in a thread of their own, begun here and only here. */
type InThread = { registerHooks?: (hooks: { resolve: unknown; load: unknown }) => void };

function registerHooks({ directories, publicApi }: PluginOptions): Promise<void> {
  registered ??= (async () => {
    // The extension is this file's own: .ts from source, .js when built.
    const hooks = new URL(`./plugin-hooks${path.extname(new URL(import.meta.url).pathname)}`, import.meta.url).href;
    const roots = directories.map((directory) => `${pathToFileURL(fs.existsSync(directory) ? real(directory) : directory).href}/`);
    const data: HookData = { publicApi, roots };
    const { registerHooks: inThread } = module as InThread;
    if (inThread) {
      const own = await import('./plugin-hooks.ts');
      own.initialize(data);
      inThread({ resolve: own.resolve, load: own.load });
    } else module.register(hooks, { data });
  })();
  return registered;
}
