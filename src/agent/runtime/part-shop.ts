/**
 * Serializers and deserializers for sinks and sources that ask for one by type. Components ask synchronously, while a
 * catalog imports on first use: so everything the definition can ask for is fetched before anything is created.
 */

import { ConfigError } from '../../lib/errors.ts';
import type { RawValue } from '../../lib/props/finding.ts';
import { parseProperties } from '../../lib/props/spec.ts';
import type { AgentModel, Part } from '../config/model.ts';
import type { Catalog } from '../core/catalog.ts';
import type { AnySpec, DeserializerInput, DeserializerSpec, SerializerSpec } from '../core/define.ts';
import type { Deserializer, Serializer } from '../core/serializer.ts';

type PartKind = 'serializer' | 'deserializer';

export class PartShop {
  readonly #catalog: Catalog;
  readonly #specs = new Map<string, AnySpec>();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Fetches what the sources and sinks of the model name in a property that ends in `serializer`, defaults included. */
  async prepare(model: AgentModel): Promise<void> {
    const wanted: Promise<void>[] = [];
    for (const part of [...model.sources, ...model.sinks] as readonly Part[]) {
      for (const key of Object.keys(part.spec.properties)) {
        const type: unknown = part.config[key];
        if (typeof type !== 'string' || !/serializer$/i.test(key)) continue;
        wanted.push(this.#fetch(/deserializer$/i.test(key) ? 'deserializer' : 'serializer', type));
      }
    }
    await Promise.all(wanted);
  }

  /** See SinkContext.serializer. */
  serializer(type: string, properties: Readonly<Record<string, string>>): () => Serializer {
    const spec = this.#spec('serializer', type) as SerializerSpec;
    const config = configure(spec, properties);
    return () => spec.create(config);
  }

  /** See SourceContext.deserializer. */
  deserializer(type: string, properties: Readonly<Record<string, string>>, input: DeserializerInput): Deserializer {
    const spec = this.#spec('deserializer', type) as DeserializerSpec;
    return spec.create(configure(spec, properties), input);
  }

  async #fetch(kind: PartKind, type: string): Promise<void> {
    const id = `${kind} ${type}`;
    if (this.#specs.has(id)) return;
    const spec = await this.#catalog.find(kind, type);
    if (spec !== undefined) this.#specs.set(id, spec);
  }

  #spec(kind: PartKind, type: string): AnySpec {
    const spec = this.#specs.get(`${kind} ${type}`);
    if (spec !== undefined) return spec;
    const reason = this.#catalog.unavailable(kind, type);
    throw new ConfigError(`there is no ${kind} "${type}"${reason === undefined ? '' : `: ${reason}`}`, {
      fix: `flume-ng describe lists every ${kind}`,
    });
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the configuration's type is known to the spec only
function configure(spec: AnySpec, properties: Readonly<Record<string, string>>): any {
  const raw: Record<string, RawValue> = {};
  for (const [key, value] of Object.entries(properties)) raw[key] = { value };
  const { config, findings } = parseProperties(spec.properties, raw);
  if (config !== null) return config;
  const errors = findings.filter((finding) => finding.severity === 'error').map((finding) => finding.message);
  throw new ConfigError(`${spec.kind} ${spec.type}: ${errors.join('; ')}`);
}
