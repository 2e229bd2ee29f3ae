/**
 * What a catalog is: the way from a `type` in a definition to a component's declaration. The list itself is in
 * agent/wire/catalog.ts (built-in) and runtime/plugins.ts (user components); the configuration and the runtime are
 * handed one and know no component by name.
 */
import type { AnySpec, Kind } from './define.ts';

export interface Catalog {
  /**
   * Finds a declaration by alias (any case) or class name (exact). Undefined = nobody has it. Imports its module on
   * first use, so a start pays only for what the definition names.
   */
  find(kind: Kind, type: string): Promise<AnySpec | undefined>;
  /** A reason why a known Flume type is not to be had here, with what to do instead; undefined when it is unknown. */
  unavailable(kind: Kind, type: string): string | undefined;
  /** All aliases of a kind, for suggestions and reference pages. */
  types(kind: Kind): Promise<readonly string[]>;
}
