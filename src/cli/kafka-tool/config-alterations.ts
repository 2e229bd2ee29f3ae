/** `kafka-configs --alter`: configs of topics and brokers, quotas, and SCRAM credentials, whose passwords are salted here. */
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { AlterClientQuotas } from '../../kafka/apis/alter-client-quotas.ts';
import { AlterUserScramCredentials } from '../../kafka/apis/alter-user-scram-credentials.ts';
import { IncrementalAlterConfigs } from '../../kafka/apis/incremental-alter-configs.ts';
import { check } from './cluster.ts';
import { configsOf, isOwn, quotasOf } from './config-description.ts';
import { type ConfigJob, ConfigRefusal, type Entity, QUOTA_KEYS, QUOTA_TYPE, SCRAM, TYPES } from './config-entities.ts';
import { out } from './output.ts';

const SET = 0;
const DELETE = 1;
const DEFAULT_ITERATIONS = 4096;

interface Changes {
  readonly add: ReadonlyMap<string, string>;
  readonly remove: readonly string[];
}

export async function alterEntity(job: ConfigJob): Promise<void> {
  const first = job.entities[0] as Entity;
  const changes = await changesOf(job);
  if (TYPES.get(first.type) !== 0) await alterResource(job, first, changes);
  else if (usesScram(job, first, changes)) await alterScram(job, first.name as string, changes);
  else await alterQuotas(job, changes);
  if (job.options.has('zookeeper')) {
    const names = job.entities.map(({ type, name }) =>
      name === '' ? `default ${type.slice(0, -1)}` : `${type.replace(/s$/, '').replace('user', 'user-principal')} '${name}'`,
    );
    out(`Completed Updating config for entity: ${names.join(', ')}.\n`);
  } else if (first.name === '') out(`Completed updating default config for ${first.type} in the cluster.\n`);
  else out(`Completed updating config for ${first.type.replace(/.$/, '')} ${first.name}.\n`);
}

/** Commas and equal signs count outside square brackets only. */
function splitOutside(text: string, separator: ',' | '='): string[] {
  const parts = [''];
  let depth = 0;
  for (const char of text) {
    if (char === '[') depth++;
    if (char === ']') depth--;
    if (char === separator && depth <= 0) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts;
}

async function changesOf({ options }: ConfigJob): Promise<Changes> {
  const add = new Map<string, string>();
  const file = options.get('add-config-file');
  if (file !== undefined) {
    const { readClientFile } = await import('./client-file.ts');
    for (const [key, value] of Object.entries(readClientFile(file))) add.set(key, value);
  }
  for (const pair of splitOutside(options.get('add-config') ?? '', ',')) {
    if (pair.trim() === '') continue;
    const [key, ...rest] = splitOutside(pair, '=');
    if (rest.length !== 1) throw new ConfigRefusal('requirement failed: Invalid entity config: all configs to be added must be in the format "key=val".');
    add.set((key as string).trim(), (rest[0] as string).trim().replace(/[[\]]/g, ''));
  }
  const remove = (options.get('delete-config') ?? '')
    .split(',')
    .map((key) => key.trim())
    .filter((key) => key !== '');
  return { add, remove };
}

function refuseUnset(remove: readonly string[], set: ReadonlySet<string>): void {
  const strange = remove.filter((key) => !set.has(key));
  if (strange.length > 0) throw new ConfigRefusal(`Invalid config(s): ${strange.join(',')}`);
}

async function alterResource(job: ConfigJob, { type, name }: Entity, { add, remove }: Changes): Promise<void> {
  const resourceName = name as string;
  if (type === 'brokers' && resourceName !== '' && !/^\d+$/.test(resourceName)) {
    throw new ConfigRefusal(`The entity name for ${type} must be a valid integer broker id, but it is: ${resourceName}`);
  }
  const present = (await configsOf(job, type, resourceName)).filter((entry) => isOwn(entry, type, resourceName));
  refuseUnset(remove, new Set(present.map((entry) => entry.name)));
  const ofBroker = (type === 'brokers' || type === 'broker-loggers') && resourceName !== '';
  const connection = ofBroker ? await job.cluster.broker(Number(resourceName)) : await job.cluster.controller();
  const configs = [
    ...[...add].map(([key, value]) => ({ name: key, value, configOperation: SET })),
    ...remove.map((key) => ({ name: key, value: null, configOperation: DELETE })),
  ];
  const { responses } = await connection.call(IncrementalAlterConfigs, {
    resources: [{ resourceType: TYPES.get(type) as number, resourceName, configs }],
    validateOnly: false,
  });
  for (const { errorCode, errorMessage } of responses) check(errorCode, errorMessage);
}

/** True if the change is about SCRAM credentials. @throws ConfigRefusal keys that the entity cannot have */
function usesScram({ entities }: ConfigJob, { type, name }: Entity, { add, remove }: Changes): boolean {
  const both = [...add.keys(), ...remove];
  const scram = both.filter((key) => SCRAM.has(key));
  const known = (key: string): boolean => (type === 'ips' ? key === 'connection_creation_rate' : QUOTA_KEYS.has(key) && key !== 'connection_creation_rate');
  const withScram = type === 'users' && entities.length === 1;
  for (const [verb, keys] of [
    ['added', [...add.keys()]],
    ['deleted', remove],
  ] as const) {
    const strange = keys.filter((key) => !known(key) && !(withScram && SCRAM.has(key)));
    if (strange.length === 0) continue;
    const what = type === 'ips' ? 'connection quota configs' : withScram ? 'quota and SCRAM credential configs' : 'quota configs';
    throw new ConfigRefusal(
      `Only ${what} can be ${verb} for '${withScram || type === 'ips' ? type : 'clients'}' using --bootstrap-server. Unexpected config names: Set(${strange.join(', ')})`,
    );
  }
  if (scram.length === 0) return false;
  if (name === '')
    throw new ConfigRefusal('The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using --bootstrap-server.');
  if (scram.length < both.length)
    throw new ConfigRefusal(`Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server.`);
  return true;
}

async function alterScram({ cluster }: ConfigJob, user: string, { add, remove }: Changes): Promise<void> {
  const upsertions = [...add].map(([mechanism, text]) => {
    const values = new Map(text.split(',').map((pair) => pair.split('=', 2).map((word) => word.trim()) as [string, string]));
    const password = /password=(.*)$/s.exec(text)?.[1] ?? '';
    const iterations = Number(values.get('iterations') ?? DEFAULT_ITERATIONS);
    if (password === '') throw new ConfigRefusal(`Expected a password for ${mechanism}: write ${mechanism}=[iterations=8192,password=…]`);
    const salt = randomBytes(24);
    const hash = mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512';
    const saltedPassword = pbkdf2Sync(password, salt, Math.max(1, iterations), hash === 'sha256' ? 32 : 64, hash);
    return { name: user, mechanism: SCRAM.get(mechanism) as number, iterations, salt, saltedPassword };
  });
  const deletions = remove.map((mechanism) => ({ name: user, mechanism: SCRAM.get(mechanism) as number }));
  const { results } = await cluster.ask(AlterUserScramCredentials, { deletions, upsertions });
  for (const { errorCode, errorMessage } of results) check(errorCode, errorMessage);
}

async function alterQuotas(job: ConfigJob, { add, remove }: Changes): Promise<void> {
  const present = await quotasOf(job);
  refuseUnset(remove, new Set(present.flatMap(({ values }) => values.map(({ key }) => key))));
  const ops = [
    ...[...add].map(([key, text]) => {
      const value = Number(text);
      if (text === '' || Number.isNaN(value)) throw new ConfigRefusal(`Cannot parse quota configuration value for ${key}: ${text}`);
      return { key, value, remove: false };
    }),
    ...remove.map((key) => ({ key, value: 0, remove: true })),
  ];
  const entity = job.entities.map(({ type, name }) => ({
    entityType: QUOTA_TYPE[type] as string,
    entityName: name === '' || name === undefined ? null : name,
  }));
  const { entries } = await job.cluster.ask(AlterClientQuotas, { entries: [{ entity, ops }], validateOnly: false });
  for (const { errorCode, errorMessage } of entries) check(errorCode, errorMessage);
}
