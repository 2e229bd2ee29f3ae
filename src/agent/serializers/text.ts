/**
 * TEXT: the body and a newline (Flume's BodyTextEventSerializer). A batch is copied into one buffer, so a sink has one
 * thing to write.
 */
import { bool } from '../../lib/props/spec.ts';
import { defineSerializer } from '../core/define.ts';
import type { Sealed } from '../core/event.ts';
import type { Serializer } from '../core/serializer.ts';

const NEWLINE = 0x0a;

export default defineSerializer({
  type: 'TEXT',
  aliases: ['org.apache.flume.serialization.BodyTextEventSerializer$Builder'],
  summary: 'The body of each event as it is, each followed by a newline; headers are left out.',
  properties: {
    appendNewline: bool({ default: true, doc: 'Write a newline after each body.' }),
  },
  create: ({ appendNewline }) => (appendNewline ? lines : bodies),
});

const lines: Serializer = {
  supportsReopen: true,
  write(batch, out) {
    const bytes = Buffer.allocUnsafeSlow(bodyBytes(batch) + batch.length);
    let at = 0;
    for (let i = 0; i < batch.length; i++) {
      const { body } = batch[i] as Sealed;
      bytes.set(body, at);
      at += body.length;
      bytes[at++] = NEWLINE;
    }
    out.push(bytes);
  },
};

const bodies: Serializer = {
  supportsReopen: true,
  write(batch, out) {
    for (let i = 0; i < batch.length; i++) out.push((batch[i] as Sealed).body);
  },
};

function bodyBytes(batch: readonly Sealed[]): number {
  let sum = 0;
  for (let i = 0; i < batch.length; i++) sum += (batch[i] as Sealed).body.length;
  return sum;
}
