/**
 * The broker's log in Kafka's shape on one descriptor: `[2026-11-21 13:14:59,123] INFO [KafkaServer id=0] started (kafka.server.KafkaServer)`.
 * Level by `-Dkafka.logs.level` or LOG_LEVEL; errors carry what the message does not say on lines of their own.
 */
import { writeSync } from 'node:fs';
import { type DestinationStream, pino } from 'pino';
import type { Logger } from '../lib/log.ts';

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

/** @param fd where lines go, 1 = stdout; a closed pipe is ignored, so that the broker outlives its terminal */
export function brokerLog(level: string, fd = 1): Logger {
  const destination: DestinationStream = {
    write(json: string) {
      const { level: number, time, msg, where, err } = JSON.parse(json) as Line;
      const detail = err && number >= 50 && err.stack ? `\n${err.stack}` : '';
      try {
        writeSync(fd, `[${stamp(time)}] ${NAMES[number] ?? 'INFO'} ${msg ?? ''} (${where ?? 'millrace.broker'})${detail}\n`);
      } catch {
        // Nobody reads; there is no other place to say so.
      }
    },
  };
  return pino({ level, base: {}, serializers: { err: pino.stdSerializers.err } }, destination);
}
