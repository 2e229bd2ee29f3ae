/**
 * The broker's log in Kafka's shape: `[2026-11-21 13:14:59,123] INFO [KafkaServer id=0] started (kafka.server.KafkaServer)`,
 * on stdout and, where there is a directory of logs, in its `server.log`, which begins anew with every hour.
 * Level by `-Dkafka.logs.level` or LOG_LEVEL; errors carry what the message does not say on lines of their own.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { type DestinationStream, pino } from 'pino';
import type { Logger } from '../lib/log.ts';
import { FileOutput } from './log-outputs.ts';

const STDOUT = 1;
const NAMES: Readonly<Record<number, string>> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' };

/** `2026-11-21 13:14:59,123` in local time, as log4j prints it. */
function stamp(epochMs: number): string {
  const local = new Date(epochMs - new Date(epochMs).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 23).replace('T', ' ').replace('.', ',');
}

interface Line {
  readonly level: number;
  readonly time: number;
  readonly msg?: string;
  readonly where?: string;
  readonly err?: { readonly message: string; readonly stack?: string };
}

/** @param dir of logs; without one, lines go to stdout alone. A closed pipe is ignored, so that the broker outlives its terminal */
export function brokerLog(level: string, dir?: string): Logger {
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const file = dir === undefined ? undefined : new FileOutput(join(dir, 'server.log'), { maxBytes: 0, backups: 0, every: 'hour' }, say);
  if (file) process.on('exit', () => file.close());
  const destination: DestinationStream = {
    write(json: string) {
      const { level: number, time, msg, where, err } = JSON.parse(json) as Line;
      const detail = err && number >= 50 && err.stack ? `\n${err.stack}` : '';
      const text = `[${stamp(time)}] ${NAMES[number] ?? 'INFO'} ${msg ?? ''} (${where ?? 'millrace.broker'})${detail}\n`;
      file?.write(text);
      try {
        writeSync(STDOUT, text);
      } catch {
        // Nobody reads; there is no other place to say so.
      }
    },
  };
  return pino({ level, base: {}, serializers: { err: pino.stdSerializers.err } }, destination);
}
