/**
 * The faults an agent has to survive, as a table: each is brought about, survived, and met by a SIGTERM while it lasts.
 * Whatever happens, every event is in one place (the conservation figures have no gap), a stop ends in time with exit
 * code 143, and what was accepted is delivered or its loss is said in numbers.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { AgentProcess, definition, freePort, until } from './agent-process.ts';

/** Long proofs (`npm run proof`) have the full numbers of the list of faults; `npm test` smaller ones of the same kind. */
export const PROOF = process.env.MILLRACE_PROOF !== undefined;

/** One flow r1 → c1 → k1 into files, in a directory of its own, with monitoring. */
export interface FaultSetting {
  /** Lines of the definition below `a1.`; `$PORT` and `$OTHER` are free ports, `$DIR` the directory. Later lines win. */
  readonly lines: string;
  /** Further arguments. */
  readonly args?: readonly string[];
  /** Before the agent starts. */
  readonly before?: (rig: Rig) => Promise<void> | void;
}

export interface Fault extends FaultSetting {
  readonly name: FaultName;
  /** Which of several tests of this fault. */
  readonly where?: string;
  /** Brings the fault about; it lasts when this resolves. */
  readonly bring: (rig: Rig) => Promise<void>;
  /** Ends it, and looks at what became of the events. */
  readonly survive: (rig: Rig) => Promise<void>;
}

/** The list every agent is measured by; unit/faults-listed.test.ts holds that each has its tests. */
export const FAULTS = [
  'port in use',
  'a 100 MB line without newline',
  '500 connections',
  'a client that never reads its OKs',
  'non-UTF-8 bytes',
  'empty and zero-byte files',
  'a spool file vanishing',
  'a spool file growing',
  'a spool file unreadable',
  'the spool directory removed',
  'exec command missing',
  'exec command crashing in a loop',
  'exec command printing without newline',
  'exec command with much output',
  'a channel full for long',
  'a sink throwing forever',
  'an interceptor throwing',
  'the definition deleted',
  'the definition half-written',
  'the definition replaced by rubbish',
  'the definition reloaded under load',
] as const;
export type FaultName = (typeof FAULTS)[number];

interface Status {
  readonly status: string;
  readonly reloads: { readonly applied: number; readonly refused: number };
  readonly components: readonly { readonly name: string; readonly status: string; readonly counters: Readonly<Record<string, number>> }[];
  readonly flows: readonly { readonly received: number; readonly delivered: number; readonly inChannel: number; readonly gap: number | null }[];
}

/** A running agent under a fault. */
export class Rig {
  readonly agent = new AgentProcess('');
  readonly port: number;
  /** For a second source. */
  readonly otherPort: number;
  readonly monitoring: number;
  /** Events somebody was told are stored; a test adds to it. */
  accepted = 0;
  /** Ended with the test. */
  readonly open: { close(): unknown }[] = [];

  private constructor([port, otherPort, monitoring]: readonly [number, number, number]) {
    this.port = port;
    this.otherPort = otherPort;
    this.monitoring = monitoring;
  }

  static async start({ lines, args = [], before }: FaultSetting): Promise<Rig> {
    const rig = new Rig([await freePort(), await freePort(), await freePort()]);
    for (const name of ['out', 'spool', 'mine']) fs.mkdirSync(rig.path(name));
    for (const [name, text] of Object.entries(PLUGINS)) fs.writeFileSync(rig.path('mine', `${name}.mjs`), text);
    rig.define(lines);
    await before?.(rig);
    rig.agent.start('--plugins-path', 'mine', '-Dflume.monitoring.type=http', `-Dflume.monitoring.port=${rig.monitoring}`, ...args);
    await rig.agent.says('monitoring (http) on port');
    return rig;
  }

  path(...names: string[]): string {
    return path.join(this.agent.dir, ...names);
  }

  /** The text of the definition with these lines over the common ones. */
  text(lines: string): string {
    return definition(`${FRAME}\n${lines}`)
      .replaceAll('$PORT', String(this.port))
      .replaceAll('$OTHER', String(this.otherPort))
      .replaceAll('$DIR', this.agent.dir);
  }

  define(lines: string): void {
    this.agent.rewrite(this.text(lines));
  }

  /** Makes the steered sink hang or fail. */
  steer(how: 'blocked' | 'broken', on: boolean): void {
    if (on) fs.writeFileSync(this.path(how), '');
    else fs.rmSync(this.path(how), { force: true });
  }

  /** Puts a whole file into the spool directory. */
  drop(name: string, content: string | Buffer): void {
    fs.writeFileSync(this.path(`${name}.tmp`), content);
    fs.renameSync(this.path(`${name}.tmp`), this.path('spool', name));
  }

  spooled(name: string): boolean {
    return fs.existsSync(this.path('spool', name));
  }

  /** Bodies that sinks delivered, in order. */
  get delivered(): string[] {
    const files = fs.readdirSync(this.path('out')).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    return files.flatMap((name) => fs.readFileSync(this.path('out', name), 'utf8').split('\n').slice(0, -1));
  }

  async status(): Promise<Status> {
    return (await (await fetch(`http://127.0.0.1:${this.monitoring}/status`)).json()) as Status;
  }

  async component(name: string): Promise<Status['components'][number]> {
    return (await this.status()).components.find((one) => one.name === name) as Status['components'][number];
  }

  async health(): Promise<number> {
    return (await fetch(`http://127.0.0.1:${this.monitoring}/health`)).status;
  }

  /** Waits until a component has this status. */
  async becomes(name: string, status: string): Promise<void> {
    await expect.poll(async () => (await this.component(name)).status, { timeout: 30_000, interval: 20 }).toBe(status);
  }

  async delivers(count: number): Promise<void> {
    await until(
      () => this.delivered.length >= count,
      () => `${count} events, got ${this.delivered.length}:\n${this.agent.output.slice(-2_000)}`,
      () => this.agent.exitCode !== undefined,
    );
  }

  /** Every event is in one place: received = delivered + in channel + dropped. */
  async isConserved(): Promise<void> {
    for (const { gap } of (await this.status()).flows) expect(gap).toBe(0);
  }

  /** SIGTERM; in time, in order, and what was accepted is delivered or its loss is said. */
  async stops(): Promise<void> {
    const began = performance.now();
    expect(await this.agent.stop()).toBe(143);
    expect(performance.now() - began).toBeLessThan(11_000);
    expect(this.agent.output).toContain('SIGTERM: stopping');
    expect(this.agent.output).toMatch(/stopped\n(?!.*\[ERROR)/);
    expect(this.agent.output).not.toContain('an error nobody handled');
    const lost = [...this.agent.output.matchAll(/channel \S+: (\d+) events were not delivered and are lost/g)].reduce((sum, [, n]) => sum + Number(n), 0);
    expect(this.delivered.length + lost).toBeGreaterThanOrEqual(this.accepted);
  }

  /** Largest resident memory so far. */
  get peakMegabytes(): number {
    return Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${this.agent.pid}/status`, 'utf8'))?.[1]) / 1024;
  }

  async end(): Promise<void> {
    for (const one of this.open) one.close();
    await this.agent.end();
  }
}

const FRAME = `
  sources = r1
  channels = c1
  sinks = k1
  sources.r1.channels = c1
  channels.c1.type = memory
  channels.c1.capacity = 10000
  channels.c1.transactionCapacity = 1000
  sinks.k1.type = file_roll
  sinks.k1.sink.directory = $DIR/out
  sinks.k1.sink.rollInterval = 0
  sinks.k1.channel = c1`;

export const NETCAT = `sources.r1.type = netcat
  sources.r1.bind = 127.0.0.1
  sources.r1.port = $PORT`;
export const SPOOLDIR = `sources.r1.type = spooldir
  sources.r1.spoolDir = $DIR/spool
  sources.r1.pollDelay = 20`;
/** For tests with a sink that is blocked, so that not each waits the whole default of 10 s; faults-runtime has that. */
export const SHORT_STOP: readonly string[] = ['--stop-timeout', '2'];
/** A sink that hangs while a file `blocked` is there and fails while `broken` is. */
export const STEERED = `channels.c1.capacity = 100
  channels.c1.transactionCapacity = 100
  channels.c1.keep-alive = 0
  sinks.k1.type = steered`;

const IMPORTS = `import fs from 'node:fs';\nimport { defineInterceptor, defineSink, text } from 'millrace/plugin';\n`;
const PLUGINS: Readonly<Record<string, string>> = {
  steered: `${IMPORTS}
export default defineSink({ type: 'steered', summary: 'For a test.', properties: { 'sink.directory': text({ doc: '.' }), 'sink.rollInterval': text({ doc: '.' }) }, create: () => ({
  async deliver(batch) {
    while (fs.existsSync('blocked')) await new Promise((resolve) => setTimeout(resolve, 20));
    if (fs.existsSync('broken')) throw new Error('the other end is gone');
    fs.appendFileSync('out/0', batch.map((event) => event.body + '\\n').join(''));
  },
}) });`,
  picky: `${IMPORTS}
export default defineInterceptor({ type: 'picky', summary: 'For a test.', properties: {}, create: () => ({
  apply(batch) {
    for (const event of batch) if (event.body.includes('bad')) throw new Error('cannot stand this event');
    return batch;
  },
}) });`,
};

/** Two tests of each fault: it is survived, and it does not keep a stop waiting. */
export function testFaults(faults: readonly Fault[]): void {
  let rig: Rig | undefined;
  afterEach(async () => {
    await rig?.end();
    rig = undefined;
  });
  describe.each(faults.map((fault) => [fault.where === undefined ? fault.name : `${fault.name} (${fault.where})`, fault] as const))('%s', (_name, fault) => {
    it('is survived, with every event in one place', async () => {
      rig = await Rig.start(fault);
      await fault.bring(rig);
      await rig.isConserved();
      await fault.survive(rig);
      await rig.isConserved();
      await rig.stops();
    });

    it('does not keep SIGTERM waiting', async () => {
      rig = await Rig.start(fault);
      await fault.bring(rig);
      await rig.stops();
    });
  });
}
