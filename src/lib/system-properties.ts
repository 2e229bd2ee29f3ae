/**
 * Java's system properties of this process: what was given as `-Dname=value`. Like the environment they belong to the
 * process, not to a component; the launcher sets them once, before anything reads a definition.
 */
let properties: Readonly<Record<string, string>> = {};

/** Replaces all of them. Only the launcher, and tests, call it. */
export function setSystemProperties(values: Readonly<Record<string, string>>): void {
  properties = { ...values };
}

/** The value of `-Dname=…`; undefined when it is not set or empty. */
export function systemProperty(name: string): string | undefined {
  return Object.hasOwn(properties, name) && properties[name] !== '' ? properties[name] : undefined;
}
