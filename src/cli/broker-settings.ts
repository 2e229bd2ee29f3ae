/** Reads server.properties for the broker's programs: file, `--override`, findings said in Kafka's log, errors at once. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type BrokerSettings, readSettings } from '../broker/settings.ts';
import { ConfigError, errorText } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Finding, RawValue } from '../lib/props/finding.ts';
import { readProperties } from '../lib/props/lexer.ts';

/**
 * The settings of a file with overrides (`key=value`, later wins).
 * @throws ConfigError the file cannot be read, or says something that cannot be used
 */
export async function loadBrokerSettings(named: string, overrides: readonly string[], log: Logger): Promise<BrokerSettings> {
  const file = ourPlaceFor(named);
  if (file !== named) log.info(`there is no ${named}; ${file} is read`);
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${errorText(error)}`, { fix: 'name an existing server.properties', cause: error });
  }
  const { entries, findings } = readProperties(bytes, file);
  const raw: Record<string, RawValue> = {};
  for (const { key, value, where } of entries) if (value.trim() !== '') raw[key] = { value: value.trim(), where };
  for (const override of overrides) {
    const at = override.indexOf('=');
    if (at <= 0) throw new ConfigError(`--override ${override} is not key=value`, { fix: 'write e.g. --override log.dirs=/tmp/x' });
    raw[override.slice(0, at).trim()] = { value: override.slice(at + 1).trim() };
  }
  const read = readSettings(raw);
  const all = [...findings, ...read.findings];
  for (const finding of all) say(finding, log);
  if (read.settings === null) {
    const first = all.find(({ severity }) => severity === 'error') as Finding;
    throw new ConfigError(`${place(first)}${first.message}`, { ...(first.fix && { fix: first.fix }) });
  }
  return read.settings;
}

/** Command lines written for Kafka say config/server.properties; here that file is in conf/. */
export function ourPlaceFor(named: string): string {
  const ours = named.replace(/(^|\/)config\/(?=[^/]*$)/, '$1conf/');
  return existsSync(named) || !existsSync(ours) ? named : ours;
}

function place({ where }: Finding): string {
  return where ? `${where.file}:${where.line}: ` : '';
}

function say(finding: Finding, log: Logger): void {
  const line = `${place(finding)}${finding.message}${finding.fix ? `; ${finding.fix}` : ''}`;
  if (finding.severity === 'error') log.error(line);
  else if (finding.severity === 'warning') log.warn(line);
  else log.info(line);
}
