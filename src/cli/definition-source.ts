/**
 * Where a definition comes from: files, or URIs (Flume 1.10's --conf-uri). Reads bytes, tells when they may have changed,
 * and keeps a copy for starts without the source (--backup-directory).
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DefinitionText } from '../agent/config/table.ts';
import { AppError, errorText } from '../lib/errors.ts';
import type { RawValue } from '../lib/props/finding.ts';

const HTTP_TIMEOUT_MS = 60_000;

export interface DefinitionPlaces {
  readonly files: readonly string[];
  readonly uris: readonly string[];
  readonly credentials: { readonly user: string; readonly password: string } | undefined;
  /** Searched for `classpath:` URIs. */
  readonly classpath: readonly string[];
  readonly cwd: string;
}

interface HttpCopy {
  readonly bytes: Uint8Array;
  readonly lastModified: string | null;
}

export class DefinitionSource {
  readonly #places: DefinitionPlaces;
  readonly #copies = new Map<string, HttpCopy>();

  constructor(places: DefinitionPlaces) {
    this.#places = places;
  }

  /** Absolute paths of what can be watched. */
  get watched(): readonly string[] {
    const { files, uris, cwd } = this.#places;
    const local = uris.filter((uri) => uri.startsWith('file:')).map((uri) => fileURLToPath(uri));
    return [...files.map((file) => path.resolve(cwd, file)), ...local];
  }

  /** Whether there is something that must be asked again from time to time. */
  get polled(): boolean {
    return this.#places.uris.some((uri) => /^https?:/i.test(uri));
  }

  /** Reads everything. @throws AppError one of them cannot be read */
  async read(): Promise<readonly DefinitionText[]> {
    const { files, uris, cwd } = this.#places;
    if (uris.length === 0) return Promise.all(files.map(async (file) => ({ file, bytes: await readBytes(path.resolve(cwd, file), file) })));
    return Promise.all(uris.map(async (uri) => ({ file: uri, bytes: await this.#readUri(uri) })));
  }

  async #readUri(uri: string): Promise<Uint8Array> {
    if (/^https?:/i.test(uri)) return this.#download(uri);
    if (uri.startsWith('file:')) return readBytes(fileURLToPath(uri), uri);
    if (uri.startsWith('classpath:')) return this.#fromClasspath(uri.slice('classpath:'.length).replace(/^\/+/, ''));
    if (/^[a-z][a-z0-9+.-]+:/i.test(uri)) throw new AppError('DEFINITION', `cannot read ${uri}`, { fix: 'known are http:, https:, file: and classpath:' });
    return readBytes(path.resolve(this.#places.cwd, uri), uri);
  }

  async #fromClasspath(name: string): Promise<Uint8Array> {
    const { classpath, cwd } = this.#places;
    for (const dir of classpath) {
      const file = path.resolve(cwd, dir, name);
      const found = await fs.stat(file).catch(() => null);
      if (found?.isFile()) return readBytes(file, file);
    }
    throw new AppError('DEFINITION', `${name} is in none of the directories of --conf and --classpath`, { fix: 'give its path with --conf-file' });
  }

  async #download(uri: string): Promise<Uint8Array> {
    const { credentials } = this.#places;
    const copy = this.#copies.get(uri);
    const headers: Record<string, string> = {};
    if (credentials) headers.authorization = `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`;
    if (copy?.lastModified) headers['if-modified-since'] = copy.lastModified;
    let reply: Response;
    try {
      reply = await fetch(uri, { headers, signal: AbortSignal.timeout(HTTP_TIMEOUT_MS) });
    } catch (error) {
      throw new AppError('DEFINITION', `cannot reach ${uri}: ${errorText(error instanceof Error && error.cause ? error.cause : error)}`, { retriable: true });
    }
    if (reply.status === 304 && copy) return copy.bytes;
    if (reply.status === 401) throw new AppError('DEFINITION', `Authorization failed for ${uri}`, { fix: 'check --conf-user and --conf-password' });
    if (reply.status === 404) throw new AppError('DEFINITION', `Unable to locate ${uri}`, { fix: 'check the address' });
    if (!reply.ok) throw new AppError('DEFINITION', `${uri} answered ${reply.status}`, { retriable: true });
    const bytes = new Uint8Array(await reply.arrayBuffer());
    this.#copies.set(uri, { bytes, lastModified: reply.headers.get('last-modified') });
    return bytes;
  }
}

async function readBytes(file: string, shown: string): Promise<Uint8Array> {
  try {
    return await fs.readFile(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a directory' : code === 'EACCES' ? 'no right to read it' : errorText(error);
    throw new AppError('DEFINITION', `Unable to read file ${file}: ${why}`, {
      cause: error,
      fix: shown === file ? 'check the path and its rights' : `check ${/^\w{2,}:/.test(shown) ? '--conf-uri' : '--conf-file'} ${shown}`,
    });
  }
}

/** The backup of one agent's definition: Flume's `<dir>/.<agent>.properties`. */
export function backupFile(dir: string, agent: string, cwd: string): string {
  return path.resolve(cwd, dir, `.${agent}.properties`);
}

/** Writes the effective definition, readable by its owner alone, since passwords are in it; replaces the file in one step. */
export async function writeBackup(file: string, effective: ReadonlyMap<string, RawValue>): Promise<void> {
  const { propertiesText } = await import('../agent/config/write-back.ts');
  await fs.mkdir(path.dirname(file), { recursive: true });
  await fs.writeFile(`${file}.tmp`, propertiesText(effective), { mode: 0o600 });
  await fs.rename(`${file}.tmp`, file);
}
