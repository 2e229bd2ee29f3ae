/**
 * `kafka-server-start.sh [-daemon] server.properties [--override k=v]*`: runs the broker in the foreground, or with
 * -daemon in the background, with its output in logs/kafkaServer.out and its log in logs/server.log. The same program is forked by `flume-ng agent
 * --broker` (cli/broker-process.ts), which then talks to it over IPC: `ready` with ports, `stop`.
 *
 * Ends on SIGTERM or SIGINT with a clean stop (exit 143 or 130), at once on the second signal; exit 1 when it cannot start.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type RunningBroker, startBroker } from '../broker/server.ts';
import { systemClock } from '../lib/clock.ts';
import { AppError, errorText } from '../lib/errors.ts';
import { brokerLog } from './broker-log.ts';
import { loadBrokerSettings } from './broker-settings.ts';

const USAGE = 'USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*';
const EXIT = { failed: 1, interrupted: 130, terminated: 143 } as const;
const VERSION = '3.9.1';

interface Call {
  readonly file: string;
  readonly overrides: readonly string[];
  readonly daemon: boolean;
}

function parse(words: readonly string[]): Call | null {
  let daemon = false;
  let file: string | undefined;
  const overrides: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word === '-daemon') daemon = true;
    else if (word === '--override' && words[i + 1] !== undefined) overrides.push(words[++i] as string);
    else if (word.startsWith('-name') || word === '-loggc') i += word === '-name' ? 1 : 0;
    else if (file === undefined && !word.startsWith('-')) file = word;
    else return null;
  }
  return file === undefined ? null : { file, overrides, daemon };
}

/** Starts itself again in a session of its own and returns its process id. @throws AppError nothing can be written where logs belong */
function runInBackground(words: readonly string[]): number | undefined {
  const home = resolve(fileURLToPath(import.meta.url), '../../..');
  const dir = resolve(process.env.LOG_DIR || join(home, 'logs'));
  const out = consoleFile(dir);
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...words.filter((word) => word !== '-daemon')], {
    detached: true,
    stdio: ['ignore', out, out],
    env: { ...process.env, LOG_DIR: dir },
  });
  child.unref();
  closeSync(out);
  return child.pid;
}

/** What the background broker prints; begun anew with each start, as Kafka does: server.log keeps what was before. */
function consoleFile(dir: string): number {
  try {
    mkdirSync(dir, { recursive: true });
    return openSync(join(dir, 'kafkaServer.out'), 'w');
  } catch (error) {
    throw new AppError('STORAGE', `cannot write logs in ${dir}: ${errorText(error)}`, {
      fix: 'set LOG_DIR to a directory that this user may write in',
      cause: error,
    });
  }
}

async function main(words: readonly string[]): Promise<void> {
  if (words[0] === '--version') {
    process.stdout.write(`${VERSION}\n`);
    return;
  }
  if (words[0] === '--help' || words[0] === '-h') {
    process.stderr.write(`${USAGE}\n`);
    return;
  }
  const call = parse(words);
  if (!call) {
    process.stderr.write(`${USAGE}\n`);
    process.exit(EXIT.failed);
  }
  if (call.daemon) {
    try {
      runInBackground(words);
    } catch (error) {
      process.stderr.write(`${errorText(error)}${error instanceof AppError && error.fix ? `; ${error.fix}` : ''}\n`);
      process.exit(EXIT.failed);
    }
    return;
  }
  const log = brokerLog((process.env.LOG_LEVEL ?? 'info').toLowerCase(), process.env.LOG_DIR || undefined);
  let running: RunningBroker | undefined;
  let stopRequested = 0;
  const stop = (exitCode: number): void => {
    stopRequested++;
    if (stopRequested > 1 || !running) process.exit(exitCode);
    log.info({ where: 'kafka.server.KafkaServer' }, `[KafkaServer id=${running.broker.nodeId}] shutting down`);
    running.stop().then(
      () => {
        log.info({ where: 'kafka.server.KafkaServer' }, `[KafkaServer id=${running?.broker.nodeId}] shut down completed`);
        process.exit(exitCode);
      },
      (error) => {
        log.error({ err: error }, `the stop was not clean: ${errorText(error)}`);
        process.exit(EXIT.failed);
      },
    );
  };
  process.on('SIGTERM', () => stop(EXIT.terminated));
  // Forked by an agent: Ctrl-C reaches the whole terminal group, but the agent decides when its broker stops, last.
  process.on('SIGINT', () => process.send === undefined && stop(EXIT.interrupted));
  process.on('SIGHUP', () => {});
  process.on('message', (message) => message === 'stop' && stop(0));
  process.on('disconnect', () => stop(0));
  try {
    const settings = await loadBrokerSettings(call.file, call.overrides, log);
    running = await startBroker({ settings, clock: systemClock, log });
    log.info({ where: 'kafka.server.KafkaServer' }, `Kafka version: ${VERSION} (Millrace, protocol compatible), cluster ${running.broker.clusterId}`);
    log.info({ where: 'kafka.server.KafkaServer' }, `[KafkaServer id=${running.broker.nodeId}] started`);
    process.send?.({ kind: 'ready', ports: Object.fromEntries(running.ports) });
  } catch (error) {
    const fix = error instanceof AppError && error.fix ? `; ${error.fix}` : '';
    log.error({ err: error instanceof AppError ? undefined : error, where: 'kafka.server.KafkaServer' }, `the broker cannot start: ${errorText(error)}${fix}`);
    process.exit(EXIT.failed);
  }
}

await main(process.argv.slice(2));
