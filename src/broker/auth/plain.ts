/**
 * SASL/PLAIN, server side (RFC 4616): authzid NUL user NUL password. Passwords come from the listener's JAAS line,
 * `user_NAME="password"` entries, as Kafka's PlainLoginModule reads them.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

/** The users of a `sasl.jaas.config` line. */
export function usersOfJaas(line: string): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  for (const match of line.matchAll(/user_([^\s=]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s;]+))/g)) {
    users.set(match[1] as string, (match[2] ?? match[3] ?? match[4] ?? '').replace(/\\(.)/g, '$1'));
  }
  return users;
}

/** The broker's own user of a line, `username` and `password`, if it has one: what other brokers would log in as. */
export function loginOfJaas(line: string): ReadonlyMap<string, string> {
  const [username, password] = ['username', 'password'].map((name) => {
    const match = new RegExp(`\\b${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|'([^']*)'|([^\\s;]+))`).exec(line);
    return match && (match[1] ?? match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1');
  });
  return new Map(username != null && password != null ? [[username, password]] : []);
}

/** The user that the message proves to be, or null. */
export function checkPlain(message: Buffer, users: ReadonlyMap<string, string>): string | null {
  const [authzid, user, password, ...more] = message.toString('utf8').split('\0');
  if (user === undefined || password === undefined || more.length > 0 || user === '') return null;
  if (authzid !== '' && authzid !== user) return null;
  const expected = users.get(user);
  // Compare digests, so that neither length nor a first differing byte shows in the time taken.
  const same = timingSafeEqual(digest(password), digest(expected ?? ''));
  return same && expected !== undefined ? user : null;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
