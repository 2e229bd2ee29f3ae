/**
 * A table of properties back to text that Java and the lexer read alike. The table is properties-reader's: it has no
 * idea of Java's escapes, so keys and values go in escaped. Imported only where a definition is written.
 */
import propertiesReader from 'properties-reader';
import type { RawValue } from '../../lib/props/finding.ts';
import { escapeProperty } from '../../lib/props/lexer.ts';

/** One property a line, in the order of the table. Secrets are in it as they are. */
export function propertiesText(table: ReadonlyMap<string, Pick<RawValue, 'value'>>): string {
  const properties = propertiesReader({ allowDuplicateSections: true, saveSections: false });
  for (const [key, { value }] of table) properties.set(escapeProperty(key, 'key'), escapeProperty(value, 'value'));
  return [...properties.out()].map((line) => `${line}\n`).join('');
}
