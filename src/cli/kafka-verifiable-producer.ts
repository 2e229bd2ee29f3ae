/**
 * `kafka-verifiable-producer.sh`: sends whole numbers, one after the other, and prints a line of JSON for each that is
 * acknowledged or lost, for system tests (org.apache.kafka.tools.VerifiableProducer 3.9).
 */
import { ConnectionError } from '../kafka/client/connection.ts';
import { LeanProducer } from '../kafka/client/producer.ts';
import { isTopicName, type OutRecord } from '../kafka/client/records.ts';
import { readProducerConfig } from '../kafka/client/settings.ts';
import { ErrorCode } from '../kafka/errors.ts';
import { systemClock } from '../lib/clock.ts';
import { errorText, ProtocolError } from '../lib/errors.ts';
import { javaClassOf } from './kafka-tool/java-text.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { out } from './kafka-tool/output.ts';
import { awaitBroker } from './kafka-tool/producing.ts';
import { BOOTSTRAP, BROKER_LIST, runTool, settingsOf } from './kafka-tool/tool.ts';
import { argumentFault, bootstrapWords, printEvent, runUntilSignal } from './kafka-tool/verifiable.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  BROKER_LIST,
  { name: 'topic', value: 'TOPIC', doc: 'Produce messages to this topic.' },
  { name: 'max-messages', value: 'MAX-MESSAGES', doc: 'Produce so many messages; -1, the default, until the process is ended.' },
  { name: 'throughput', value: 'THROUGHPUT', doc: 'At most about so many messages per second; -1, the default, for no limit.' },
  { name: 'acks', value: 'ACKS', doc: 'Acknowledgements required of each message: -1 (the default), 0 or 1.' },
  { name: 'producer.config', value: 'CONFIG_FILE', doc: 'File with settings of the producer.' },
  {
    name: 'message-create-time',
    value: 'CREATETIME',
    doc: 'Time of the first message in milliseconds since 1970; later ones have theirs as time goes by. Default: now.',
  },
  { name: 'value-prefix', value: 'VALUE-PREFIX', doc: 'A number to stand before each value, with a dot.' },
  { name: 'repeating-keys', value: 'REPEATING-KEYS', doc: 'Keys count from 0 up to this number, without it, and begin anew. Default: no keys.' },
];
const USAGE =
  'usage: verifiable-producer [-h] --topic TOPIC [--max-messages MAX-MESSAGES] [--throughput THROUGHPUT] [--acks ACKS] [--producer.config CONFIG_FILE] [--message-create-time CREATETIME] [--value-prefix VALUE-PREFIX] [--repeating-keys REPEATING-KEYS] (--bootstrap-server HOST1:PORT1[,HOST2:PORT2[...]] | --broker-list HOST1:PORT1[,HOST2:PORT2[...]])';
const fault = argumentFault('verifiable-producer', USAGE);
const CLIENT_ID = 'producer-1';
/** Between sends while no broker answers, or all refuse the login. */
const ABSENT_MS = 1_000;
/** Most messages in one send: lines come out while a long run goes on. */
const MAX_SEND = 500;

/** What the messages are. */
interface Plan {
  readonly topic: string;
  /** -1 = no end. */
  readonly total: number;
  readonly perSecond: number;
  readonly prefix: string;
  /** 0 = no keys. */
  readonly keys: number;
  /** -1 = each has the present time. */
  readonly createTime: number;
}

function planOf(options: Options): Plan {
  const topic = options.get('topic');
  if (topic === undefined) throw fault('argument --topic is required');
  const prefix = options.get('value-prefix');
  return {
    topic,
    total: options.int('max-messages', -1),
    perSecond: options.int('throughput', -1),
    prefix: prefix === undefined ? '' : `${options.int('value-prefix', 0)}.`,
    keys: Math.max(0, options.int('repeating-keys', 0)),
    createTime: options.int('message-create-time', -1),
  };
}

/** The producer with Java's settings for this tool: nothing is sent twice. */
async function producerFor(options: Options): Promise<LeanProducer> {
  const acks = options.get('acks') ?? '-1';
  if (!['-1', '0', '1'].includes(acks)) throw fault(`argument --acks: invalid choice: '${acks}' (choose from {0,1,-1})`);
  const { config, findings } = readProducerConfig({ acks, retries: '0', ...(await settingsOf(options, 'producer.config')) }, '');
  const bad = findings.find(({ severity }) => severity === 'error');
  if (config === null || bad !== undefined) throw new UsageFault(bad?.message ?? 'the settings of the producer cannot be used', { brief: true });
  return new LeanProducer({ bootstrap: bootstrapWords(options, fault), config, clientId: CLIENT_ID, clock: systemClock });
}

class VerifiableProducer {
  readonly #plan: Plan;
  readonly #producer: LeanProducer;
  readonly #began = Date.now();
  readonly #stop = new AbortController();
  #sent = 0;
  #acked = 0;

  constructor(plan: Plan, producer: LeanProducer) {
    this.#plan = plan;
    this.#producer = producer;
  }

  /** Lets what is under way end, and nothing begin. */
  stop(): void {
    this.#stop.abort();
  }

  async run(): Promise<void> {
    const { total } = this.#plan;
    printEvent('startup_complete');
    // Without a broker the messages are lost one by one, as the sends will tell.
    await awaitBroker(this.#producer, CLIENT_ID, this.#stop.signal).catch(() => undefined);
    while (!this.#stop.signal.aborted && (total < 0 || this.#sent < total)) {
      const count = Math.min(this.#due(), total < 0 ? MAX_SEND : total - this.#sent);
      if (count > 0) await this.#send(count);
      else await systemClock.sleep(Math.max(1, 1000 / Math.max(1, this.#plan.perSecond)), this.#stop.signal);
    }
    await this.#producer.close();
    printEvent('shutdown_complete');
    const seconds = (Date.now() - this.#began) / 1000;
    const counts = { sent: this.#sent, acked: this.#acked, target_throughput: this.#plan.perSecond };
    printEvent('tool_data', counts, { avg_throughput: seconds > 0 ? this.#acked / seconds : 0 });
  }

  #due(): number {
    const { perSecond } = this.#plan;
    if (perSecond < 0) return MAX_SEND;
    return Math.min(MAX_SEND, Math.floor(((Date.now() - this.#began) / 1000) * perSecond) + 1 - this.#sent);
  }

  /** The text of a message's value, and of its key. */
  #texts(index: number): { readonly key: string | null; readonly value: string } {
    const { prefix, keys } = this.#plan;
    return { key: keys > 0 ? String(index % keys) : null, value: `${prefix}${index}` };
  }

  async #send(count: number): Promise<void> {
    const { topic, createTime } = this.#plan;
    const first = this.#sent;
    const now = Date.now();
    const timestamp = createTime < 0 ? now : createTime + now - this.#began;
    const unheard = new Set(Array.from({ length: count }, (_, i) => i));
    this.#sent += count;
    const load = (index: number, into: OutRecord): boolean => {
      const { key, value } = this.#texts(first + index);
      Object.assign(into, { topic, partition: -1, timestamp, headers: [], key: key === null ? null : Buffer.from(key), value: Buffer.from(value) });
      return true;
    };
    const stored = (index: number, partition: number, offset: number): void => {
      unheard.delete(index);
      this.#acked++;
      printEvent('producer_send_success', { ...this.#texts(first + index), offset, topic, partition });
    };
    const lost = (index: number, exception: string, message: string): void => {
      if (unheard.delete(index)) printEvent('producer_send_error', { topic, ...this.#texts(first + index), exception: `class ${exception}`, message });
    };
    try {
      for (const { index, reason } of await this.#producer.send({ count, load, stored })) lost(index, ...refusalOf(topic, reason));
    } catch (error) {
      for (const index of unheard) lost(index, classOf(error), errorText(error));
      if (isAbsence(error)) await systemClock.sleep(ABSENT_MS, this.#stop.signal);
    }
  }
}

/** The Java exception that a record which can never be stored brings, and its text. */
function refusalOf(topic: string, reason: string): [exception: string, message: string] {
  if (!isTopicName(topic)) return [javaClassOf(ErrorCode.INVALID_TOPIC_EXCEPTION), `Invalid topics: [${topic}]`];
  const code = /bytes/.test(reason) ? ErrorCode.MESSAGE_TOO_LARGE : /timestamp/i.test(reason) ? ErrorCode.INVALID_TIMESTAMP : ErrorCode.INVALID_RECORD;
  return [javaClassOf(code), reason];
}

/** Whether there is no broker to send to: the next send would end as this one did. */
function isAbsence(error: unknown): boolean {
  return error instanceof ConnectionError || (error instanceof ProtocolError && error.wireCode === ErrorCode.SASL_AUTHENTICATION_FAILED);
}

/** A failed send names the broker's error in its text. */
function classOf(error: unknown): string {
  if (error instanceof ProtocolError) return javaClassOf(error.wireCode);
  const [, name] = /: ([A-Z]+(?:_[A-Z]+)+): /.exec(errorText(error)) ?? [];
  return javaClassOf((ErrorCode as Readonly<Record<string, number>>)[name ?? ''] ?? ErrorCode.REQUEST_TIMED_OUT);
}

async function run(options: Options): Promise<number> {
  if (options.order.length === 0) {
    out(`${USAGE}\n`);
    return 0;
  }
  const plan = planOf(options);
  return runUntilSignal(new VerifiableProducer(plan, await producerFor(options)));
}

await runTool({
  purpose: `This tool produces increasing integers to the specified topic and prints JSON metadata to stdout on each "send" request.\n${USAGE}`,
  options: OPTIONS,
  helpWithoutWords: false,
  run,
});
