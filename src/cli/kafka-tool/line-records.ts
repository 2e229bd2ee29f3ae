/** Lines as records, the way Kafka's LineMessageReader reads them: `headers TAB key TAB value`, each part if asked for. */
import type { RecordHeaders } from '../../records/cursor.ts';

export interface LineRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
}

/** A line is not of the form that was asked for. */
export class LineFault extends Error {}

const NO_HEADERS: RecordHeaders = [];

/** A reader under these properties. @throws LineFault properties contradict each other; so does the reader, for a line */
export function lineReader(properties: Readonly<Record<string, string>>): (line: string) => LineRecord {
  const on = (name: string): boolean => (properties[name] ?? 'false').trim().toLowerCase() === 'true';
  const [parseKey, parseHeaders, ignoreError] = [on('parse.key'), on('parse.headers'), on('ignore.error')];
  const keySeparator = properties['key.separator'] ?? '\t';
  const headersDelimiter = properties['headers.delimiter'] ?? '\t';
  const headersSeparator = properties['headers.separator'] ?? ',';
  const headersKeySeparator = properties['headers.key.separator'] ?? ':';
  const nullMarker = properties['null.marker'];
  const used = { 'headers.delimiter': headersDelimiter, 'headers.separator': headersSeparator, 'headers.key.separator': headersKeySeparator };
  if (parseHeaders)
    differ(
      [
        ['headers.delimiter', 'headers.separator'],
        ['headers.delimiter', 'headers.key.separator'],
        ['headers.separator', 'headers.key.separator'],
      ],
      used,
    );
  if (nullMarker !== undefined) {
    for (const [name, text] of Object.entries({ 'key.separator': keySeparator, ...used }))
      if (text === nullMarker) throw new LineFault(`null.marker and ${name} may not be equal`);
  }
  let number = 0;

  const cut = (line: string, from: number, separator: string, name: string): string | null => {
    const at = line.indexOf(separator, from);
    if (at >= 0) return line.slice(from, at);
    if (ignoreError) return null;
    throw new LineFault(`No ${name} found on line number ${number}: '${line}'`);
  };
  const content = (text: string): Buffer | null => (text === nullMarker ? null : Buffer.from(text));
  const headersOf = (text: string): RecordHeaders =>
    text.split(headersSeparator).map((pair) => {
      const at = pair.indexOf(headersKeySeparator);
      if (at < 0 && !ignoreError) throw new LineFault(`No header key separator found in pair '${pair}' on line number ${number}`);
      const name = at < 0 ? pair : pair.slice(0, at);
      if (name === nullMarker) throw new LineFault(`Header keys should not be equal to the null marker '${nullMarker}' as they can't be null`);
      return [name, at < 0 ? null : content(pair.slice(at + headersKeySeparator.length))];
    });

  return (line) => {
    number++;
    if (!parseKey && !parseHeaders) return { key: null, value: content(line), headers: NO_HEADERS };
    const headers = parseHeaders ? cut(line, 0, headersDelimiter, 'headers delimiter') : null;
    const keyAt = headers === null ? 0 : headers.length + headersDelimiter.length;
    const key = parseKey ? cut(line, keyAt, keySeparator, 'key separator') : null;
    const valueAt = keyAt + (key === null ? 0 : key.length + keySeparator.length);
    return {
      key: key === null ? null : content(key),
      value: content(line.slice(valueAt)),
      headers: headers === null || headers === nullMarker ? NO_HEADERS : headersOf(headers),
    };
  };
}

function differ(pairs: readonly (readonly [string, string])[], used: Readonly<Record<string, string>>): void {
  for (const [one, other] of pairs) if (used[one] === used[other]) throw new LineFault(`${one} and ${other} may not be equal`);
}
