/** What both verifiable tools have: events as lines of JSON, complaints about command lines as argparse words them, and their end. */
import { javaDouble } from './java-text.ts';
import { type Options, UsageFault } from './options.ts';
import { out } from './output.ts';

/** Prints one event; `doubles` come last and with a decimal point, as Java prints them. */
export function printEvent(name: string, fields: Readonly<Record<string, unknown>> = {}, doubles: Readonly<Record<string, number>> = {}): void {
  const text = JSON.stringify({ timestamp: Date.now(), name, ...fields });
  const more = Object.entries(doubles).map(([key, value]) => `,${JSON.stringify(key)}:${javaDouble(value)}`);
  out(`${text.slice(0, -1)}${more.join('')}}\n`);
}

/** Makes the complaints of one tool. */
export type ArgumentFault = (message: string) => UsageFault;

export function argumentFault(tool: string, usage: string): ArgumentFault {
  return (message) => new UsageFault(`${usage}\n${tool}: error: ${message}`, { brief: true });
}

/** The brokers to connect to. @throws UsageFault none are named */
export function bootstrapWords(options: Options, fault: ArgumentFault): string[] {
  const given = options.get('bootstrap-server') ?? options.get('broker-list');
  if (given === undefined) throw fault('one of the arguments --bootstrap-server --broker-list is required');
  return given
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** Runs a tool until it has done its work or is told to stop; answers the exit code, 128 and the signal's number in that case. */
export async function runUntilSignal(tool: { run(): Promise<void>; stop(): void }): Promise<number> {
  let exitCode = 0;
  const end = (code: number): void => {
    exitCode = code;
    tool.stop();
  };
  process.once('SIGINT', () => end(130)).once('SIGTERM', () => end(143));
  await tool.run();
  return exitCode;
}
