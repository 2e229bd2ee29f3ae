/**
 * The logger every part is handed: pino's call shape, so `log.info({ port }, 'listening')` works and parts need not
 * know where lines go. `cli/` builds the real one.
 */
import type { Logger as PinoLogger } from 'pino';

export type Logger = Pick<PinoLogger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'isLevelEnabled'>;
