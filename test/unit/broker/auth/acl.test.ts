/** Who may do what: Kafka's rules of matching, precedence and implication. */
import { describe, expect, test } from 'vitest';
import { type AclBinding, aclAuthorizer, matchesFilter, OPERATION, PATTERN, PERMISSION, RESOURCE } from '../../../../src/broker/auth/acl.ts';

const alice = { principal: 'User:alice', host: '10.0.0.1' };
const bob = { principal: 'User:bob', host: '10.0.0.2' };

function rule(permission: 'allow' | 'deny', operation: keyof typeof OPERATION, over: Partial<AclBinding> = {}): AclBinding {
  return {
    resourceType: RESOURCE.topic,
    resourceName: 'orders',
    patternType: PATTERN.literal,
    principal: 'User:alice',
    host: '*',
    operation: OPERATION[operation],
    permissionType: PERMISSION[permission],
    ...over,
  };
}

function authorizer(rules: readonly AclBinding[], { allowIfNone = false, superUsers = [] as string[] } = {}) {
  return aclAuthorizer(() => rules, { superUsers: new Set(superUsers), allowIfNone });
}

describe('one resource', () => {
  test('nobody may do anything without a rule, unless the setting says so', () => {
    expect(authorizer([]).allowed(alice, OPERATION.read, RESOURCE.topic, 'orders')).toBe(false);
    expect(authorizer([], { allowIfNone: true }).allowed(alice, OPERATION.read, RESOURCE.topic, 'orders')).toBe(true);
    // One rule about the resource, be it about somebody else, ends that.
    const open = authorizer([rule('allow', 'read', { principal: 'User:carol' })], { allowIfNone: true });
    expect(open.allowed(alice, OPERATION.read, RESOURCE.topic, 'orders')).toBe(false);
    expect(open.allowed(alice, OPERATION.read, RESOURCE.topic, 'other')).toBe(true);
    expect(open.allowed(alice, OPERATION.read, RESOURCE.group, 'orders')).toBe(true);
  });

  test('super users may everything, denied or not', () => {
    const strict = authorizer([rule('deny', 'all')], { superUsers: ['User:alice'] });
    expect(strict.allowed(alice, OPERATION.delete, RESOURCE.topic, 'orders')).toBe(true);
    expect(strict.allowedAny(alice, OPERATION.write, RESOURCE.topic)).toBe(true);
  });

  test('deny beats allow, whichever is more specific', () => {
    const rules = [rule('allow', 'all'), rule('deny', 'read', { resourceName: 'ord', patternType: PATTERN.prefixed })];
    expect(authorizer(rules).allowed(alice, OPERATION.read, RESOURCE.topic, 'orders')).toBe(false);
    expect(authorizer(rules).allowed(alice, OPERATION.write, RESOURCE.topic, 'orders')).toBe(true);
  });

  test('a denial of one operation does not take away what another implies', () => {
    const rules = [rule('allow', 'write'), rule('deny', 'read')];
    expect(authorizer(rules).allowed(alice, OPERATION.describe, RESOURCE.topic, 'orders')).toBe(true);
    expect(authorizer([rule('allow', 'read'), rule('deny', 'describe')]).allowed(alice, OPERATION.describe, RESOURCE.topic, 'orders')).toBe(false);
  });

  test.each(['read', 'write', 'delete', 'alter'] as const)('%s implies describe', (operation) => {
    expect(authorizer([rule('allow', operation)]).allowed(alice, OPERATION.describe, RESOURCE.topic, 'orders')).toBe(true);
    expect(authorizer([rule('allow', 'describe')]).allowed(alice, OPERATION[operation], RESOURCE.topic, 'orders')).toBe(false);
  });

  test('literal, prefixed and * match names', () => {
    const names = (over: Partial<AclBinding>) =>
      ['orders', 'orders-eu', 'or', '*'].filter((name) => authorizer([rule('allow', 'read', over)]).allowed(alice, OPERATION.read, RESOURCE.topic, name));
    expect(names({})).toEqual(['orders']);
    expect(names({ patternType: PATTERN.prefixed })).toEqual(['orders', 'orders-eu']);
    expect(names({ resourceName: '*' })).toEqual(['orders', 'orders-eu', 'or', '*']);
  });

  test('principal and host', () => {
    const here = authorizer([rule('allow', 'read', { principal: 'User:*', host: '10.0.0.2' })]);
    expect(here.allowed(alice, OPERATION.read, RESOURCE.topic, 'orders')).toBe(false);
    expect(here.allowed(bob, OPERATION.read, RESOURCE.topic, 'orders')).toBe(true);
  });
});

describe('some resource of a type', () => {
  const any = (rules: readonly AclBinding[], allowIfNone = false) => authorizer(rules, { allowIfNone }).allowedAny(alice, OPERATION.write, RESOURCE.topic);

  test('one allowed resource is enough, denials of others do not matter', () => {
    expect(any([])).toBe(false);
    expect(any([rule('allow', 'read')])).toBe(false);
    expect(any([rule('allow', 'write')])).toBe(true);
    expect(any([rule('allow', 'write'), rule('deny', 'write', { resourceName: 'secret' })])).toBe(true);
  });

  test('a denial of the same resource, of a prefix above it, or of all counts', () => {
    const allow = rule('allow', 'write');
    expect(any([allow, rule('deny', 'write')])).toBe(false);
    expect(any([allow, rule('deny', 'all', { resourceName: 'or', patternType: PATTERN.prefixed })])).toBe(false);
    expect(any([allow, rule('deny', 'write', { resourceName: '*' })])).toBe(false);
    const prefixed = rule('allow', 'write', { patternType: PATTERN.prefixed });
    expect(any([prefixed, rule('deny', 'write')])).toBe(true);
    expect(any([prefixed, rule('deny', 'write', { resourceName: 'o', patternType: PATTERN.prefixed })])).toBe(false);
    expect(any([rule('allow', 'write', { resourceName: '*' }), rule('deny', 'write', { resourceName: 'o', patternType: PATTERN.prefixed })])).toBe(true);
  });

  test('where nothing is forbidden by default, only a denial of all counts', () => {
    expect(any([], true)).toBe(true);
    expect(any([rule('deny', 'write')], true)).toBe(true);
    expect(any([rule('deny', 'write', { resourceName: '*' })], true)).toBe(false);
  });
});

test('filters: literal, any and match', () => {
  const prefixed = rule('allow', 'read', { resourceName: 'ord', patternType: PATTERN.prefixed });
  const filter = { resourceType: RESOURCE.any, resourceName: 'orders', principal: null, host: null, operation: OPERATION.any, permissionType: PERMISSION.any };
  expect(matchesFilter(prefixed, { ...filter, patternType: PATTERN.match })).toBe(true);
  expect(matchesFilter(prefixed, { ...filter, patternType: PATTERN.any })).toBe(false);
  expect(matchesFilter(prefixed, { ...filter, resourceName: 'ord', patternType: PATTERN.any })).toBe(true);
  expect(matchesFilter(prefixed, { ...filter, resourceName: null, patternType: PATTERN.literal })).toBe(false);
  expect(matchesFilter(prefixed, { ...filter, resourceName: null, patternType: PATTERN.any, principal: 'User:bob' })).toBe(false);
});
