/** The client's connection against a scripted broker on a real socket: versions, order, cut frames, silence, login. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { expect, it } from 'vitest';
import { ApiVersions } from '../../../../src/kafka/apis/api-versions.ts';
import { ConsumerGroupHeartbeat } from '../../../../src/kafka/apis/consumer-group-heartbeat.ts';
import { ListGroups } from '../../../../src/kafka/apis/list-groups.ts';
import { Metadata } from '../../../../src/kafka/apis/metadata.ts';
import { Produce } from '../../../../src/kafka/apis/produce.ts';
import { SaslAuthenticate } from '../../../../src/kafka/apis/sasl-authenticate.ts';
import { SaslHandshake } from '../../../../src/kafka/apis/sasl-handshake.ts';
import { KafkaConnection } from '../../../../src/kafka/client/connection.ts';
import { encodeResponse } from '../../../../src/kafka/headers.ts';
import type { AnyApi } from '../../../../src/kafka/schema.ts';
import { type Script, scriptedBroker } from './scripted-broker.ts';

const RANGES = [
  { apiKey: ApiVersions.key, minVersion: 0, maxVersion: 3 },
  { apiKey: Metadata.key, minVersion: 0, maxVersion: 5 },
  { apiKey: ListGroups.key, minVersion: 0, maxVersion: 4 },
  { apiKey: Produce.key, minVersion: 3, maxVersion: 13 },
  { apiKey: SaslHandshake.key, minVersion: 0, maxVersion: 1 },
  { apiKey: SaslAuthenticate.key, minVersion: 0, maxVersion: 2 },
];

/** Answers ApiVersions as a broker of 2.4 to 3.7 does, and leaves the rest to `script`. */
const withVersions =
  (script: Script): Script =>
  (seen, socket) => {
    if (seen.api !== (ApiVersions as AnyApi)) return script(seen, socket);
    return seen.version > 3 ? fallback(seen.correlationId) : { errorCode: 0, apiKeys: RANGES };
  };

function fallback(correlationId: number): Buffer {
  const body = { errorCode: 35, apiKeys: [RANGES[0]!] };
  return Buffer.concat(encodeResponse({ api: ApiVersions, version: 0, correlationId }, body));
}

const connect = (port: number, extra: object = {}) => KafkaConnection.open({ host: '127.0.0.1', port, clientId: 'test', ...extra });

it('falls back to the version of ApiVersions that the broker names, then uses what both sides have', async () => {
  const versions: number[] = [];
  const port = await scriptedBroker((seen, socket) => {
    versions.push(seen.version);
    return withVersions(({ clientId }) => ({ brokers: [], clusterId: clientId, controllerId: 1, topics: [] }))(seen, socket);
  });
  const connection = await connect(port);
  const reply = await connection.call(Metadata, { topics: null });
  expect(versions).toEqual([4, 3, 5]);
  expect(reply.clusterId).toBe('test');
  expect([connection.versionOf(Produce), connection.versionOf(Metadata, 2), connection.versionOf(ConsumerGroupHeartbeat)]).toEqual([11, 2, -1]);
  await expect(connection.call(ConsumerGroupHeartbeat, { groupId: 'g', memberId: '', memberEpoch: 0 })).rejects.toThrow(
    /offers none of ConsumerGroupHeartbeat/,
  );
  connection.close();
});

it('matches pipelined answers, also when they arrive in single bytes', async () => {
  const port = await scriptedBroker(
    withVersions(({ api, version, correlationId }, socket) => {
      const groups = [{ groupId: `g${correlationId}`, protocolType: '' }];
      for (const byte of Buffer.concat(encodeResponse({ api, version, correlationId }, { errorCode: 0, groups } as never))) socket.write(Buffer.of(byte));
      return null;
    }),
  );
  const connection = await connect(port);
  const replies = await Promise.all(Array.from({ length: 20 }, () => connection.call(ListGroups, {})));
  expect(replies.map(({ groups }) => groups[0]!.groupId)).toEqual(Array.from({ length: 20 }, (_, i) => `g${i + 3}`));
  expect(connection.pending).toBe(0);
  connection.close();
});

it('sends requests without an answer and keeps the order of the others', async () => {
  const seen: string[] = [];
  const port = await scriptedBroker(
    withVersions(({ api }) => {
      seen.push(api.name);
      return api === (Produce as AnyApi) ? null : { errorCode: 0, groups: [] };
    }),
  );
  const connection = await connect(port);
  const large = Buffer.alloc(200_000, 1);
  connection.post(Produce, { acks: 0, timeoutMs: 1, topicData: [{ name: 't', partitionData: [{ index: 0, records: [large, large] }] }] });
  await connection.call(ListGroups, {});
  expect(seen).toEqual(['Produce', 'ListGroups']);
  connection.close();
});

it('ends on an answer out of order, on what is not Kafka, and on silence', async () => {
  const wrong = await connect(
    await scriptedBroker(
      withVersions(({ api, version }) => Buffer.concat(encodeResponse({ api, version, correlationId: 99 }, { errorCode: 0, groups: [] } as never))),
    ),
  );
  await expect(wrong.call(ListGroups, {})).rejects.toThrow(/answered request 99, expected was 3/);
  expect(wrong.isClosed).toBe(true);
  const http = await connect(await scriptedBroker(withVersions(() => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))));
  await expect(http.call(ListGroups, {})).rejects.toThrow(/that is not Kafka/);
  const silent = await connect(await scriptedBroker(withVersions(() => null)));
  await expect(silent.call(ListGroups, {}, { timeoutMs: 20 })).rejects.toThrow(/did not answer ListGroups in time/);
  await expect(silent.call(ListGroups, {})).rejects.toThrow(/did not answer/);
});

it('fails what is under way when the connection ends, and tells its owner', async () => {
  const port = await scriptedBroker(
    withVersions((_, socket) => {
      socket.destroy();
      return null;
    }),
  );
  const connection = await connect(port);
  const closed = new Promise<Error>((resolve) => {
    connection.onClose = resolve;
  });
  await expect(connection.call(ListGroups, {})).rejects.toMatchObject({ code: 'KAFKA_CONNECTION', retriable: true });
  expect((await closed).message).toMatch(/closed the connection|failed/);
  expect(() => connection.post(Produce, { acks: 0, timeoutMs: 1, topicData: [] })).toThrow();
});

it('says where nobody listens, and gives up on a broker that accepts and says nothing', async () => {
  await expect(connect(1)).rejects.toThrow(/cannot connect to 127\.0\.0\.1:1: /);
  const port = await scriptedBroker(() => null);
  await expect(connect(port, { connectTimeoutMs: 30 })).rejects.toThrow(/127\.0\.0\.1:\d+/);
});

it('logs in with PLAIN, and passes on why not', async () => {
  const port = await scriptedBroker(
    withVersions(({ api, body }) => {
      if (api === (SaslHandshake as AnyApi)) return { errorCode: (body as { mechanism: string }).mechanism === 'PLAIN' ? 0 : 33, mechanisms: ['PLAIN'] };
      const isRight = (body as { authBytes: Buffer }).authBytes.toString() === '\0ann\0secret';
      return { errorCode: isRight ? 0 : 58, errorMessage: isRight ? null : 'Authentication failed: Invalid username or password', authBytes: Buffer.alloc(0) };
    }),
  );
  const sasl = { mechanism: 'PLAIN', username: 'ann', password: 'secret' };
  (await connect(port, { sasl })).close();
  await expect(connect(port, { sasl: { ...sasl, password: 'guess' } })).rejects.toThrow(
    /login as ann failed: Authentication failed: Invalid username or password/,
  );
  await expect(connect(port, { sasl: { ...sasl, mechanism: 'SCRAM-SHA-256' } })).rejects.toMatchObject({ wireCode: 33, fix: 'use one of PLAIN' });
});

it('logs in with SCRAM, and only to a server that knows the password too', async () => {
  const salt = Buffer.from('pepper');
  const server = (password: string) => {
    let first = '';
    return withVersions(({ api, body }) => {
      if (api === (SaslHandshake as AnyApi)) return { errorCode: 0, mechanisms: ['SCRAM-SHA-512'] };
      const text = (body as { authBytes: Buffer }).authBytes.toString();
      if (text.startsWith('n,,')) {
        first = `${text.slice(3)},r=${text.split('r=')[1]}srv,s=${salt.toString('base64')},i=4096`;
        return { errorCode: 0, errorMessage: null, authBytes: Buffer.from(first.slice(text.length - 2)) };
      }
      const salted = pbkdf2Sync(password, salt, 4096, 64, 'sha512');
      const hmac = (key: Buffer, data: string) => createHmac('sha512', key).update(data).digest();
      const message = `${first},${text.slice(0, text.indexOf(',p='))}`;
      const stored = createHash('sha512').update(hmac(salted, 'Client Key')).digest();
      const proof = Buffer.from(text.split(',p=')[1]!, 'base64');
      const signature = hmac(stored, message);
      const key = Buffer.from(proof.map((byte, i) => byte ^ signature[i]!));
      const isRight = createHash('sha512').update(key).digest().equals(stored);
      const v = hmac(hmac(salted, 'Server Key'), message).toString('base64');
      return { errorCode: isRight || password === 'imposter' ? 0 : 58, errorMessage: isRight ? null : 'invalid credentials', authBytes: Buffer.from(`v=${v}`) };
    });
  };
  const sasl = { mechanism: 'SCRAM-SHA-512', username: 'a,=b', password: 'secret' };
  (await connect(await scriptedBroker(server('secret')), { sasl })).close();
  await expect(connect(await scriptedBroker(server('other')), { sasl })).rejects.toThrow(/invalid credentials/);
  await expect(connect(await scriptedBroker(server('imposter')), { sasl })).rejects.toThrow(/its signature is wrong/);
});
