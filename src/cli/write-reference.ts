/**
 * Writes docs/reference from the specs and tables: a page per kind of component, findings, errors, and an index
 * (`npm run docs`). A test generates them again and compares, so that the pages cannot lag behind.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FINDING_CODES } from '../agent/config/codes.ts';
import type { Kind } from '../agent/core/define.ts';
import { BUILT_IN, loadSpec } from '../agent/wire/catalog.ts';
import { refusedTypes } from '../agent/wire/unavailable.ts';
import { ERROR_CODES } from '../lib/error-codes.ts';
import { HOME } from './component-catalog.ts';
import { commonProperties, componentMarkdown, componentRecord, KINDS, table } from './reference.ts';

const REFERENCE_DIR = path.join(HOME, 'docs', 'reference');
const GENERATED = '<!-- Generated from the sources by `npm run docs`; do not edit. -->';

/** All pages by file name. */
export async function referencePages(): Promise<ReadonlyMap<string, string>> {
  const pages = new Map<string, string>();
  for (const { kind, title, page } of KINDS) pages.set(`${page}.md`, await kindPage(kind, title));
  pages.set('findings.md', codePage('Findings', FINDINGS_INTRO, FINDING_CODES));
  pages.set('errors.md', codePage('Errors', ERRORS_INTRO, ERROR_CODES));
  pages.set('index.md', await indexPage());
  return pages;
}

const FINDINGS_INTRO =
  'What `flume-ng validate` and a start say about a definition. An **error** leaves the component out, a **warning** means that it runs but not as its author may think, a note (**info**) is worth knowing. Codes do not change.';
const ERRORS_INTRO = 'Codes of errors in logs, `/status` and answers of commands.';

async function kindPage(kind: Kind, title: string): Promise<string> {
  const lines = [GENERATED, '', `# ${title}`, ''];
  const common = commonProperties(kind);
  if (common.length > 0) lines.push(`Every ${kind} has:`, '', ...table(common), '');
  for (const entry of BUILT_IN.filter((one) => one.kind === kind)) lines.push(componentMarkdown(componentRecord(await loadSpec(entry))));
  const refused = refusedTypes(kind);
  if (refused.length > 0) {
    lines.push('## Not available', '', '| type | why, and what to do |', '|---|---|');
    for (const { types, why } of refused) lines.push(`| ${types.map((type) => `\`${type}\``).join(', ')} | ${why} |`);
    lines.push('');
  }
  return lines.join('\n');
}

function codePage(title: string, intro: string, codes: Readonly<Record<string, string>>): string {
  const rows = Object.entries(codes).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`);
  return [GENERATED, '', `# ${title}`, '', intro, '', '| code | meaning |', '|---|---|', ...rows, ''].join('\n');
}

async function indexPage(): Promise<string> {
  const lines = [GENERATED, '', '# Reference', '', 'The same as `flume-ng describe` prints.', ''];
  for (const { kind, title, page, about } of KINDS) {
    lines.push(`## [${title}](${page}.md)`, '', `They ${about}.`, '');
    for (const entry of BUILT_IN.filter((one) => one.kind === kind)) {
      const { type, summary } = await loadSpec(entry);
      lines.push(`- [\`${type}\`](${page}.md#${type.toLowerCase()}): ${summary}`);
    }
    lines.push('');
  }
  lines.push('## Codes', '', '- [Findings](findings.md) about definitions', '- [Errors](errors.md) at run time', '');
  return lines.join('\n');
}

/** Writes the pages and removes those that no longer exist. */
async function writePages(): Promise<void> {
  const pages = await referencePages();
  await mkdir(REFERENCE_DIR, { recursive: true });
  for (const name of await readdir(REFERENCE_DIR)) if (!pages.has(name)) await rm(path.join(REFERENCE_DIR, name));
  for (const [name, text] of pages) await writeFile(path.join(REFERENCE_DIR, name), text);
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) await writePages();
