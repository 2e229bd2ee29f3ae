/** The components a command knows: the built-in ones and the user's plugins. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type PluginCatalog, pluginCatalog, pluginDirectories } from '../agent/runtime/plugins.ts';
import { builtInCatalog } from '../agent/wire/catalog.ts';
import type { Logger } from '../lib/log.ts';
import type { CommandContext } from './command.ts';

/** Where this program is installed: the directory of package.json. */
export const HOME = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

/** `.ts` when run from source, `.js` when built. */
export const MODULE_EXTENSION = path.extname(fileURLToPath(import.meta.url));

export function componentCatalog({ pluginsPath, cwd }: Pick<CommandContext, 'pluginsPath' | 'cwd'>, log: Logger): PluginCatalog {
  return pluginCatalog({
    builtIn: builtInCatalog,
    directories: pluginDirectories(HOME, pluginsPath, cwd),
    publicApi: new URL(`../plugin${MODULE_EXTENSION}`, import.meta.url).href,
    log,
  });
}
