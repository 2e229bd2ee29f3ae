/** The properties of the jdbc channel, and where its file is. */
import { resolve } from 'node:path';
import { bool, type Config, int, long, path, rest, secret, text } from '../../lib/props/spec.ts';

export const DEFAULT_DIR = '.flume/jdbc-channel/db';
const FILE = 'events.sqlite';
const OLD = 'org.apache.flume.channel.jdbc.';
const NO_SERVER = 'SQLite is a file; its rights protect it';

export const properties = {
  'driver.url': text({ aliases: [`${OLD}driver.url`], doc: `jdbc:sqlite:FILE. Default: ~/${DEFAULT_DIR}/${FILE}.` }),
  'db.type': text({ default: 'SQLITE', aliases: [`${OLD}db.type`], doc: "SQLITE; Flume's DERBY, its default, is read as that." }),
  'maximum.capacity': long({ default: 0, min: 0, unit: 'events', aliases: [`${OLD}maximum.capacity`], doc: 'Most events the channel holds; 0 = no bound.' }),
  'create.schema': bool({ default: true, aliases: [`${OLD}create.schema`], doc: 'Make the table when it is not there.' }),
  'driver.class': text({ doc: 'Flume: the JDBC driver.', ignored: 'the driver is SQLite', aliases: [`${OLD}driver.class`] }),
  'db.username': text({ doc: 'Flume: the user.', ignored: NO_SERVER, aliases: [`${OLD}db.username`] }),
  'db.password': secret({ doc: 'Flume: the password.', ignored: NO_SERVER, aliases: [`${OLD}db.password`] }),
  'connection.properties.file': path({
    doc: 'Flume: further settings of the driver.',
    ignored: 'the driver is SQLite',
    aliases: [`${OLD}connection.properties.file`],
  }),
  'create.index': bool({ doc: 'Flume: make indexes.', ignored: 'the primary key is the only index needed', aliases: [`${OLD}create.index`] }),
  'create.foreignkey': bool({ doc: 'Flume: make foreign keys.', ignored: 'there is one table', aliases: [`${OLD}create.foreignkey`] }),
  'transaction.isolation': text({
    doc: 'Flume: isolation level.',
    ignored: 'one process writes, one transaction after the other',
    aliases: [`${OLD}transaction.isolation`],
  }),
  'maximum.connections': int({
    doc: 'Flume: size of the connection pool.',
    ignored: 'one connection is enough for a file',
    aliases: [`${OLD}maximum.connections`],
  }),
  'sysprop.*': rest({ doc: 'Flume: system properties for Derby. No effect here.' }),
};
export type JdbcConfig = Config<typeof properties>;

/** The database file of a configuration. */
export function databaseFile(config: JdbcConfig, home: string): string {
  const url = config['driver.url'];
  return url === undefined ? resolve(home, DEFAULT_DIR, FILE) : resolve(url.replace(/^jdbc:sqlite:/i, ''));
}

/** Settings that ask for another database. */
export function findingsOf(config: JdbcConfig) {
  const url = config['driver.url'];
  const findings = [];
  if (url !== undefined && !/^jdbc:sqlite:./i.test(url)) {
    findings.push({
      code: 'foreign-database',
      severity: 'error' as const,
      message: `driver.url ${url} names a database that needs Java`,
      fix: 'write jdbc:sqlite:FILE, or leave it out for the default file',
      key: 'driver.url',
    });
  }
  if (!/^(SQLITE|DERBY)$/i.test(config['db.type'])) {
    findings.push({
      code: 'foreign-database',
      severity: 'error' as const,
      message: `db.type ${config['db.type']} cannot be had here`,
      fix: 'leave it out: events are kept in an SQLite file',
      key: 'db.type',
    });
  }
  return findings;
}
