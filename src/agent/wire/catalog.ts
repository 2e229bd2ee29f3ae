/**
 * The built-in components: every accepted spelling of a type to the module that declares it. The spellings are listed
 * here although each spec has them too, so that a start imports only what its definition names; a test holds the two
 * together. User components are laid over this by runtime/plugins.ts.
 */
import { AppError } from '../../lib/errors.ts';
import type { Catalog } from '../core/catalog.ts';
import type { AnySpec, Kind } from '../core/define.ts';
import { unavailableReason } from './unavailable.ts';

/** One built-in component. */
export interface CatalogEntry {
  readonly kind: Kind;
  /** Matched in any case. */
  readonly type: string;
  /** Class names (matched exactly) and further aliases. */
  readonly aliases: readonly string[];
  readonly load: () => Promise<{ readonly default: unknown }>;
}

const FLUME = 'org.apache.flume';

function entry(kind: Kind, type: string, aliases: readonly string[], load: CatalogEntry['load']): CatalogEntry {
  return { kind, type, aliases, load };
}

/** By kind, in the order of the reference pages. */
export const BUILT_IN: readonly CatalogEntry[] = [
  entry('channel', 'memory', [`${FLUME}.channel.MemoryChannel`], () => import('../channels/memory.ts')),
  entry('configfilter', 'env', [`${FLUME}.configfilter.EnvironmentVariableConfigFilter`], () => import('../config-filters/env.ts')),
  entry('configfilter', 'external', [`${FLUME}.configfilter.ExternalProcessConfigFilter`], () => import('../config-filters/external.ts')),
  entry('configfilter', 'hadoop', [`${FLUME}.configfilter.HadoopCredentialStoreConfigFilter`], () => import('../config-filters/hadoop.ts')),
];

/** The catalog of built-in components. */
export const builtInCatalog: Catalog = {
  async find(kind, type) {
    const found = BUILT_IN.find((one) => one.kind === kind && matches(one, type));
    return found === undefined ? undefined : loadSpec(found);
  },
  unavailable: unavailableReason,
  types: async (kind) => BUILT_IN.filter((one) => one.kind === kind).map((one) => one.type),
};

/** Imports a component. @throws AppError when its module declares something else than the table says */
export async function loadSpec({ kind, type, load }: CatalogEntry): Promise<AnySpec> {
  const spec = (await load()).default as AnySpec;
  if (spec.kind !== kind || spec.type !== type) throw new AppError('CATALOG', `the module of ${kind} ${type} declares ${spec.kind} ${spec.type}`);
  return spec;
}

function matches({ type, aliases }: CatalogEntry, written: string): boolean {
  return (
    type.toLowerCase() === written.toLowerCase() ||
    aliases.some((alias) => alias === written || (!alias.includes('.') && alias.toLowerCase() === written.toLowerCase()))
  );
}
