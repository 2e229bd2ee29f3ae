/** Requests about ACLs, and frames that are no requests. */
import { CreateAcls } from '../../src/kafka/apis/create-acls.ts';
import { DeleteAcls } from '../../src/kafka/apis/delete-acls.ts';
import { DescribeAcls } from '../../src/kafka/apis/describe-acls.ts';
import { SaslAuthenticate } from '../../src/kafka/apis/sasl-authenticate.ts';
import { SaslHandshake } from '../../src/kafka/apis/sasl-handshake.ts';
import type { Pair } from './protocol-pair.ts';

const [ANY, TOPIC, GROUP, CLUSTER] = [1, 2, 3, 4];
const [LITERAL, PREFIXED] = [3, 4];
const READ = 3;
const ALLOW = 3;

const acl = (more: object = {}): object => ({
  resourceType: TOPIC,
  resourceName: 'acl-topic',
  resourcePatternType: LITERAL,
  principal: 'User:alice',
  host: '*',
  operation: READ,
  permissionType: ALLOW,
  ...more,
});
const filter = (more: object = {}): object => ({
  resourceTypeFilter: ANY,
  resourceNameFilter: null,
  patternTypeFilter: 1,
  principalFilter: null,
  hostFilter: null,
  operation: ANY,
  permissionType: ANY,
  ...more,
});

const ODD_ACLS: readonly (readonly [what: string, more: object])[] = [
  ['unknown resource type', { resourceType: 0 }],
  ['any resource type', { resourceType: ANY }],
  ['resource type 99', { resourceType: 99 }],
  ['any pattern', { resourcePatternType: 1 }],
  ['match pattern', { resourcePatternType: 2 }],
  ['unknown pattern', { resourcePatternType: 0 }],
  ['pattern 9', { resourcePatternType: 9 }],
  ['empty name', { resourceName: '' }],
  ['cluster with another name', { resourceType: CLUSTER, resourceName: 'mine' }],
  ['no principal', { principal: '' }],
  ['principal without type', { principal: 'alice' }],
  ['principal of another type', { principal: 'Group:g' }],
  ['principal with no name', { principal: 'User:' }],
  ['empty host', { host: '' }],
  ['odd host', { host: 'no host' }],
  ['any operation', { operation: ANY }],
  ['unknown operation', { operation: 0 }],
  ['operation 99', { operation: 99 }],
  ['operation not of it', { operation: 11 }],
  ['any permission', { permissionType: ANY }],
  ['unknown permission', { permissionType: 0 }],
  ['deny', { permissionType: 2 }],
  ['prefixed', { resourcePatternType: PREFIXED }],
  ['everything', { resourceName: '*', operation: 2 }],
  ['group', { resourceType: GROUP, resourceName: 'g' }],
  ['delegation token', { resourceType: 6, resourceName: 'd', operation: 8 }],
  ['user', { resourceType: 7, resourceName: 'User:x', operation: 13 }],
];

const ODD_FILTERS: readonly (readonly [what: string, more: object])[] = [
  ['all', {}],
  ['topic', { resourceTypeFilter: TOPIC }],
  ['name', { resourceNameFilter: 'acl-topic' }],
  ['name, literal', { resourceNameFilter: 'acl-topic', patternTypeFilter: LITERAL }],
  ['name, matching', { resourceTypeFilter: TOPIC, resourceNameFilter: 'acl-topic-x', patternTypeFilter: 2 }],
  ['principal', { principalFilter: 'User:alice' }],
  ['nobody', { principalFilter: 'User:nobody' }],
  ['malformed principal', { principalFilter: 'nobody' }],
  ['host', { hostFilter: '*' }],
  ['operation', { operation: READ }],
  ['permission', { permissionType: 2 }],
  ['unknown type', { resourceTypeFilter: 0 }],
  ['unknown pattern', { patternTypeFilter: 0 }],
  ['unknown operation', { operation: 0 }],
  ['unknown permission', { permissionType: 0 }],
  ['empty name', { resourceNameFilter: '' }],
];

async function acls(pair: Pair): Promise<void> {
  await pair.each('none', CreateAcls, { creations: [] });
  await pair.each('good', CreateAcls, { creations: [acl()] });
  for (const [what, more] of ODD_ACLS) await pair.last(what, CreateAcls, { creations: [acl(more)] });
  await pair.last('good and bad', CreateAcls, { creations: [acl({ host: '10.0.0.1' }), acl({ resourceName: '' }), acl({ host: '10.0.0.1' })] });
  for (const [what, more] of ODD_FILTERS)
    await pair.each(what, DescribeAcls, (version) => filter({ ...(version === 0 && { patternTypeFilter: LITERAL }), ...more }));
  await pair.each('none', DeleteAcls, { filters: [] });
  for (const [what, more] of ODD_FILTERS.slice(1)) await pair.last(what, DeleteAcls, { filters: [filter(more)] });
  await pair.last('two', DeleteAcls, { filters: [filter({ operation: 0 }), filter({ resourceTypeFilter: GROUP }), filter()] });
  await pair.last('after', DescribeAcls, filter());
}

const frame = (hex: string): Buffer => {
  const body = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
};

async function frames(pair: Pair): Promise<void> {
  await pair.raw('unknown key', frame('03e7 0000 00000001 ffff'));
  await pair.raw('negative key', frame('ffff 0000 00000001 ffff'));
  await pair.raw('controller api', frame('0034 0000 00000001 ffff'));
  await pair.raw('leader and isr', frame('0004 0000 00000001 ffff'));
  await pair.raw('metadata too new', frame('0003 00ff 00000001 ffff'));
  await pair.raw('metadata version -1', frame('0003 ffff 00000001 ffff'));
  await pair.raw('api versions too new', frame('0012 00ff 00000007 ffff 00 02 61 02 62 00'));
  await pair.raw('api versions -1', frame('0012 ffff 00000007 ffff'));
  await pair.raw('empty frame', Buffer.alloc(4));
  await pair.raw('three bytes', frame('001200'));
  await pair.raw('negative size', Buffer.from('ffffffff', 'hex'));
  await pair.raw('too large', Buffer.from('7fffffff', 'hex'));
  await pair.raw('http', Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  await pair.raw('client id cut', frame('0003 0001 00000001 00ff 61'));
  await pair.raw('body cut', frame('0003 0001 00000001 ffff 0000'));
  await pair.raw('null array', frame('0013 0000 00000001 ffff ffffffff 00000000'));
  await pair.raw('count too large', frame('0003 0001 00000001 ffff 7fffffff'));
  await pair.raw('bytes left', frame('0012 0000 00000001 ffff 00ff'));
  await pair.each('handshake on plaintext', SaslHandshake, { mechanism: 'PLAIN' });
  await pair.each('authenticate on plaintext', SaslAuthenticate, { authBytes: Buffer.from('\0a\0b') });
}

export const accessCases = { acls, frames };
