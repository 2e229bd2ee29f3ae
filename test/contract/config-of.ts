/** A component's configuration from values as a user would write them; fails on any finding that is an error. */
import type { Spec } from '../../src/agent/core/define.ts';
import { type Config, type Properties, parseProperties } from '../../src/lib/props/spec.ts';

export function configOf<P extends Properties>(spec: Spec<P>, values: Readonly<Record<string, string | number | boolean>>): Config<P> {
  const raw = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, { value: `${value}` }]));
  const { config, findings } = parseProperties(spec.properties, raw);
  if (config === null) throw new Error(findings.map((finding) => finding.message).join('; '));
  return config;
}
