/**
 * Java regular expressions (java.util.regex.Pattern, Java 8/11) as JavaScript ones, and Java's replacement texts.
 * Two differences remain: JavaScript forgets a group's text when its loop starts again, and a back reference to a group
 * that took no part matches the empty text there.
 */
import { ConfigError } from './errors.ts';
import { decimalDigit, type JavaPattern, Translator } from './java-regex-translator.ts';

export type { JavaPattern } from './java-regex-translator.ts';

/**
 * The RegExp for a Java pattern. `matches` must cover the whole text (Matcher.matches), `find` any part of it.
 * `flags`: Java's inline letters (`i s m x u d U`) as if written in front, and JavaScript's `g`, `y`.
 * @throws ConfigError that names what cannot be translated and where
 */
export function javaRegex(pattern: string, mode: 'matches' | 'find', flags = ''): RegExp {
  const translated = translateJavaRegex(pattern, flags.replace(/[gy]/g, ''));
  const source = mode === 'matches' ? `^(?:${translated.source})$` : translated.source;
  const all = translated.flags + (flags.includes('g') ? 'g' : '') + (flags.includes('y') ? 'y' : '');
  try {
    return translated.hiddenGroups ? new RegExpWithHiddenGroups(source, all, translated.groupIndex) : new RegExp(source, all);
  } catch (cause) {
    throw new ConfigError(`the regular expression "${pattern}" cannot be used: ${(cause as Error).message}`, { fix: 'write it in a simpler way', cause });
  }
}

/** Parses and rewrites; use {@link javaRegex} unless group count and names are needed. @throws ConfigError */
export function translateJavaRegex(pattern: string, flags = ''): JavaPattern {
  const first = new Translator(pattern, flags, 'expand');
  const result = first.run();
  return first.needsFlag ? new Translator(pattern, flags, 'flag').run() : result;
}

/**
 * Turns the replacement of Java's `replaceAll` into one for JavaScript's `replace`: `$n` takes digits while such a group
 * exists, `${name}`, `\x` = literal x.
 * @throws ConfigError unknown group, or a lone `$` or `\`
 */
export function javaReplacement(replacement: string, groupCount: number, names: readonly string[] = []): string {
  const wrong = (what: string): ConfigError =>
    new ConfigError(`the replacement "${replacement}" ${what}`, { fix: 'write \\$ and \\\\ (in a .properties file \\\\$ and \\\\\\\\) for a literal $ or \\' });
  let out = '';
  for (let at = 0; at < replacement.length; at++) {
    const char = replacement.charAt(at);
    if (char === '\\') {
      at++;
      if (at === replacement.length) throw wrong('ends in a lone backslash');
      out += literalReplacement(replacement.charAt(at));
    } else if (char !== '$') {
      out += char;
    } else if (replacement.charAt(at + 1) === '{') {
      const end = replacement.indexOf('}', at);
      const name = end < 0 ? '' : replacement.slice(at + 2, end);
      if (!names.includes(name)) throw wrong(`names the group "${name}", which the pattern does not have`);
      out += `$<${name}>`;
      at = end;
    } else {
      let group = decimalDigit(replacement, ++at);
      if (group < 0) throw wrong('has a $ that no group number follows');
      if (group > groupCount) throw wrong(`refers to group ${group}, but the pattern has ${groupCount}`);
      for (let next = decimalDigit(replacement, at + 1); next >= 0 && group * 10 + next <= groupCount; next = decimalDigit(replacement, at + 1)) {
        group = group * 10 + next;
        at++;
      }
      out += group === 0 ? '$&' : `$${group < 10 ? '0' : ''}${group}`;
    }
  }
  return out;
}

function literalReplacement(char: string): string {
  return char === '$' ? '$$' : char;
}

/** Hides the groups that translation added, so callers, `replace` and `split` see Java's numbers. */
class RegExpWithHiddenGroups extends RegExp {
  readonly #groupIndex: readonly number[];

  constructor(source: string | RegExp, flags: string, groupIndex?: readonly number[]) {
    super(source, flags);
    this.#groupIndex = groupIndex ?? (source instanceof RegExpWithHiddenGroups ? source.#groupIndex : []);
  }

  override exec(text: string): RegExpExecArray | null {
    const found = super.exec(text);
    if (found === null) return null;
    const visible = this.#groupIndex.map((index) => found[index]) as unknown as RegExpExecArray;
    visible.index = found.index;
    visible.input = found.input;
    if (found.groups) visible.groups = found.groups;
    return visible;
  }
}
