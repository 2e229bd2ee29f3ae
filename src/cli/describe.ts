/**
 * `flume-ng describe [KIND] [TYPE] [--json]`: all components by kind, or the reference of one (every kind that has a
 * component of that name), plugins included. The same text is docs/reference.
 */
import type { Catalog } from '../agent/core/catalog.ts';
import type { AnySpec, Kind } from '../agent/core/define.ts';
import { nearest } from '../lib/suggest.ts';
import { type Command, EXIT } from './command.ts';
import { helpText, quietCatalog } from './definition-options.ts';
import { type OptionSpec, parseOptions, UsageError } from './flags.ts';
import { commonProperties, componentRecord, componentText, KINDS } from './reference.ts';

const OPTIONS: readonly OptionSpec[] = [
  { long: 'json', doc: 'answer for programs' },
  { long: 'help', short: 'h', doc: 'this text' },
];
const ABOUT = 'Lists all components, or tells everything about one: what it is, its properties with defaults, its counters.';

export const run: Command = async (words, context) => {
  const { values, extra } = parseOptions(words, OPTIONS);
  if (values.has('help')) {
    context.stdout.write(helpText('describe [KIND] [TYPE] [--json]', ABOUT, OPTIONS));
    return EXIT.ok;
  }
  const catalog = quietCatalog(context);
  const { kinds, type } = asked(extra);
  const json = values.has('json');
  if (type === undefined) {
    context.stdout.write(json ? `${JSON.stringify(await allRecords(kinds, catalog), null, 2)}\n` : await overview(kinds, catalog));
    return EXIT.ok;
  }
  const found = await findAll(kinds, type, catalog);
  if (found.length === 0) return missing(kinds, type, catalog, context);
  const records = found.map(componentRecord);
  if (json)
    context.stdout.write(
      `${JSON.stringify(
        records.map((record) => ({ ...record, common: commonProperties(record.kind) })),
        null,
        2,
      )}\n`,
    );
  else context.stdout.write(records.map(componentText).join('\n'));
  return EXIT.ok;
};

/** `describe sink`, `describe avro`, `describe sink avro`. @throws UsageError */
function asked(words: readonly string[]): { kinds: readonly Kind[]; type: string | undefined } {
  if (words.length > 2) throw new UsageError(`too many words: ${words.join(' ')}`, 'write describe [KIND] [TYPE]');
  const kind = KINDS.find((one) => words[0] !== undefined && [one.kind, `${one.kind}s`, one.page].includes(words[0].toLowerCase()));
  if (kind !== undefined) return { kinds: [kind.kind], type: words[1] };
  if (words.length === 2) throw new UsageError(`no kind of component is called "${words[0]}"`, `kinds are ${KINDS.map((one) => one.kind).join(', ')}`);
  return { kinds: KINDS.map((one) => one.kind), type: words[0] };
}

async function findAll(kinds: readonly Kind[], type: string, catalog: Catalog): Promise<AnySpec[]> {
  const found = await Promise.all(kinds.map((kind) => catalog.find(kind, type)));
  return found.filter((spec) => spec !== undefined);
}

async function specsOf(kind: Kind, catalog: Catalog): Promise<AnySpec[]> {
  const specs = await Promise.all((await catalog.types(kind)).map((type) => catalog.find(kind, type)));
  return specs.filter((spec) => spec !== undefined);
}

async function overview(kinds: readonly Kind[], catalog: Catalog): Promise<string> {
  const parts: string[] = [];
  for (const { kind, title, about } of KINDS.filter((one) => kinds.includes(one.kind))) {
    const specs = await specsOf(kind, catalog);
    const width = Math.max(...specs.map((spec) => spec.type.length), 0);
    parts.push(`${title}: ${about}\n${specs.map((spec) => `  ${spec.type.padEnd(width)}  ${spec.summary}\n`).join('')}`);
  }
  return `${parts.join('\n')}\nflume-ng describe TYPE tells everything about one.\n`;
}

async function allRecords(kinds: readonly Kind[], catalog: Catalog): Promise<object[]> {
  const all = await Promise.all(kinds.map((kind) => specsOf(kind, catalog)));
  return all.flat().map(componentRecord);
}

/** @throws UsageError nothing is known about the type */
async function missing(kinds: readonly Kind[], type: string, catalog: Catalog, context: Parameters<Command>[1]): Promise<number> {
  for (const kind of kinds) {
    const reason = catalog.unavailable(kind, type);
    if (reason !== undefined) {
      context.stdout.write(`${type} (${kind})\n  not available here: ${reason.replace('; ', '\n  ')}\n`);
      return EXIT.failed;
    }
  }
  const types = (await Promise.all(kinds.map((kind) => catalog.types(kind)))).flat();
  const meant = nearest(type, types);
  throw new UsageError(`no component is called "${type}"`, meant === undefined ? 'flume-ng describe lists them all' : `did you mean ${meant}?`);
}
