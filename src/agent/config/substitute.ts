/**
 * `${…}` in values, as Flume 1.10+ reads them (commons-text StringSubstitutor in MapResolver.java): `${env:X}`,
 * `${sys:x}`, `${java:x}`, `${date:pattern}`, `${other.property}`, `${x:-default}`, `$${x}` for a literal, variables
 * inside variables, replacements replaced again, and what stays unresolved stays as written, here with a warning.
 *
 * Two differences, both towards what people expect: a property may refer to any other, whatever the order (Flume's
 * result depends on key hashes), and `${NAME}` that is no property is looked up in the environment, which Flume does
 * only with -DpropertiesImplementation=org.apache.flume.node.EnvVarResolverProperties; a finding says so.
 */

import type { Finding, Where } from '../../lib/props/finding.ts';
import { nearest } from '../../lib/suggest.ts';
import { javaTrim, type Table, type TableValue } from './table.ts';

/** Where values come from. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `-Dname=value`, plus what {@link standardSystemProperties} knows. */
  readonly systemProperties: Readonly<Record<string, string>>;
  /** The present time by a SimpleDateFormat pattern. @throws AppError bad pattern */
  readonly date: (pattern: string) => string;
}

/** A variable nobody could resolve, for a finding after config filters had their turn. */
export interface Unresolved {
  readonly key: string;
  /** Between `${` and `}`. */
  readonly name: string;
  readonly where: Where;
}

export interface Substituted {
  readonly table: Map<string, TableValue>;
  readonly findings: readonly Finding[];
  readonly unresolved: readonly Unresolved[];
  /** Keys that others refer to; such a key may be anything, it is a variable. */
  readonly referenced: ReadonlySet<string>;
}

export const ENV_RESOLVER = 'org.apache.flume.node.EnvVarResolverProperties';

/** Resolves all variables of a table. Never throws. */
export function substitute(table: Table, around: Surroundings): Substituted {
  return new Substitution(table, around).run();
}

class Substitution {
  readonly #table: Table;
  readonly #around: Surroundings;
  readonly #done = new Map<string, string>();
  readonly #open: string[] = [];
  readonly #findings: Finding[] = [];
  readonly #unresolved: Unresolved[] = [];
  readonly #referenced = new Set<string>();
  /** The property whose text is being expanded now, for findings. */
  #key = '';

  constructor(table: Table, around: Surroundings) {
    this.#table = table;
    this.#around = around;
  }

  run(): Substituted {
    const out = new Map<string, TableValue>();
    for (const [key, entry] of this.#table) {
      const value = javaTrim(this.#valueOf(key));
      if (value === '') this.#dropped(key, entry);
      else out.set(key, value === entry.value ? entry : { ...entry, value });
    }
    return { table: out, findings: this.#findings, unresolved: this.#unresolved, referenced: this.#referenced };
  }

  #valueOf(key: string): string {
    const done = this.#done.get(key);
    if (done !== undefined) return done;
    const written = this.#table.get(key)!.value;
    if (!written.includes('${')) return written;
    const outer = this.#key;
    this.#key = key;
    this.#open.push(key);
    const value = this.#expand(written);
    this.#open.pop();
    this.#key = outer;
    this.#done.set(key, value);
    return value;
  }

  #expand(text: string): string {
    let out = '';
    let from = 0;
    for (;;) {
      const at = text.indexOf('${', from);
      if (at < 0) return out + text.slice(from);
      if (at > from && text[at - 1] === '$') {
        out += `${text.slice(from, at - 1)}\${`;
        from = at + 2;
        continue;
      }
      const end = closingBrace(text, at + 2);
      if (end < 0) return out + text.slice(from);
      out += text.slice(from, at) + this.#variable(text.slice(at + 2, end));
      from = end + 1;
    }
  }

  #variable(inside: string): string {
    const expression = this.#expand(inside);
    const split = expression.indexOf(':-');
    const name = split < 0 ? expression : expression.slice(0, split);
    const fallback = split < 0 ? undefined : expression.slice(split + 2);
    const literal = `\${${inside}}`;
    if (name === '') return fallback ?? literal;
    const mark = `\${${name}}`;
    if (this.#open.includes(name) || this.#open.includes(mark)) return this.#circle(name, literal);
    if (this.#table.has(name) && !name.includes(':')) {
      this.#referenced.add(name);
      return this.#valueOf(name);
    }
    const found = this.#lookup(name);
    if (found === undefined) {
      if (fallback === undefined) this.#unresolved.push({ key: this.#key, name, where: this.#table.get(this.#key)!.where });
      return fallback ?? literal;
    }
    this.#open.push(mark);
    const value = this.#expand(found);
    this.#open.pop();
    return value;
  }

  #circle(name: string, literal: string): string {
    this.#report(
      'circular-variable',
      'error',
      `\${${name}} leads back to itself; it stays as written`,
      `break the circle: ${[...this.#open, name].join(' -> ')}`,
    );
    return literal;
  }

  /** A prefix that finds nothing gives way to the property named by the rest, as in commons-text. */
  #lookup(name: string): string | undefined {
    const colon = name.indexOf(':');
    if (colon < 0) return this.#bareName(name);
    const rest = name.slice(colon + 1);
    return this.#prefixed(name.slice(0, colon).toLowerCase(), rest) ?? this.#property(rest);
  }

  #prefixed(prefix: string, name: string): string | undefined {
    switch (prefix) {
      case 'env':
        return this.#around.env[name];
      case 'sys':
        return this.#around.systemProperties[name];
      case 'java':
        return this.#java(name);
      case 'date':
        return this.#date(name);
      default:
        return undefined;
    }
  }

  #property(name: string): string | undefined {
    if (!this.#table.has(name) || this.#open.includes(name)) return undefined;
    this.#referenced.add(name);
    return this.#valueOf(name);
  }

  #bareName(name: string): string | undefined {
    const value = this.#around.env[name];
    if (value !== undefined && this.#around.systemProperties.propertiesImplementation !== ENV_RESOLVER) {
      const message = `\${${name}} is no property and was taken from the environment`;
      this.#report('bare-environment-variable', 'info', message, `write \${env:${name}}; Flume 1.10+ leaves \${${name}} as it stands`);
    }
    return value;
  }

  #date(pattern: string): string | undefined {
    try {
      return this.#around.date(pattern);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#report('bad-date-pattern', 'warning', `\${date:${pattern}}: ${text}`, 'use a SimpleDateFormat pattern such as yyyy-MM-dd');
      return undefined;
    }
  }

  #java(name: string): string | undefined {
    const { systemProperties } = this.#around;
    const facts: Record<string, string | undefined> = {
      version: `Node.js version ${process.versions.node}`,
      runtime: `Node.js ${process.versions.node}`,
      vm: `V8 ${process.versions.v8}`,
      os: `${systemProperties['os.name']}, architecture: ${systemProperties['os.arch']}`,
      locale: `default locale: ${Intl.DateTimeFormat().resolvedOptions().locale}`,
      hardware: `architecture: ${systemProperties['os.arch']}`,
    };
    const value = facts[name];
    if (value !== undefined) {
      this.#report(
        'no-java',
        'info',
        `\${java:${name}}: there is no Java here, Node.js answers "${value}"`,
        `write the value that is needed instead of \${java:${name}}`,
      );
    }
    return value;
  }

  #dropped(key: string, { value, where }: TableValue): void {
    this.#findings.push({
      code: 'empty-value',
      severity: 'warning',
      message: `"${key}" became empty (it is written as ${value}), which acts as if it were not set`,
      fix: `give the variable a value, or a default: \${name:-default}`,
      where,
    });
  }

  #report(code: string, severity: Finding['severity'], message: string, fix: string): void {
    this.#findings.push({ code, severity, message, fix, where: this.#table.get(this.#key)?.where });
  }
}

/** Position of the brace that closes a variable opened before `from`, or -1. Only `${` opens another one. */
function closingBrace(text: string, from: number): number {
  let depth = 1;
  for (let i = from; i < text.length; i++) {
    if (text[i] === '$' && text[i + 1] === '{') {
      depth++;
      i++;
    } else if (text[i] === '}' && --depth === 0) {
      return i;
    }
  }
  return -1;
}

/** The finding for a variable that stays as written. */
export function unresolvedFinding({ key, name, where }: Unresolved, around: Surroundings, table: Table): Finding {
  const cut = /^(env|sys|java|date):(.*)$/i.exec(name);
  const prefix = cut?.[1]?.toLowerCase();
  const bare = cut?.[2] ?? name;
  const { env, systemProperties } = around;
  const known = prefix === 'sys' ? Object.keys(systemProperties) : prefix === 'env' ? Object.keys(env) : [...table.keys(), ...Object.keys(env)];
  const similar = nearest(bare, known);
  const fix = prefix === 'sys' ? `start with -D${bare}=…, or give a default` : `set ${bare} before the start, or give a default`;
  return {
    code: 'unresolved-variable',
    severity: 'warning',
    message: `\${${name}} in "${key}" has no value and stays as written`,
    fix: `${similar === undefined ? '' : `did you mean ${similar}? Else `}${fix}: \${${name}:-default}`,
    where,
  };
}

/** The Java system properties that definitions use, answered for this process; `-D` settings go over them. */
export function standardSystemProperties(at: { home: string; user: string; cwd: string; temp: string }): Record<string, string> {
  return {
    'user.home': at.home,
    'user.name': at.user,
    'user.dir': at.cwd,
    'java.io.tmpdir': at.temp,
    'file.separator': '/',
    'path.separator': ':',
    'line.separator': '\n',
    'os.name': process.platform === 'linux' ? 'Linux' : process.platform === 'darwin' ? 'Mac OS X' : process.platform,
    'os.arch': process.arch === 'x64' ? 'amd64' : process.arch === 'arm64' ? 'aarch64' : process.arch,
    'file.encoding': 'UTF-8',
  };
}
