/** Findings and configuration as log lines. */
import type { LoadedAgent } from '../agent/config/model.ts';
import type { Logger } from '../lib/log.ts';
import type { Finding } from '../lib/props/finding.ts';
import { nearest } from '../lib/suggest.ts';

/** One line: `conf/a.conf:14 channel c1 (file): what; what to do [code]`. */
export function findingLine({ where, component, message, fix, code }: Finding): string {
  const place = where === undefined ? '' : `${where.file}:${where.line} `;
  return `${place}${component === undefined ? '' : `${component}: `}${message}${fix === undefined ? '' : `; ${fix}`} [${code}]`;
}

/** Each at its level. */
export function logFindings(findings: readonly Finding[], log: Logger): void {
  for (const finding of findings) log[finding.severity === 'warning' ? 'warn' : finding.severity](findingLine(finding));
}

const PRINT_SWITCH = 'org.apache.flume.log.printconfig';
/** Names of properties that may hold a secret, whatever component they belong to. */
const SECRET_KEY = /pass?w|pwd|secret|token|credential|jaas|private.?key|passphrase/i;

/** With Flume's switch, the effective definition at DEBUG, secrets masked. */
export function printConfiguration(loaded: LoadedAgent, systemProperties: Readonly<Record<string, string>>, log: Logger): void {
  if (systemProperties[PRINT_SWITCH]?.toLowerCase() !== 'true' || !log.isLevelEnabled('debug')) return;
  const secret = secretKeys(loaded);
  const isSecret = (key: string): boolean => secret.has(key) || SECRET_KEY.test(key) || nearest(key, secret) !== undefined;
  for (const [key, { value }] of loaded.effective) log.debug(`${key} = ${isSecret(key) ? '********' : value}`);
}

/** Full keys of the properties that components declare secret. */
function secretKeys({ model }: LoadedAgent): ReadonlySet<string> {
  const keys = new Set<string>();
  if (model === null) return keys;
  const lists = { sources: model.sources, channels: model.channels, sinks: model.sinks };
  for (const [list, parts] of Object.entries(lists)) {
    for (const { name, spec } of parts) {
      for (const [key, property] of Object.entries(spec.properties)) {
        const { options } = property as { options: { secret?: boolean; aliases?: readonly string[] } };
        if (options.secret) for (const spelling of [key, ...(options.aliases ?? [])]) keys.add(`${model.name}.${list}.${name}.${spelling}`);
      }
    }
  }
  return keys;
}
