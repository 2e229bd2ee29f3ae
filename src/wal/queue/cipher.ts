/**
 * Encryption of a queue's batches (Flume's AESCTRNOPADDING). The records of a batch, headers and bodies alike, become the
 * value of one record whose key says how: alias length u8 · alias · initial counter block (16 bytes) · number of records u32.
 * The batch keeps its offsets and its checksum, which is over the encrypted bytes; tools see one record they cannot read.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { ChannelError, ConfigError } from '../../lib/errors.ts';
import { type FileSystem, readWhole } from '../../lib/files.ts';
import { BatchView, HEADER_BYTES } from '../../records/batch.ts';
import { BatchBuilder } from '../../records/builder.ts';
import { RecordCursor } from '../../records/cursor.ts';

const IV_BYTES = 16;

/** Keys by alias, 16, 24 or 32 bytes each. */
export type KeyRing = ReadonlyMap<string, Buffer>;

/**
 * Reads a key file: one key a line, `alias = hex` or `alias = base64`, `#` begins a comment.
 * @throws ConfigError no such file, or a line that is no key
 */
export function readKeyFile(disk: FileSystem, path: string): KeyRing {
  const text = readWhole(disk, path)?.toString('utf8');
  if (text === undefined) throw new ConfigError(`the key file ${path} does not exist`, { fix: 'make it, with lines such as: k1 = (64 hex digits)' });
  const keys = new Map<string, Buffer>();
  text.split('\n').forEach((line, i) => {
    const plain = line.replace(/#.*$/, '').trim();
    if (plain === '') return;
    const [alias = '', value = ''] = plain.split(/\s*=\s*(.*)/s);
    const key = /^([0-9a-f]{2})+$/i.test(value) && [32, 48, 64].includes(value.length) ? Buffer.from(value, 'hex') : Buffer.from(value, 'base64');
    if (alias === '' || ![16, 24, 32].includes(key.length)) {
      throw new ConfigError(`line ${i + 1} of the key file ${path} is not a key of 16, 24 or 32 bytes`, {
        fix: 'write: alias = key, the key in hex or base64, e.g. from `openssl rand -hex 32`',
      });
    }
    keys.set(alias, key);
  });
  return keys;
}

export class BatchCipher {
  readonly #keys: KeyRing;
  readonly #active: string;

  /** @throws ConfigError the active key is not in the ring */
  constructor(keys: KeyRing, active: string) {
    this.#keys = keys;
    this.#active = active;
    if (!keys.has(active))
      throw new ConfigError(`the key file has no key "${active}"`, { fix: `add it, or set encryption.activeKey to one of: ${[...keys.keys()].join(', ')}` });
  }

  /** An encrypted batch that covers as many offsets as the plain one. */
  seal(plain: Buffer): Buffer {
    const view = new BatchView(plain);
    const key = this.#keys.get(this.#active)!;
    const iv = randomBytes(IV_BYTES);
    const alias = Buffer.from(this.#active);
    const head = Buffer.alloc(1 + alias.length + IV_BYTES + 4);
    head[0] = alias.length;
    alias.copy(head, 1);
    iv.copy(head, 1 + alias.length);
    head.writeUInt32BE(view.count, 1 + alias.length + IV_BYTES);
    const sealed = createCipheriv(algorithm(key), key, iv).update(view.payload);
    const builder = new BatchBuilder(
      { producerId: view.producerId, producerEpoch: view.producerEpoch, baseSequence: view.baseSequence },
      sealed.length + head.length + 128,
    );
    builder.append(head, sealed, view.maxTimestamp);
    return builder.finish(view.lastOffsetDelta);
  }

  /** The plain batch. @throws ChannelError its key is not in the ring; ProtocolError it is not an encrypted batch */
  open(sealed: BatchView): BatchView {
    const cursor = new RecordCursor(sealed);
    cursor.next();
    const head = cursor.key();
    const value = cursor.value();
    const aliasBytes = head?.[0] ?? 0;
    if (!head || !value || head.length !== 1 + aliasBytes + IV_BYTES + 4) return sealed;
    const alias = head.toString('utf8', 1, 1 + aliasBytes);
    const key = this.#keys.get(alias);
    if (!key) throw missingKey(alias);
    const iv = head.subarray(1 + aliasBytes, 1 + aliasBytes + IV_BYTES);
    const plain = createDecipheriv(algorithm(key), key, iv).update(value);
    const out = Buffer.allocUnsafeSlow(HEADER_BYTES + plain.length);
    sealed.buf.copy(out, 0, sealed.at, sealed.at + HEADER_BYTES);
    plain.copy(out, HEADER_BYTES);
    out.writeInt32BE(out.length - 12, 8);
    out.writeUInt32BE(head.readUInt32BE(1 + aliasBytes + IV_BYTES), 57);
    return new BatchView(out);
  }
}

/** Whether a batch is encrypted: one record with a key, which events never have. */
export function isSealed(batch: BatchView): boolean {
  if (batch.count !== 1) return false;
  const cursor = new RecordCursor(batch);
  return cursor.next() && cursor.keyLength > 0;
}

/** What to say when a batch cannot be read for want of a key. */
export function missingKey(alias?: string): ChannelError {
  return new ChannelError(
    alias === undefined
      ? 'events in the channel are encrypted, but no encryption is configured'
      : `events in the channel are encrypted with key "${alias}", which the key file lacks`,
    {
      fix:
        alias === undefined
          ? 'set encryption.* as it was when they were written'
          : `put ${alias} back into the key file; keys are needed until the events written with them have left`,
      retriable: true,
    },
  );
}

function algorithm(key: Buffer): string {
  return `aes-${key.length * 8}-ctr`;
}
