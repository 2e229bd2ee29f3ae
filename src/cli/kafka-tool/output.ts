/** Where the tools write: results to stdout, everything else to stderr, log lines in log4j's form. */
import { ProtocolError } from '../../lib/errors.ts';
import { javaError, logDate } from './java-text.ts';

export function out(text: string): void {
  process.stdout.write(text);
}

export function err(text: string): void {
  process.stderr.write(text);
}

/** A line as the tools' log4j prints it, on stderr. */
export function logLine(level: 'WARN' | 'ERROR', text: string, javaClass: string): void {
  err(`[${logDate(Date.now())}] ${level} ${text} (${javaClass})\n`);
}

/** A broker's answer with an error code, as a Java client words it. */
export class WireError extends ProtocolError {
  constructor(wireCode: number, message: string) {
    super(message, { wireCode });
  }
  /** `org.apache.kafka.common.errors.…: message` */
  get javaText(): string {
    return javaError(this.wireCode, this.message);
  }
}
