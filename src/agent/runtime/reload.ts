/**
 * Takes over a changed definition: one at a time, the latest wins, and whatever is wrong with it, what runs goes on
 * running. Flume replaces everything on any change, applies an empty file, and may stop looking after an error.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { errorText } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Finding } from '../../lib/props/finding.ts';
import type { AgentModel, LoadedAgent } from '../config/model.ts';
import type { DefinitionText } from '../config/table.ts';
import { type Changes, isEmpty, type Names } from './changes.ts';

const SECOND_LOOK_MS = 100;

/** The running agent as a reload sees it. */
export interface Reloadable {
  apply(model: AgentModel): Promise<Changes>;
  refuseReload(reason: string): void;
}

export interface ReloaderOptions {
  readonly agent: Reloadable;
  /** Reads the definition's bytes. */
  readonly read: () => Promise<readonly DefinitionText[]>;
  readonly load: (texts: readonly DefinitionText[]) => Promise<LoadedAgent>;
  readonly log: Logger;
  readonly clock: Clock;
  /** What runs now, to tell new errors from those the agent was started with. */
  readonly running: { readonly texts: readonly DefinitionText[]; readonly findings: readonly Finding[] };
  /** Called after each definition that was taken over. */
  readonly onApplied?: (loaded: LoadedAgent) => Promise<void>;
  /** A line for a finding. */
  readonly describe: (finding: Finding) => string;
}

/** `changed`: somebody saw a change; bytes that are the same mean nothing to do. `asked`: a person asked (SIGHUP). */
export type ReloadReason = 'changed' | 'asked';

export class Reloader {
  readonly #options: ReloaderOptions;
  #digest: string;
  #errors: ReadonlySet<string>;
  #wanted: ReloadReason | undefined;
  #task: Promise<void> | undefined;
  #stopped = false;
  #lastTrouble = '';

  constructor(options: ReloaderOptions) {
    const { texts, findings } = options.running;
    this.#options = options;
    this.#digest = digestOf(texts);
    this.#errors = errorsOf(findings);
  }

  /** Asks for a reload; resolves when it, and those that came meanwhile, are done. Never rejects. */
  request(reason: ReloadReason): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    if (this.#wanted !== 'asked') this.#wanted = reason;
    this.#task ??= this.#work();
    return this.#task;
  }

  /** Takes no more requests; resolves when the one under way is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wanted = undefined;
    await this.#task;
  }

  async #work(): Promise<void> {
    while (this.#wanted !== undefined) {
      const reason = this.#wanted;
      this.#wanted = undefined;
      try {
        await this.#once(reason);
      } catch (error) {
        this.#refuse(errorText(error));
      }
    }
    this.#task = undefined;
  }

  async #once(reason: ReloadReason): Promise<void> {
    const { read, load, log, agent, onApplied, describe, clock } = this.#options;
    const texts = await read();
    const digest = digestOf(texts);
    if (reason === 'changed' && digest === this.#digest && this.#lastTrouble === '') return;
    // Also before it is known to be good: only a further change of the bytes is worth another attempt.
    this.#digest = digest;
    const loaded = await load(texts);
    // Errors the agent already runs with do not keep a better definition out.
    const errors = loaded.findings.filter((finding) => finding.severity === 'error' && !this.#errors.has(keyOf(finding)));
    if (loaded.model === null || errors.length > 0) {
      // Perhaps somebody was just writing: what changes again at once is not worth a word.
      await clock.sleep(SECOND_LOOK_MS);
      if (digestOf(await read()) !== digest) {
        this.#wanted ??= reason;
        return;
      }
      for (const finding of errors) log.error(describe(finding));
      return this.#refuse(loaded.model === null ? 'nothing of the changed definition could run' : `the changed definition has ${errors.length} new errors`);
    }
    for (const finding of loaded.findings) log[levelOf(finding)](describe(finding));
    if (this.#stopped) return;
    const changes = await agent.apply(loaded.model).catch((error: unknown) => {
      log.error({ err: error }, errorText(error));
      return undefined;
    });
    this.#lastTrouble = '';
    if (changes === undefined) return;
    this.#errors = errorsOf(loaded.findings);
    log.info(isEmpty(changes) ? 'the definition was read again; nothing in it has changed' : `the changed definition runs: ${summary(changes)}`);
    await onApplied?.(loaded);
  }

  #refuse(why: string): void {
    this.#options.agent.refuseReload(why);
    if (why === this.#lastTrouble) return;
    this.#lastTrouble = why;
    this.#options.log.error(`${why}; the agent runs on with the previous definition`);
  }
}

function levelOf(finding: Finding): 'error' | 'warn' | 'info' {
  return finding.severity === 'warning' ? 'warn' : finding.severity;
}

function keyOf({ code, component, message }: Finding): string {
  return `${code} ${component} ${message}`;
}

function errorsOf(findings: readonly Finding[]): ReadonlySet<string> {
  return new Set(findings.filter((finding) => finding.severity === 'error').map(keyOf));
}

function digestOf(texts: readonly DefinitionText[]): string {
  const hash = createHash('sha256');
  for (const { bytes } of texts) hash.update(`${bytes.length}:`).update(bytes);
  return hash.digest('hex');
}

/** e.g. `started r2; stopped k1; built anew c1; resized c2`. */
function summary({ stop, start, adopted }: Changes): string {
  const names = ({ channels, sinks, sources }: Names): readonly string[] => [...channels, ...sinks, ...sources];
  const [left, came] = [names(stop), names(start)];
  const parts = [
    ['built anew', came.filter((name) => left.includes(name))],
    ['started', came.filter((name) => !left.includes(name))],
    ['stopped', left.filter((name) => !came.includes(name))],
    ['changed while running', adopted],
  ] as const;
  const said = parts.filter(([, list]) => list.length > 0).map(([what, list]) => `${what} ${list.join(', ')}`);
  return said.join('; ') || 'sink groups changed';
}
