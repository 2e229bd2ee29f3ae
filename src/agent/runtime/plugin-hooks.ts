/**
 * Module hooks for user components: `millrace/plugin` is this installation's public API wherever the importing file
 * lies, and a `.ts` file needs no build by its author, also on Node 20. Types are stripped by amaro, the stripper that
 * newer Node versions have inside, so a plugin behaves the same on all of them. Registered only when a plugin is loaded;
 * works as synchronous hooks (module.registerHooks) and, on older Node, in the hooks thread (module.register).
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'amaro';

/** What the hooks must know; handed over as `data` of `module.register`. */
export interface HookData {
  /** URL of plugin.js, or of plugin.ts when running from source. */
  readonly publicApi: string;
  /** URLs of the plugin directories, each with a slash at its end. */
  readonly roots: readonly string[];
}

let data: HookData = { publicApi: '', roots: [] };

/** Called once by whoever registers the hooks. */
export function initialize(given: HookData): void {
  data = given;
}

type Resolved = { url: string; format?: string | null | undefined; shortCircuit?: boolean };
type Loaded = { format: string; source?: unknown; shortCircuit?: boolean };

/** Node's resolve hook. */
export function resolve<C, R>(specifier: string, context: C, next: (specifier: string, context: C) => R): R | Resolved {
  if (specifier === 'millrace/plugin') return { url: data.publicApi, format: 'module', shortCircuit: true };
  return next(specifier, context);
}

/** Node's load hook: any `.ts` (nothing else here is one), and `.js` below a plugin directory that is an ES module without saying so. */
export function load<C extends { format?: string | null | undefined }, R>(url: string, context: C, next: (url: string, context: C) => R): R | Loaded {
  const path = url.split(/[?#]/, 1)[0]!;
  if (path.startsWith('file:') && /\.m?ts$/.test(path)) {
    return { format: 'module', source: stripTypes(readFileSync(fileURLToPath(path), 'utf8')), shortCircuit: true };
  }
  const own = data.roots.some((root) => path.startsWith(root) && !path.slice(root.length).includes('/node_modules/'));
  if (own && path.endsWith('.js') && context.format !== 'module') {
    const source = readFileSync(fileURLToPath(path), 'utf8');
    if (/^\s*(import\s*[\w*{'"]|export\s+(default|const|let|var|function|class|async|\{|\*))/m.test(source))
      return { format: 'module', source, shortCircuit: true };
  }
  return next(url, context);
}

/** Blanks the types out, so that lines and columns stay; enums and the like, which need code, are transformed instead. */
function stripTypes(source: string): string {
  try {
    return transformSync(source, { mode: 'strip-only' }).code;
  } catch (error) {
    if ((error as { code?: string }).code !== 'UnsupportedSyntax') throw new SyntaxError((error as Error).message ?? String(error));
    return transformSync(source, { mode: 'transform', sourceMap: false }).code;
  }
}
