/**
 * An Avro container file whose datums are the event bodies themselves (Flume's org.apache.flume.sink.hdfs.
 * AvroEventSerializer): events as the AVRO deserializer makes them. The first event of a file names the schema, by header
 * flume.avro.schema.url, else flume.avro.schema.literal, else schemaURL; all others of that file are taken to have it too.
 */
import { readFileSync } from 'node:fs';
import { AppError, DeliveryError } from '../../lib/errors.ts';
import { text } from '../../lib/props/spec.ts';
import { defineSerializer } from '../core/define.ts';
import type { Sealed } from '../core/event.ts';
import type { Serializer } from '../core/serializer.ts';
import { AvroBlocks, type BlockOptions, codecFindings, containerProperties } from '../wire/avro-blocks.ts';
import { canonicalForm } from '../wire/avro-schema.ts';

export default defineSerializer({
  type: 'HDFS_AVRO',
  aliases: ['org.apache.flume.sink.hdfs.AvroEventSerializer$Builder'],
  summary: 'An Avro container file whose records are the event bodies, with the schema the events name in a header.',
  properties: {
    ...containerProperties,
    schemaURL: text({ doc: 'Schema of events that name none: a path or file: URL. hdfs: and http: are not read here.' }),
  },
  check: (config) => codecFindings(config.compressionCodec),
  create: (config) => new HdfsAvroSerializer(config, config.schemaURL),
});

class HdfsAvroSerializer implements Serializer {
  readonly supportsReopen = false;
  readonly #blocks: AvroBlocks;
  readonly #schemaUrl: string | undefined;
  #opened = false;

  constructor(options: BlockOptions, schemaUrl: string | undefined) {
    this.#blocks = new AvroBlocks(options);
    this.#schemaUrl = schemaUrl;
  }

  /** @throws DeliveryError the first event's schema is not to be had */
  write(batch: readonly Sealed[], out: Buffer[]): void {
    const first = batch[0];
    if (first && !this.#opened) {
      out.push(this.#blocks.header(schemaOf(first.headers, this.#schemaUrl)));
      this.#opened = true;
    }
    for (const { body } of batch) {
      this.#blocks.datums.bytes(body);
      this.#blocks.ended(out);
    }
  }

  flush(): Buffer | null {
    return this.#blocks.flush();
  }

  tail(): Buffer | null {
    return this.#blocks.flush();
  }
}

function schemaOf(headers: Readonly<Record<string, string>>, schemaUrl: string | undefined): string {
  const literal = headers['flume.avro.schema.literal'];
  const url = headers['flume.avro.schema.url'] ?? (literal === undefined ? schemaUrl : undefined);
  if (url === undefined && literal === undefined) {
    throw new DeliveryError('an event names no Avro schema', {
      fix: 'set schemaURL, or let the source put header flume.avro.schema.literal (spooldir: deserializer.schemaType = LITERAL)',
    });
  }
  const schema = url === undefined ? (literal as string) : schemaFile(url);
  try {
    canonicalForm(schema);
  } catch (cause) {
    throw new DeliveryError(`the Avro schema ${url === undefined ? 'in header flume.avro.schema.literal' : `at ${url}`} cannot be used`, { cause });
  }
  return schema;
}

function schemaFile(url: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1];
  if (scheme !== undefined && scheme.toLowerCase() !== 'file') {
    throw new DeliveryError(`the Avro schema at ${url} cannot be read: ${scheme}: is not supported`, { fix: 'put the schema into a file and name it file:/…' });
  }
  try {
    return readFileSync(scheme === undefined ? url : new URL(url), 'utf8');
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new DeliveryError(`the Avro schema at ${url} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
