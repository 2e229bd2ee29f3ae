/**
 * `kafka-configs.sh`: shows and changes configs of topics, brokers, users, clients and more (kafka.admin.ConfigCommand 3.9).
 * With `--zookeeper` it prints what the tool of 2.2 printed.
 */
import { alterEntity } from './kafka-tool/config-alterations.ts';
import { describeEntity } from './kafka-tool/config-description.ts';
import { type ConfigJob, ConfigRefusal, entitiesOf, TYPES } from './kafka-tool/config-entities.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { err, WireError } from './kafka-tool/output.ts';
import { BOOTSTRAP, COMMAND_CONFIG, ELSEWHERE, runTool, withCluster, ZOOKEEPER } from './kafka-tool/tool.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  COMMAND_CONFIG,
  ZOOKEEPER,
  ...ELSEWHERE,
  { name: 'alter', doc: 'Alter the configuration for the entity.' },
  { name: 'describe', doc: 'List configs for the given entity.' },
  {
    name: 'entity-type',
    value: 'String',
    repeatable: true,
    doc: 'Type of entity: topics, clients, users, brokers, broker-loggers, ips, client-metrics, groups.',
  },
  { name: 'entity-name', value: 'String', repeatable: true, doc: 'Name of the entity: topic, client id, user, broker id, address.' },
  { name: 'entity-default', repeatable: true, doc: 'The default entity of clients, users, brokers or ips.' },
  {
    name: 'add-config',
    value: 'String',
    doc: "Key=value pairs to add, separated by commas; square brackets group values that contain commas: 'k1=v1,k2=[v1,v2]'.",
  },
  { name: 'add-config-file', value: 'String', doc: 'File of properties to add.' },
  { name: 'delete-config', value: 'String', doc: 'Keys to remove, separated by commas.' },
  { name: 'all', doc: 'With --describe: also what is not set on the entity itself.' },
  { name: 'force', doc: 'No prompts; there are none.' },
  { name: 'topic', value: 'String', doc: "A topic's name." },
  { name: 'client', value: 'String', doc: 'A client id.' },
  { name: 'client-defaults', doc: 'The defaults of all clients.' },
  { name: 'user', value: 'String', doc: "A user's principal name." },
  { name: 'user-defaults', doc: 'The defaults of all users.' },
  { name: 'broker', value: 'String', doc: "A broker's id." },
  { name: 'broker-defaults', doc: 'The defaults of all brokers.' },
  { name: 'broker-logger', value: 'String', doc: 'The id of a broker whose loggers are meant.' },
  { name: 'ip', value: 'String', doc: 'An address.' },
  { name: 'ip-defaults', doc: 'The defaults of all addresses.' },
  { name: 'client-metrics', value: 'String', doc: 'The name of a subscription to client metrics.' },
  { name: 'group', value: 'String', doc: 'The name of a group.' },
];

/** @throws UsageFault entities that cannot be named together, or not so */
function checkEntities(options: Options, entities: ConfigJob['entities']): void {
  const types = entities.map(({ type }) => type);
  const refuse = (message: string): never => {
    throw new UsageFault(message, { brief: true });
  };
  const twice = types.filter((type, i) => types.indexOf(type) !== i);
  if (twice.length > 0) refuse(`Duplicate entity type(s) specified: ${[...new Set(twice)].join(',')}`);
  if (types.length > 1 && types.some((type) => type !== 'users' && type !== 'clients')) {
    refuse("Only 'users' and 'clients' entity types may be specified together");
  }
  const general = ['entity-type', 'entity-name', 'entity-default'].some((name) => options.has(name));
  if (general && types.length > options.all('entity-type').length)
    refuse('--entity-{type,name,default} should not be used in conjunction with specific entity flags');
  for (const { type, name } of entities) {
    if ((type === 'brokers' || type === 'broker-loggers') && name !== undefined && name !== '' && !/^\d+$/.test(name)) {
      refuse(`The entity name for ${type} must be a valid integer broker id, but it is: ${name}`);
    }
  }
}

/** @throws UsageFault as Kafka's ConfigCommandOptions.checkArgs */
function checkOptions(options: Options): ConfigJob['entities'] {
  const actions = ['describe', 'alter'].filter((name) => options.has(name));
  if (actions.length !== 1) throw new UsageFault('Command must include exactly one action: --describe, --alter');
  options.exclude('describe', 'add-config', 'delete-config');
  const entities = entitiesOf(options);
  const first = entities[0];
  if (first === undefined) throw new UsageFault('At least one entity type must be specified', { brief: true });
  for (const { type } of entities) {
    if (!TYPES.has(type)) {
      const kind = 'with a --bootstrap-server or --bootstrap-controller argument';
      throw new UsageFault(`Invalid entity type ${type}, the entity type must be one of ${[...TYPES.keys()].join(', ')} ${kind}`, { brief: true });
    }
  }
  checkEntities(options, entities);
  if (options.has('alter')) {
    if (!['add-config', 'add-config-file', 'delete-config'].some((name) => options.has(name))) {
      throw new UsageFault('At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter', { brief: true });
    }
    if (options.has('add-config') && options.has('add-config-file'))
      throw new UsageFault('Only one of --add-config or --add-config-file must be specified', { brief: true });
    if (first.name === undefined) throw new UsageFault(`an entity name must be specified with --alter of ${first.type}`, { brief: true });
  }
  return entities;
}

await runTool({
  purpose: 'This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip or client-metrics',
  options: OPTIONS,
  run: async (options) => {
    const entities = checkOptions(options);
    try {
      return await withCluster(options, async (cluster) => {
        const job = { options, cluster, entities };
        await (options.has('alter') ? alterEntity(job) : describeEntity(job));
        return 0;
      });
    } catch (error) {
      if (error instanceof ConfigRefusal) err(`${error.message}\n`);
      else if (error instanceof WireError) {
        err(`Error while executing config command with args '${process.argv.slice(2).join(' ')}'\n`);
        err(`java.util.concurrent.ExecutionException: ${error.javaText}\nCaused by: ${error.javaText}\n`);
      } else throw error;
      return 1;
    }
  },
});
