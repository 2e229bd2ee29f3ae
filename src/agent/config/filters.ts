/**
 * Config filters (Flume 1.9+): `a1.configfilters = f1`, then `${f1['key']}`, `${f1["key"]}` or `${f1[key]}` anywhere in
 * a value of a source, channel, sink or sink group. A filter that does not know the key leaves the text as it is; one
 * that fails is reported and never ends the load. Flume: FlumeConfiguration.runFiltersThroughConfigs.
 */
import { AppError, errorText } from '../../lib/errors.ts';
import type { Finding } from '../../lib/props/finding.ts';
import type { TableValue } from './table.ts';

/** A filter made from its declaration. */
export interface Filter {
  readonly name: string;
  readonly lookup: (key: string) => string | null;
}

/** Replaces what the filters know in one value. `findings` receives failures. */
export function applyFilters(entry: TableValue, filters: readonly Filter[], findings: Finding[]): TableValue {
  let { value } = entry;
  for (const filter of filters) {
    if (!value.includes(`\${${filter.name}[`)) continue;
    value = value.replace(filterPattern(filter.name), (written: string, _quote: string, key: string) => {
      try {
        const found = filter.lookup(key);
        if (found !== null) return found;
        findings.push({
          code: 'config-filter-no-value',
          severity: 'warning',
          message: `config filter ${filter.name} has no value for "${key}"; ${written} stays as written`,
          fix: `make ${key} known to ${filter.name}`,
          where: entry.where,
        });
        return written;
      } catch (error) {
        const fix = (error instanceof AppError ? error.fix : undefined) ?? 'correct the filter; until then the text stays as written';
        findings.push({
          code: 'config-filter-failed',
          severity: 'warning',
          message: `config filter ${filter.name}: ${errorText(error)}`,
          fix,
          where: entry.where,
        });
        return written;
      }
    });
  }
  return value === entry.value ? entry : { ...entry, value };
}

function filterPattern(name: string): RegExp {
  return new RegExp(`\\$\\{${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\[(|'|")([-_a-zA-Z0-9]+)\\1\\]\\}`, 'g');
}

/** The filter name of a variable such as `f1['key']`, or undefined when it is none. */
export function filterNameOf(variable: string): string | undefined {
  return /^([^[\]]+)\[(|'|")[-_a-zA-Z0-9]+\2\]$/.exec(variable)?.[1];
}
