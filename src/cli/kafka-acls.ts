/** `kafka-acls.sh`: lists, adds and removes access rules (kafka.admin.AclCommand 3.9). */
import { createInterface } from 'node:readline/promises';
import { CreateAcls } from '../kafka/apis/create-acls.ts';
import { DeleteAcls } from '../kafka/apis/delete-acls.ts';
import { DescribeAcls } from '../kafka/apis/describe-acls.ts';
import {
  type AclEntry,
  CODES,
  checkAclOptions,
  checkOperations,
  convenienceAcls,
  entriesOf,
  entryText,
  filterText,
  OPTIONS,
  type Pattern,
  patternOf,
  patternText,
  resourcesOf,
} from './kafka-tool/acl-options.ts';
import { type Cluster, check } from './kafka-tool/cluster.ts';
import { type Options, UsageFault } from './kafka-tool/options.ts';
import { err, out, WireError } from './kafka-tool/output.ts';
import { runTool, withCluster } from './kafka-tool/tool.ts';

const NOTHING = { principalFilter: null, hostFilter: null, operation: CODES.operation.ANY, permissionType: CODES.permission.ANY };

/** Every rule on resources that a pattern finds, with the principals wanted. */
async function describe(cluster: Cluster, pattern: Pattern): Promise<{ pattern: Pattern; entries: AclEntry[] }[]> {
  const answer = await cluster.entry.call(DescribeAcls, {
    resourceTypeFilter: pattern.type,
    resourceNameFilter: pattern.name,
    patternTypeFilter: pattern.patternType,
    ...NOTHING,
  });
  check(answer.errorCode, answer.errorMessage);
  return answer.resources.map(({ resourceType, resourceName, patternType, acls }) => ({
    pattern: { type: resourceType, name: resourceName, patternType },
    entries: acls,
  }));
}

async function list(cluster: Cluster, options: Options): Promise<void> {
  const wanted = resourcesOf(options);
  const principals = options.all('principal');
  const patterns = wanted.length === 0 ? [{ type: CODES.resource.ANY, name: null, patternType: patternOf(options, true) }] : wanted;
  const found = [];
  for (const pattern of patterns) found.push(...(await describe(cluster, pattern)));
  for (const principal of principals.length === 0 ? [undefined] : principals) {
    if (principal !== undefined) out(`ACLs for principal \`${principal}\`\n`);
    for (const { pattern, entries } of found) {
      const shown = entries.filter((entry) => principal === undefined || entry.principal === principal);
      if (shown.length > 0) out(`Current ACLs for resource \`${patternText(pattern)}\`: \n ${listing(shown)} \n\n`);
    }
  }
}

/** One below the other, as the tool prints rules. */
const listing = (entries: readonly AclEntry[]): string => entries.map((entry) => `\t${entryText(entry)}`).join('\n');

function rulesOf(options: Options): { pattern: Pattern; entries: AclEntry[] }[] {
  const easy = convenienceAcls(options);
  if (easy !== null) return easy;
  const resources = resourcesOf(options);
  if (resources.length === 0) {
    throw new UsageFault('You must provide at least one resource: --topic <topic> or --cluster or --group <group> or --delegation-token <Delegation Token ID>');
  }
  const entries = entriesOf(options);
  return resources.map((pattern) => ({ pattern, entries }));
}

async function add(cluster: Cluster, options: Options): Promise<void> {
  const patternType = patternOf(options, false);
  if (patternType !== CODES.pattern.LITERAL && patternType !== CODES.pattern.PREFIXED) {
    throw new UsageFault(`A '--resource-pattern-type' value of '${options.get('resource-pattern-type')}' is not valid when adding acls.`);
  }
  const rules = rulesOf(options);
  for (const { pattern, entries } of rules) {
    if (entries.length === 0) throw new UsageFault('You must specify one of: --allow-principal, --deny-principal when trying to add ACLs.');
    checkOperations(pattern, entries);
  }
  for (const { pattern, entries } of rules) {
    out(`Adding ACLs for resource \`${patternText(pattern)}\`: \n ${listing(entries)} \n\n`);
    const { results } = await cluster.ask(CreateAcls, {
      creations: entries.map((entry) => ({
        resourceType: pattern.type,
        resourceName: pattern.name as string,
        resourcePatternType: pattern.patternType,
        ...entry,
      })),
    });
    for (const { errorCode, errorMessage } of results) check(errorCode, errorMessage);
  }
  await list(cluster, options);
}

async function confirmed(options: Options, question: string): Promise<boolean> {
  if (options.has('force')) return true;
  out(`${question}\n`);
  const lines = createInterface({ input: process.stdin });
  const answer = await new Promise<string>((resolve) => {
    lines.once('line', resolve);
    lines.once('close', () => resolve(''));
  });
  lines.close();
  return /^y(es)?$/i.test(answer.trim());
}

async function remove(cluster: Cluster, options: Options): Promise<void> {
  for (const { pattern, entries } of rulesOf(options)) {
    const shown = listing(entries);
    const question =
      entries.length === 0
        ? `Are you sure you want to delete all ACLs for resource filter \`${filterText(pattern)}\`? (y/n)`
        : `Are you sure you want to remove ACLs: \n ${shown} \n from resource filter \`${filterText(pattern)}\`? (y/n)`;
    if (!(await confirmed(options, question))) continue;
    const base = { resourceTypeFilter: pattern.type, resourceNameFilter: pattern.name, patternTypeFilter: pattern.patternType };
    const filters =
      entries.length === 0
        ? [{ ...base, ...NOTHING }]
        : entries.map(({ principal, host, operation, permissionType }) => ({
            ...base,
            principalFilter: principal,
            hostFilter: host,
            operation,
            permissionType,
          }));
    const { filterResults } = await cluster.ask(DeleteAcls, { filters });
    for (const { errorCode, errorMessage } of filterResults) check(errorCode, errorMessage);
  }
  await list(cluster, options);
}

const ACTIONS = { list, add, remove } as const;

await runTool({
  purpose: 'This tool helps to manage acls on kafka.',
  options: OPTIONS,
  run: async (options) => {
    const actions = (['list', 'add', 'remove'] as const).filter((name) => options.has(name));
    const action = actions[0];
    if (action === undefined || actions.length > 1) throw new UsageFault('Command must include exactly one action: --list, --add, --remove. ');
    checkAclOptions(options, action);
    try {
      return await withCluster(
        options,
        (cluster) => ACTIONS[action](cluster, options).then(() => 0),
        new UsageFault('One of --bootstrap-server or --bootstrap-controller must be specified'),
      );
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      out(`Error while executing ACL command: ${error.javaText}\n`);
      err(`java.util.concurrent.ExecutionException: ${error.javaText}\n`);
      return 1;
    }
  },
});
