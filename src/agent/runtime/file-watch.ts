/**
 * Tells when files may have changed: chokidar hears of writes and of editors' renames at once; a look at the file's
 * numbers each second catches what no notification tells (network disks, exchanged symbolic links). A change is
 * reported when the file has been still for a moment, so that a half written one is rarely read.
 */
import fs from 'node:fs/promises';
import { watch } from 'chokidar';
import type { Clock } from '../../lib/clock.ts';

const LOOK_MS = 1_000;
const STILL_MS = 100;
/** A file that never rests is read all the same after this long. */
const PATIENCE_MS = 2_000;

export interface FileWatchOptions {
  /** Absolute paths; they need not exist. */
  readonly files: readonly string[];
  readonly clock: Clock;
  readonly onChange: () => void;
}

/**
 * Starts watching; the function it answers ends it. Reports a change once at the beginning: what happened between the
 * reading of the files and this call nobody saw.
 */
export async function watchFiles({ files, clock, onChange }: FileWatchOptions): Promise<() => Promise<void>> {
  const abort = new AbortController();
  const { signal } = abort;
  let last = await marksOf(files);
  let settling: Promise<void> | undefined;
  const settle = async (): Promise<void> => {
    const deadline = clock.monotonic() + PATIENCE_MS;
    let before = await marksOf(files);
    for (;;) {
      await clock.sleep(STILL_MS, signal);
      if (signal.aborted) return;
      const now = await marksOf(files);
      if (now === before || clock.monotonic() > deadline) {
        const changed = now !== last;
        last = now;
        if (changed) onChange();
        return;
      }
      before = now;
    }
  };
  const noticed = (): void => {
    settling ??= settle().finally(() => {
      settling = undefined;
    });
  };
  const watcher = watch([...files], { ignoreInitial: true });
  watcher.on('all', noticed);
  // Without notifications (too many watches on the machine) the look each second remains.
  watcher.on('error', noticed);
  const looking = (async () => {
    while (!signal.aborted) {
      await clock.sleep(LOOK_MS, signal);
      if (!signal.aborted && (await marksOf(files)) !== last) noticed();
    }
  })();
  onChange();
  return async () => {
    abort.abort();
    await Promise.all([looking, settling, watcher.close()]);
  };
}

/** What tells one state of the files from another. */
async function marksOf(files: readonly string[]): Promise<string> {
  const marks = await Promise.all(
    files.map(async (file) => {
      try {
        const { ino, size, mtimeMs, ctimeMs } = await fs.stat(file);
        return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? 'unreadable';
      }
    }),
  );
  return marks.join('\n');
}

/** Calls `act` each `periodMs` until the answered function is called. */
export function repeat(periodMs: number, clock: Clock, act: () => void): () => Promise<void> {
  const abort = new AbortController();
  const task = (async () => {
    while (!abort.signal.aborted) {
      await clock.sleep(periodMs, abort.signal);
      if (!abort.signal.aborted) act();
    }
  })();
  return () => {
    abort.abort();
    return task;
  };
}
