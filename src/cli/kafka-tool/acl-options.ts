/** The options of kafka-acls, and the resources and rules they stand for. Numbers are those of the ACL requests (KIP-140). */
import { type Options, type ToolOption, UsageFault } from './options.ts';
import { BOOTSTRAP, COMMAND_CONFIG, ELSEWHERE, ZOOKEEPER } from './tool.ts';

export const CODES = {
  resource: { ANY: 1, TOPIC: 2, GROUP: 3, CLUSTER: 4, TRANSACTIONAL_ID: 5, DELEGATION_TOKEN: 6, USER: 7 },
  pattern: { ANY: 1, MATCH: 2, LITERAL: 3, PREFIXED: 4 },
  operation: {
    ANY: 1,
    ALL: 2,
    READ: 3,
    WRITE: 4,
    CREATE: 5,
    DELETE: 6,
    ALTER: 7,
    DESCRIBE: 8,
    CLUSTER_ACTION: 9,
    DESCRIBE_CONFIGS: 10,
    ALTER_CONFIGS: 11,
    IDEMPOTENT_WRITE: 12,
    CREATE_TOKENS: 13,
    DESCRIBE_TOKENS: 14,
  },
  permission: { ANY: 1, DENY: 2, ALLOW: 3 },
} as const;

export interface Pattern {
  readonly type: number;
  /** Null in a filter: any. */
  readonly name: string | null;
  readonly patternType: number;
}

export interface AclEntry {
  readonly principal: string;
  readonly host: string;
  readonly operation: number;
  readonly permissionType: number;
}

const text = (name: string, doc: string, repeatable = true): ToolOption => ({ name, value: name, doc, ...(repeatable && { repeatable: true as const }) });

export const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  COMMAND_CONFIG,
  ZOOKEEPER,
  ...ELSEWHERE,
  { name: 'authorizer', value: 'String: authorizer', doc: 'Not needed any more; accepted from older command lines.' },
  text('authorizer-properties', 'As --zookeeper: zookeeper.connect is not needed any more.'),
  { name: 'add', doc: 'Indicates you are trying to add ACLs.' },
  { name: 'remove', doc: 'Indicates you are trying to remove ACLs.' },
  { name: 'list', doc: 'List ACLs for the specified resource, or all.' },
  text('topic', 'Topic to which ACLs should be added or removed; * is every topic.'),
  text('group', 'Consumer group; * is every group.'),
  text('transactional-id', 'Transactional id; * is every id.'),
  text('delegation-token', 'Delegation token; * is every token.'),
  text('user-principal', 'User whose delegation tokens are meant.'),
  { name: 'cluster', doc: 'The cluster itself.' },
  { name: 'resource-pattern-type', value: 'ANY|MATCH|LITERAL|PREFIXED', doc: 'How names of resources are read; default literal.' },
  { name: 'idempotent', doc: 'With --producer: also the right to produce idempotently.' },
  text('allow-principal', 'Principal that is allowed, e.g. User:alice.'),
  text('deny-principal', 'Principal that is denied, e.g. User:alice.'),
  text('allow-host', 'Host from which principals in --allow-principal have access; default *.'),
  text('deny-host', 'Host from which principals in --deny-principal have no access; default *.'),
  text(
    'operation',
    `Operation: ${['All', 'Read', 'Write', 'Create', 'Delete', 'Alter', 'Describe', 'ClusterAction', 'DescribeConfigs', 'AlterConfigs', 'IdempotentWrite'].join(', ')}; default All.`,
  ),
  text('principal', 'With --list: only rules for these principals.'),
  { name: 'producer', doc: 'Rules that a producer needs on --topic.' },
  { name: 'consumer', doc: 'Rules that a consumer needs on --topic and --group.' },
  { name: 'force', doc: 'Assume yes to all questions.' },
];

const nameOf = (codes: Readonly<Record<string, number>>, code: number): string => Object.keys(codes).find((name) => codes[name] === code) ?? `UNKNOWN(${code})`;

export function patternText({ type, name, patternType }: Pattern): string {
  return `ResourcePattern(resourceType=${nameOf(CODES.resource, type)}, name=${name}, patternType=${nameOf(CODES.pattern, patternType)})`;
}

export function filterText({ type, name, patternType }: Pattern): string {
  return `ResourcePattern(resourceType=${nameOf(CODES.resource, type)}, name=${name}, patternType=${nameOf(CODES.pattern, patternType)})`;
}

export function entryText({ principal, host, operation, permissionType }: AclEntry): string {
  return `(principal=${principal}, host=${host}, operation=${nameOf(CODES.operation, operation)}, permissionType=${nameOf(CODES.permission, permissionType)})`;
}

/** @throws UsageFault unknown kind */
export function patternOf(options: Options, forListing: boolean): number {
  const word = (options.get('resource-pattern-type') ?? (forListing && resourcesGiven(options) === false ? 'any' : 'literal')).toUpperCase();
  const code = (CODES.pattern as Readonly<Record<string, number>>)[word];
  if (code === undefined) throw new UsageFault(`Unknown resource-pattern-type: ${word}`, { brief: true });
  return code;
}

function resourcesGiven(options: Options): boolean {
  return ['topic', 'group', 'cluster', 'transactional-id', 'delegation-token', 'user-principal'].some((name) => options.has(name));
}

export function resourcesOf(options: Options): Pattern[] {
  const patternType = patternOf(options, false);
  const of = (option: string, type: number): Pattern[] => options.all(option).map((name) => ({ type, name: name.trim(), patternType }));
  return [
    ...of('topic', CODES.resource.TOPIC),
    ...(options.has('cluster') ? [{ type: CODES.resource.CLUSTER, name: 'kafka-cluster', patternType: CODES.pattern.LITERAL }] : []),
    ...of('group', CODES.resource.GROUP),
    ...of('transactional-id', CODES.resource.TRANSACTIONAL_ID),
    ...of('delegation-token', CODES.resource.DELEGATION_TOKEN),
    ...of('user-principal', CODES.resource.USER),
  ];
}

/** Operations that make sense on a kind of resource (Kafka's AclEntry; All goes with each); groups as of 4.x. */
const SUPPORTED: Readonly<Record<number, readonly string[]>> = {
  [CODES.resource.TOPIC]: ['Read', 'Write', 'Create', 'Describe', 'Delete', 'Alter', 'DescribeConfigs', 'AlterConfigs'],
  [CODES.resource.GROUP]: ['Read', 'Describe', 'Delete', 'DescribeConfigs', 'AlterConfigs'],
  [CODES.resource.CLUSTER]: ['Create', 'ClusterAction', 'DescribeConfigs', 'AlterConfigs', 'IdempotentWrite', 'Alter', 'Describe'],
  [CODES.resource.TRANSACTIONAL_ID]: ['Describe', 'Write'],
  [CODES.resource.DELEGATION_TOKEN]: ['Describe'],
  [CODES.resource.USER]: ['CreateTokens', 'DescribeTokens'],
};

const operationCode = (name: string): number | undefined =>
  (CODES.operation as Readonly<Record<string, number>>)[name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()];

/** @throws UsageFault an operation that the resource does not have: a rule nobody would ever be asked by */
export function checkOperations({ type }: Pattern, entries: readonly AclEntry[]): void {
  const names = [...(SUPPORTED[type] ?? []), 'All'];
  const codes = names.map(operationCode);
  if (entries.some(({ operation }) => !codes.includes(operation)))
    throw new UsageFault(`ResourceType ${nameOf(CODES.resource, type)} only supports operations ${names.join(', ')}`);
}

/** @throws UsageFault options that do not go together, as Kafka's `checkArgs` */
export function checkAclOptions(options: Options, action: 'list' | 'add' | 'remove'): void {
  for (const role of ['producer', 'consumer']) for (const other of ['operation', 'deny-principal', 'deny-host']) options.exclude(role, other);
  if (options.has('idempotent') && !options.has('producer')) throw new UsageFault('The --idempotent option is only available if --producer is set');
  if (action !== 'list') return;
  for (const other of ['producer', 'consumer', 'allow-host', 'allow-principal', 'deny-host', 'deny-principal']) options.exclude('list', other);
}

function operationsOf(options: Options): number[] {
  const words = options.all('operation');
  if (words.length === 0) return [CODES.operation.ALL];
  return words.map((word) => {
    const code = operationCode(word.trim());
    if (code === undefined) throw new UsageFault(`Unknown operation ${word}`, { brief: true });
    return code;
  });
}

/** @throws UsageFault no `Type:name`: it would never match anybody */
function principalOf(word: string): string {
  if (!/^[^:]+:./.test(word.trim())) throw new UsageFault(`expected a string in format principalType:principalName but got ${word}`, { brief: true });
  return word.trim();
}

/** One entry per principal, host and operation. */
function entriesFor(options: Options, operations: readonly number[]): AclEntry[] {
  return (['allow', 'deny'] as const).flatMap((kind) => {
    const hosts = options.all(`${kind}-host`);
    return options.all(`${kind}-principal`).flatMap((principal) =>
      (hosts.length === 0 ? ['*'] : hosts).flatMap((host) =>
        operations.map((operation) => ({
          principal: principalOf(principal),
          host: host.trim(),
          operation,
          permissionType: kind === 'allow' ? CODES.permission.ALLOW : CODES.permission.DENY,
        })),
      ),
    );
  });
}

export function entriesOf(options: Options): AclEntry[] {
  return entriesFor(options, operationsOf(options));
}

/** What `--producer` and `--consumer` stand for; null without them. @throws UsageFault a resource is missing */
export function convenienceAcls(options: Options): { pattern: Pattern; entries: AclEntry[] }[] | null {
  if (!options.has('producer') && !options.has('consumer')) return null;
  const { READ, WRITE, CREATE, DESCRIBE, IDEMPOTENT_WRITE } = CODES.operation;
  const rights = new Map<string, { pattern: Pattern; operations: Set<number> }>();
  const grant = (patterns: readonly Pattern[], operations: readonly number[]): void => {
    for (const pattern of patterns) {
      const known = rights.get(patternText(pattern)) ?? { pattern, operations: new Set<number>() };
      for (const operation of operations) known.operations.add(operation);
      rights.set(patternText(pattern), known);
    }
  };
  const resources = resourcesOf(options);
  const of = (type: number): Pattern[] => resources.filter((resource) => resource.type === type);
  if (options.has('producer')) {
    if (!options.has('topic')) throw new UsageFault('With --producer you must specify a --topic');
    grant(of(CODES.resource.TOPIC), [WRITE, DESCRIBE, CREATE]);
    grant(of(CODES.resource.TRANSACTIONAL_ID), [WRITE, DESCRIBE]);
    if (options.has('idempotent')) grant([{ type: CODES.resource.CLUSTER, name: 'kafka-cluster', patternType: CODES.pattern.LITERAL }], [IDEMPOTENT_WRITE]);
  }
  if (options.has('consumer')) {
    if (!options.has('topic') || !options.has('group'))
      throw new UsageFault('With --consumer you must specify a --topic and a --group and no --cluster or --transactional-id option should be specified.');
    grant(of(CODES.resource.TOPIC), [READ, DESCRIBE]);
    grant(of(CODES.resource.GROUP), [READ]);
  }
  return [...rights.values()].map(({ pattern, operations }) => ({ pattern, entries: entriesFor(options, [...operations]) }));
}
