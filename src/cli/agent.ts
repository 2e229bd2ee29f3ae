/**
 * `flume-ng agent`: reads a definition, runs it, follows its changes, and stops in order. Exit codes: 0 help; 1 nothing
 * could start (or not enough for --startup-policy, or --strict found something); 2 command line; 130 SIGINT, 143 SIGTERM.
 */
import os from 'node:os';
import v8 from 'node:v8';
import { type LoadOptions, loadAgent } from '../agent/config/load.ts';
import type { AgentModel, LoadedAgent } from '../agent/config/model.ts';
import type { DefinitionText } from '../agent/config/table.ts';
import { Agent, type Leftover } from '../agent/runtime/agent.ts';
import { remind, watchStart } from '../agent/runtime/startup.ts';
import { systemClock } from '../lib/clock.ts';
import { AppError, errorText } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { AGENT_OPTIONS, type AgentSettings, agentSettings } from './agent-options.ts';
import { type Command, type CommandContext, EXIT } from './command.ts';
import { componentCatalog, MODULE_EXTENSION } from './component-catalog.ts';
import { backupFile, DefinitionSource, writeBackup } from './definition-source.ts';
import { findingLine, logFindings, printConfiguration } from './finding-lines.ts';
import { optionHelp } from './flags.ts';
import { createLogging, type Logging } from './logging.ts';
import { awaitSignal, type StopSignals } from './stop-signals.ts';

/** Time for attempts to start, counted from the start of the process: below supervisord's usual startsecs=10. */
const START_GRACE_MS = 8_000;
/**
 * How much the old generation may grow between two collections. V8 by itself lets it grow up to four times, which is quick,
 * and twice the memory for events that waited in a channel for a moment; half as much again costs next to nothing.
 */
const HEAP_GROWTH_PERCENT = 50;
/** Things that are not needed for carrying events are loaded when everything runs, or after this long. */
const LATER_MS = 1_000;

export const run: Command = async (words, context) => {
  const settings = agentSettings(words);
  if (settings === null) {
    context.stdout.write(`usage: flume-ng agent [options]\n${optionHelp(AGENT_OPTIONS)}\n`);
    return EXIT.ok;
  }
  v8.setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
  const signals = awaitSignal();
  const logging = createLogging({ systemProperties: context.systemProperties, cwd: context.cwd, stderr: context.stderr });
  try {
    return await new AgentCommand(settings, context, logging).run(signals);
  } finally {
    signals.release();
    logging.close();
  }
};

class AgentCommand {
  readonly #settings: AgentSettings;
  readonly #context: CommandContext;
  readonly #logging: Logging;
  readonly #log: Logger;
  readonly #source: DefinitionSource;
  readonly #load: (files: LoadOptions['files']) => Promise<LoadedAgent>;
  readonly #catalog: LoadOptions['catalog'];

  constructor(settings: AgentSettings, context: CommandContext, logging: Logging) {
    const { systemProperties, env, cwd, classpath } = context;
    this.#settings = settings;
    this.#context = context;
    this.#logging = logging;
    this.#log = logging.child('main', 'agent');
    this.#source = new DefinitionSource({ ...settings, classpath, cwd });
    const catalog = componentCatalog(context, logging.child('plugins', 'plugins'));
    this.#catalog = catalog;
    this.#load = (files) => loadAgent({ files, name: settings.name, catalog, env, systemProperties, cwd });
  }

  async run(signals: StopSignals): Promise<number> {
    for (const remark of this.#settings.remarks) this.#say('warn', remark);
    const definition = await this.#definition();
    if (definition === null) return EXIT.failed;
    const broker = await this.#startBroker();
    const { name, stopTimeoutMs } = this.#settings;
    const { systemProperties } = this.#context;
    const home = systemProperties['user.home'] ?? os.homedir();
    const rawData = systemProperties['org.apache.flume.log.rawdata']?.toLowerCase() === 'true';
    const base = { agent: name, clock: systemClock, home, rawData, logFor: (component: string, where: string) => this.#logging.child(component, where) };
    const afterStop = async (): Promise<void> => broker?.stop();
    const agent = new Agent({ model: definition.model, catalog: this.#catalog, base, stopTimeoutMs, afterStop });
    return this.#live(agent, definition, signals);
  }

  /** From the first attempt to start until the end. */
  async #live(agent: Agent, definition: Definition, signals: StopSignals): Promise<number> {
    const over = new AbortController();
    // Whoever asks for monitoring wants to see the start, too; with a source that never rests it would come late.
    const monitored = this.#monitor(agent);
    const starting = agent.start();
    const graceMs = Math.max(1_000, START_GRACE_MS - performance.now());
    const watching = watchStart({ agent, clock: systemClock, policy: this.#settings.startupPolicy, graceMs, signal: over.signal });
    const failed = watching.then((up) => (up ? new Promise<never>(() => undefined) : ('failed' as const)));
    void starting.then(() => this.#announce(agent));
    const later = this.#later(agent, definition, signals, { monitored, starting, signal: over.signal });
    void remind(agent, systemClock, over.signal);
    const end = await Promise.race([signals.first, failed]);
    if (end === 'failed') this.#explainFailure(agent);
    else this.#log.info(end.error === undefined ? `${end.name}: stopping` : `stopping after an error nobody handled`);
    if (end !== 'failed' && end.error !== undefined) this.#log.error({ err: end.error }, errorText(end.error));
    over.abort();
    const code = end === 'failed' ? EXIT.failed : end.exitCode;
    return Promise.race([this.#stop(agent, later, code), signals.second.then(() => this.#stopNow(agent, code))]);
  }

  async #stop(agent: Agent, later: Promise<() => Promise<void>>, code: number): Promise<number> {
    const endLater = later.then((end) => end());
    const leftovers = await agent.stop();
    await Promise.race([endLater, systemClock.sleep(500)]);
    this.#countLeft(leftovers);
    this.#log.info('stopped');
    return code;
  }

  /** The second signal: nothing is waited for any more. */
  #stopNow(agent: Agent, code: number): number {
    this.#log.warn('a second signal: stopping now');
    this.#countLeft(agent.leftovers());
    return code;
  }

  #countLeft(leftovers: readonly Leftover[]): void {
    for (const { channel, events } of leftovers) this.#say('warn', `channel ${channel}: ${events} events were not delivered and are lost`);
  }

  /** What is not needed to carry events: following the definition. Answers what ends it, and monitoring. */
  async #later(agent: Agent, definition: Definition, signals: StopSignals, { monitored, starting, signal }: Start): Promise<() => Promise<void>> {
    await Promise.race([starting, systemClock.sleep(LATER_MS, signal)]);
    const ends = [await monitored];
    if (!signal.aborted) ends.push(await this.#follow(agent, definition, signals, starting));
    if (!signal.aborted) await this.#backUp(definition.loaded);
    return async () => {
      await Promise.all(ends.map((end) => end()));
    };
  }

  async #monitor(agent: Agent): Promise<() => Promise<void>> {
    const { systemProperties } = this.#context;
    if (!Object.keys(systemProperties).some((key) => key.startsWith('flume.monitoring.'))) return async () => undefined;
    const { createMonitoring, monitoringSettings } = await import('../agent/runtime/monitoring.ts');
    const { packageFacts } = await import('./version.ts');
    const monitoring = createMonitoring({
      settings: monitoringSettings(systemProperties),
      snapshot: () => agent.snapshot(),
      log: this.#logging.child('monitoring', 'monitoring'),
      clock: systemClock,
      version: packageFacts().version,
    });
    await monitoring.start();
    return () => monitoring.stop();
  }

  /** Takes over changes of the definition: by itself unless --no-reload-conf, and on SIGHUP. */
  async #follow(agent: Agent, { texts, loaded }: Definition, signals: StopSignals, starting: Promise<void>): Promise<() => Promise<void>> {
    if (!this.#settings.reload) {
      signals.onHangUp(() => this.#log.info('SIGHUP: the definition is not read again because of --no-reload-conf'));
      return async () => undefined;
    }
    const [{ Reloader }, { watchFiles, repeat }] = await Promise.all([import('../agent/runtime/reload.ts'), import('../agent/runtime/file-watch.ts')]);
    const reloader = new Reloader({
      agent,
      read: () => this.#source.read(),
      load: (read) => this.#load(read),
      log: this.#log,
      clock: systemClock,
      running: { texts, findings: loaded.findings },
      onApplied: (next) => {
        printConfiguration(next, this.#context.systemProperties, this.#log);
        return this.#backUp(next);
      },
      describe: findingLine,
    });
    // Changes while channels still replay wait: the first definition must be up before another can follow it.
    const ask = (reason: 'changed' | 'asked'): void => void starting.then(() => reloader.request(reason));
    signals.onHangUp(() => ask('asked'));
    const endWatch = await watchFiles({ files: this.#source.watched, clock: systemClock, onChange: () => ask('changed') });
    const endPoll = this.#source.polled ? repeat(this.#settings.pollMs, systemClock, () => ask('changed')) : async () => undefined;
    return async () => {
      await Promise.all([endWatch(), endPoll(), reloader.stop()]);
    };
  }

  /** Reads and checks; null = it was said why nothing can run. */
  async #definition(): Promise<Definition | null> {
    const { name, strict, startupPolicy } = this.#settings;
    const texts = await this.#read();
    if (texts === null) return null;
    const loaded = await this.#load(texts);
    printConfiguration(loaded, this.#context.systemProperties, this.#log);
    logFindings(loaded.findings, this.#log);
    const stays = startupPolicy === 'retry' && this.#settings.reload;
    if (strict && loaded.findings.length > 0)
      this.#tell(`--strict: agent ${name} does not start, because there is something to say about its definition`, loaded);
    else if (loaded.model === null && !stays) this.#tell(`agent ${name} cannot start: nothing of its definition can run`, loaded);
    else return { texts, loaded, model: loaded.model ?? emptyModel(name) };
    return null;
  }

  async #read(): Promise<readonly DefinitionText[] | null> {
    const { backupDir, name } = this.#settings;
    try {
      return await this.#source.read();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const remedy = error.fix === undefined ? '' : `; ${error.fix}`;
      if (backupDir !== undefined) {
        const file = backupFile(backupDir, name, this.#context.cwd);
        const backup = await new DefinitionSource({ files: [file], uris: [], credentials: undefined, classpath: [], cwd: this.#context.cwd })
          .read()
          .catch(() => null);
        if (backup !== null) {
          this.#say('warn', `${error.message}${remedy}; the backup ${file} is used`);
          return backup;
        }
      }
      this.#say('error', `${error.message}${remedy}`);
      return null;
    }
  }

  async #backUp(loaded: LoadedAgent): Promise<void> {
    const { backupDir, name } = this.#settings;
    if (backupDir === undefined) return;
    const file = backupFile(backupDir, name, this.#context.cwd);
    await writeBackup(file, loaded.effective).catch((error: unknown) =>
      this.#log.warn(`the definition could not be backed up to ${file}: ${errorText(error)}`),
    );
  }

  async #startBroker(): Promise<BrokerChild | undefined> {
    const { broker } = this.#settings;
    if (broker === undefined) return undefined;
    const module = (await import(new URL(`./broker-process${MODULE_EXTENSION}`, import.meta.url).href)) as BrokerModule;
    return module.startBrokerChild(broker === '' ? undefined : broker, this.#logging.child('broker', 'broker'));
  }

  #announce(agent: Agent): void {
    const { sources, channels, sinks } = agent.model;
    const parts = `sources ${sources.length}, channels ${channels.length}, sinks ${sinks.length}`;
    const ms = Math.round(performance.now());
    if (agent.allRuns) this.#log.info(`agent ${agent.model.name} runs after ${ms} ms: ${parts}`);
    else if (agent.someFlowRuns) {
      const failing = agent.snapshot().components.filter(({ status }) => status !== 'running' && status !== 'degraded');
      const without = [...failing.map((part) => `${part.kind} ${part.name}`), ...agent.model.leftOut.map((part) => `${part.kind} ${part.name} (left out)`)];
      this.#log.warn(`agent ${agent.model.name} runs in part after ${ms} ms: ${parts}; not running: ${without.join(', ')}`);
    }
  }

  #explainFailure(agent: Agent): void {
    const { components } = agent.snapshot();
    const troubled = components.filter(({ error }) => error !== undefined);
    const why = troubled.map(({ kind, name, error }) => `  ${kind} ${name}: ${error?.message}${error?.fix === undefined ? '' : `; ${error.fix}`}`);
    const what = this.#settings.startupPolicy === 'exit' ? 'not everything of it could start' : 'nothing of it could start';
    this.#say('error', [`agent ${agent.model.name} ends: ${what} (--startup-policy ${this.#settings.startupPolicy})`, ...why].join('\n'));
  }

  /** A headline and the findings behind it, for the person who typed the command. */
  #tell(headline: string, loaded: LoadedAgent): void {
    this.#log.error(headline);
    if (this.#logging.file === undefined) return;
    this.#context.stderr.write(`${[...loaded.findings.map((finding) => `${finding.severity}: ${findingLine(finding)}`), headline].join('\n')}\n`);
  }

  /** To the log, and to stderr when nobody at the terminal would see the log. */
  #say(level: 'warn' | 'error', text: string): void {
    this.#log[level](text);
    if (this.#logging.file !== undefined) this.#context.stderr.write(`${level === 'error' ? 'Error' : 'Warning'}: ${text}\n`);
  }
}

/** What happens while an agent starts. */
interface Start {
  /** Answers what ends monitoring. */
  readonly monitored: Promise<() => Promise<void>>;
  readonly starting: Promise<void>;
  /** Aborted when the agent stops. */
  readonly signal: AbortSignal;
}

interface Definition {
  readonly texts: readonly DefinitionText[];
  readonly loaded: LoadedAgent;
  readonly model: AgentModel;
}

/** The log broker beside the agent; it ends last, since sinks may still write to it. */
interface BrokerChild {
  stop(): Promise<void>;
}
interface BrokerModule {
  startBrokerChild(file: string | undefined, log: Logger): Promise<BrokerChild>;
}

/** An agent that waits for a definition of which something can run. */
function emptyModel(name: string): AgentModel {
  return { name, sources: [], channels: [], sinks: [], groups: [], leftOut: [] };
}
