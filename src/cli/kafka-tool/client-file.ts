/** Settings of a client as Kafka's tools take them: a file of Java properties (`--command-config`), and what TLS and login come to. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from '../../kafka/client/connection.ts';
import { saslOf, tlsOf } from '../../kafka/client/security.ts';
import { readConsumerConfig } from '../../kafka/client/settings.ts';
import { ConfigError, errorText } from '../../lib/errors.ts';
import { readProperties } from '../../lib/props/lexer.ts';

/** @throws ConfigError the file cannot be read */
export function readClientFile(file: string): Record<string, string> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new ConfigError(`cannot read ${file}: ${errorText(cause)}`, { fix: 'name an existing file of settings', cause });
  }
  return Object.fromEntries(readProperties(bytes, file).entries.map(({ key, value }) => [key, value.trim()]));
}

/** @throws ConfigError a setting cannot be used */
export function securityOf(settings: Readonly<Record<string, string>>): Pick<ConnectionOptions, 'tls' | 'sasl'> {
  const relevant = Object.fromEntries(Object.entries(settings).filter(([key]) => /^(security|sasl|ssl)\./.test(key)));
  const { config, findings } = readConsumerConfig(relevant, '');
  const first = findings.find(({ severity }) => severity === 'error');
  if (config === null || first !== undefined)
    throw new ConfigError(first?.message ?? 'the client settings cannot be used', { ...(first?.fix && { fix: first.fix }) });
  return { tls: tlsOf(config), sasl: saslOf(config) };
}
