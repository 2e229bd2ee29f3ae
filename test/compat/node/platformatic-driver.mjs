/** @platformatic/kafka (its folder is the second argument) against the broker of the first. Prints `ok NAME` per scenario. */
import { createRequire } from 'node:module';
import path from 'node:path';

const [address, folder] = process.argv.slice(2);
const require = createRequire(path.join(folder, 'package.json'));
const { Admin, Consumer, Producer, stringDeserializers, stringSerializers } = await import(require.resolve('@platformatic/kafka'));

const ok = (name) => console.log('ok', name);
const must = (condition, what) => {
  if (!condition) throw new Error(what);
};
const options = { clientId: 'compat', bootstrapBrokers: [address] };

const admin = new Admin(options);
await admin.createTopics({ topics: ['pk'], partitions: 2, replicas: 1 });
must((await admin.listTopics()).includes('pk'), 'list');
ok('admin create and list');

let sent = 0;
// zstd: only on a newer Node.js.
for (const more of [{ acks: 0 }, { acks: 1 }, { acks: -1 }, { idempotent: true }, { compression: 'gzip' }, { compression: 'snappy' }, { compression: 'lz4' }]) {
  const producer = new Producer({ ...options, serializers: stringSerializers, ...(more.idempotent ? { idempotent: true } : {}) });
  const { idempotent, ...sending } = more;
  await producer.send({ messages: Array.from({ length: 10 }, (_, i) => ({ topic: 'pk', key: `k${i}`, value: `v${i}`, headers: { h: '1' } })), ...sending });
  sent += 10;
  await producer.close();
}
ok('producer acks 0, 1, all, idempotent, codecs');

const consumer = new Consumer({ ...options, groupId: 'pkg', deserializers: stringDeserializers, autocommit: false });
const stream = await consumer.consume({ topics: ['pk'], mode: 'earliest', maxWaitTime: 200 });
let got = 0;
for await (const message of stream) {
  must(message.headers.get('h') === '1', 'headers');
  await message.commit();
  if (++got === sent) break;
}
ok('consumer group, commit');
const committed = await consumer.listCommittedOffsets({ topics: [{ topic: 'pk', partitions: [0, 1] }] });
must(committed.get('pk').reduce((sum, offset) => sum + Number(offset), 0) === sent, `committed ${committed.get('pk')}`);
await consumer.close(true);
ok('committed offsets');

must((await admin.listGroups()).has('pkg'), 'groups');
await admin.deleteGroups({ groups: ['pkg'] });
await admin.deleteTopics({ topics: ['pk'] });
await admin.close();
ok('admin groups and delete');
process.exit(0);
