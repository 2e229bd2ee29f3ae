/**
 * HEADER_AND_TEXT: `{key=value, key2=value2} ` before the body (Flume's HeaderAndBodyTextEventSerializer), the headers
 * as Java prints a HashMap: in hash order, nothing escaped.
 */
import { javaMapOrder } from '../../lib/java-hash-order.ts';
import { bool } from '../../lib/props/spec.ts';
import { defineSerializer } from '../core/define.ts';
import type { Serializer } from '../core/serializer.ts';

const NEWLINE = Buffer.from('\n');
const NO_HEADERS = Buffer.from('{} ');

export default defineSerializer({
  type: 'HEADER_AND_TEXT',
  aliases: ['org.apache.flume.serialization.HeaderAndBodyTextEventSerializer$Builder'],
  summary: 'The headers of each event in braces, a blank, the body, and a newline.',
  properties: {
    appendNewline: bool({ default: true, doc: 'Write a newline after each body.' }),
  },
  create: ({ appendNewline }): Serializer => ({
    supportsReopen: true,
    write(batch, out) {
      for (const { headers, body } of batch) {
        out.push(headersText(headers), body);
        if (appendNewline) out.push(NEWLINE);
      }
    },
  }),
});

function headersText(headers: Readonly<Record<string, string>>): Buffer {
  const keys = Object.keys(headers);
  if (keys.length === 0) return NO_HEADERS;
  const pairs = javaMapOrder(keys).map((key) => `${key}=${headers[key]}`);
  return Buffer.from(`{${pairs.join(', ')}} `);
}
