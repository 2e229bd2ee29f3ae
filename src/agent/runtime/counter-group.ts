/**
 * The life of a component's counters as Flume has it (instrumentation/MonitoredCounterGroup.java): StartTime and StopTime,
 * and the log lines `Component type: SOURCE, name: r1 started` and, at the stop, one per counter:
 * `Shutdown Metric for type: SINK, name: k1. sink.event.drain.sucess == 7`. The names are Flume's, slips included, since
 * scripts read them; counters that Flume does not have are named in the same way.
 */
import type { Lifecycle } from '../core/lifecycle.ts';
import type { ContextBase } from './context.ts';
import type { Supervised } from './supervisor.ts';

/** Flume's class that writes these lines. */
const PLACE = 'org.apache.flume.instrumentation.MonitoredCounterGroup';

type Kind = 'source' | 'channel' | 'sink';

/** Words that begin the names of a kind's counters. */
const PREFIXES: Readonly<Record<Kind, string>> = { source: 'src', channel: 'channel', sink: 'sink' };

const NAMES: Readonly<Record<Kind, Readonly<Record<string, string>>>> = {
  source: {
    EventReceivedCount: 'src.events.received',
    EventAcceptedCount: 'src.events.accepted',
    AppendReceivedCount: 'src.append.received',
    AppendAcceptedCount: 'src.append.accepted',
    AppendBatchReceivedCount: 'src.append-batch.received',
    AppendBatchAcceptedCount: 'src.append-batch.accepted',
    OpenConnectionCount: 'src.open-connection.count',
    KafkaEventGetTimer: 'source.kafka.event.get.time',
    KafkaCommitTimer: 'source.kafka.commit.time',
    KafkaEmptyCount: 'source.kafka.empty.count',
  },
  channel: {
    ChannelCapacity: 'channel.capacity',
    ChannelSize: 'channel.current.size',
    EventPutAttemptCount: 'channel.event.put.attempt',
    EventPutSuccessCount: 'channel.event.put.success',
    EventTakeAttemptCount: 'channel.event.take.attempt',
    EventTakeSuccessCount: 'channel.event.take.success',
    EventPutErrorCount: 'channel.file.event.put.error',
    EventTakeErrorCount: 'channel.file.event.take.error',
    CheckpointWriteErrorCount: 'channel.file.checkpoint.write.error',
    CheckpointBackupWriteErrorCount: 'channel.file.checkpoint.backup.write.error',
    KafkaEventGetTimer: 'channel.kafka.event.get.time',
    KafkaEventSendTimer: 'channel.kafka.event.send.time',
    KafkaCommitTimer: 'channel.kafka.commit.time',
    RollbackCount: 'channel.rollback.count',
  },
  sink: {
    ConnectionCreatedCount: 'sink.connection.creation.count',
    ConnectionClosedCount: 'sink.connection.closed.count',
    ConnectionFailedCount: 'sink.connection.failed.count',
    BatchEmptyCount: 'sink.batch.empty',
    BatchUnderflowCount: 'sink.batch.underflow',
    BatchCompleteCount: 'sink.batch.complete',
    EventDrainAttemptCount: 'sink.event.drain.attempt',
    EventDrainSuccessCount: 'sink.event.drain.sucess',
    KafkaEventSendTimer: 'channel.kafka.event.send.time',
    RollbackCount: 'channel.rollback.count',
  },
};
/** They have lines of their own. */
const TIMES = new Set(['StartTime', 'StopTime']);

/** A counter's name in the shutdown log, e.g. `src.events.received`, `src.line.cut.count`. */
export function shutdownName(kind: Kind, attribute: string): string {
  const words = attribute.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '.').toLowerCase();
  return NAMES[kind][attribute] ?? `${PREFIXES[kind]}.${words}`;
}

export interface CounterGroupOptions {
  readonly kind: Kind;
  readonly name: string;
  readonly base: ContextBase;
  readonly supervised: Supervised<Lifecycle>;
  readonly counters: { StartTime: number; StopTime: number };
}

export class CounterGroup {
  readonly #options: CounterGroupOptions;
  #open = false;

  /** Follows the component: its first working moment is the start, whichever attempt it took. */
  constructor(options: CounterGroupOptions) {
    this.#options = options;
    const { supervised, counters, base } = options;
    supervised.onChange(() => {
      if (this.#open || !supervised.working) return;
      this.#open = true;
      counters.StartTime = base.clock.now();
      counters.StopTime = 0;
      this.#log(`Component ${this.#who} started`);
    });
  }

  /** The component has ended, with these figures; those that are no numbers are left out. */
  close(figures: Readonly<Record<string, number | string>>): void {
    const { kind, counters, base } = this.#options;
    counters.StopTime = base.clock.now();
    if (!this.#open) return;
    this.#open = false;
    this.#log(`Component ${this.#who} stopped`);
    this.#metric(`${kind}.start.time`, counters.StartTime);
    this.#metric(`${kind}.stop.time`, counters.StopTime);
    const named = Object.entries(figures)
      .filter(([attribute, value]) => typeof value === 'number' && !TIMES.has(attribute))
      .map(([attribute, value]) => [shutdownName(kind, attribute), value as number] as const);
    for (const [counter, value] of named.sort(([a], [b]) => (a < b ? -1 : 1))) this.#metric(counter, value);
  }

  #metric(counter: string, value: number): void {
    this.#log(`Shutdown Metric for ${this.#who}. ${counter} == ${value}`);
  }

  get #who(): string {
    const { kind, name } = this.#options;
    return `type: ${kind.toUpperCase()}, name: ${name}`;
  }

  #log(line: string): void {
    const { kind, name, base } = this.#options;
    base.logFor(`${kind} ${name}`, PLACE).info(line);
  }
}
