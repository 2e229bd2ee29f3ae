/** PLAIN and SCRAM, server side, against a client written here from the RFC. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { checkPlain, loginOfJaas, usersOfJaas } from '../../../../src/broker/auth/plain.ts';
import { credentialFromPassword, credentialFromSalted, ScramExchange, type ScramMechanism } from '../../../../src/broker/auth/scram.ts';

describe('JAAS lines', () => {
  const line = `org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password='a b' user_admin="a b" user_alice="al\\"ice;" user_bob=bob;`;

  test('users and the broker’s own login', () => {
    expect([...usersOfJaas(line)]).toEqual([
      ['admin', 'a b'],
      ['alice', 'al"ice;'],
      ['bob', 'bob'],
    ]);
    expect([...loginOfJaas(line)]).toEqual([['admin', 'a b']]);
    expect(loginOfJaas('x required user_username="no";').size).toBe(0);
    expect(usersOfJaas('').size).toBe(0);
  });
});

describe('PLAIN', () => {
  const users = new Map([['alice', 'wonder']]);
  test.each([
    ['\0alice\0wonder', 'alice'],
    ['alice\0alice\0wonder', 'alice'],
    ['bob\0alice\0wonder', null],
    ['\0alice\0', null],
    ['\0alice\0Wonder', null],
    ['\0bob\0wonder', null],
    ['\0bob\0', null],
    ['\0\0', null],
    ['alice', null],
    ['\0alice\0wonder\0more', null],
  ])('%j', (message, user) => {
    expect(checkPlain(Buffer.from(message), users)).toBe(user);
  });
});

/** A client of RFC 5802; `nonce` and `binding` are what it repeats, `change` falsifies its last message after the proof was made. */
function login(
  mechanism: ScramMechanism,
  exchange: ScramExchange,
  user: string,
  password: string,
  over: { header?: string; binding?: string; nonce?: (whole: string) => string; change?: (text: string) => string } = {},
): string | null {
  const { header = 'n,,', binding = header, nonce: repeat = (whole) => whole, change = (text) => text } = over;
  const [hash, length] = mechanism === 'SCRAM-SHA-256' ? (['sha256', 32] as const) : (['sha512', 64] as const);
  const bare = `n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=fyko+d2lbbFgONRv9qkxdawL`;
  const first = exchange.step(Buffer.from(header + bare))?.toString();
  if (first === undefined) return null;
  const { r: nonce, s: salt, i: iterations } = Object.fromEntries(first.split(',').map((part) => [part[0], part.slice(2)])) as Record<string, string>;
  const salted = pbkdf2Sync(password, Buffer.from(salt as string, 'base64'), Number(iterations), length, hash);
  const clientKey = createHmac(hash, salted).update('Client Key').digest();
  const final = `c=${Buffer.from(binding).toString('base64')},r=${repeat(nonce as string)}`;
  const message = `${bare},${first},${final}`;
  const signature = createHmac(hash, createHash(hash).update(clientKey).digest()).update(message).digest();
  const proof = clientKey.map((byte, i) => byte ^ (signature[i] as number));
  const answer = exchange.step(Buffer.from(change(`${final},p=${Buffer.from(proof).toString('base64')}`)))?.toString() ?? null;
  const serverSignature = createHmac(hash, createHmac(hash, salted).update('Server Key').digest()).update(message).digest('base64');
  if (answer !== null) expect(answer).toBe(`v=${serverSignature}`);
  return answer;
}

describe.each(['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)('%s', (mechanism) => {
  const credential = credentialFromPassword(mechanism, 'pencil');
  const exchange = () => new ScramExchange(mechanism, (user) => (user === 'user' || user === 'a,b=c' ? credential : undefined));

  test('the right password, and names with the two characters that are written as numbers', () => {
    for (const user of ['user', 'a,b=c']) {
      const one = exchange();
      expect(login(mechanism, one, user, 'pencil')).not.toBeNull();
      expect([one.done, one.user]).toEqual([true, user]);
    }
    expect(login(mechanism, exchange(), 'user', 'pencil', { header: 'y,,' })).not.toBeNull();
    expect(login(mechanism, exchange(), 'user', 'pencil', { header: 'n,a=user,' })).not.toBeNull();
  });

  test('wrong passwords, users, nonces, bindings and principals are refused', () => {
    const refused = (over: Parameters<typeof login>[4], user = 'user', password = 'pencil') => {
      const one = exchange();
      expect(login(mechanism, one, user, password, over)).toBeNull();
      expect(one.done).toBe(false);
    };
    refused({}, 'user', 'Pencil');
    refused({}, 'nobody');
    refused({ header: 'n,a=admin,' });
    refused({ header: 'p=tls-unique,,' });
    // Whoever knows the password and proves it, but answers another login's nonce, or says other things than at first.
    refused({ nonce: () => 'fyko+d2lbbFgONRv9qkxdawL' });
    refused({ nonce: (whole) => `${whole}x` });
    refused({ binding: 'y,,' });
    refused({ change: (text) => text.replace('r=fyko', 'r=fykO') });
    refused({ change: (text) => text.replace(/^c=[^,]+/, `c=${Buffer.from('y,,').toString('base64')}`) });
    refused({ change: (text) => text.replace(/,p=.*/, ',p=AAAA') });
    refused({ change: () => 'nonsense' });
  });

  test('librdkafka repeats its own nonce in front of the whole one', () => {
    const one = exchange();
    const answer = login(mechanism, one, 'user', 'pencil', { nonce: (whole) => `fyko+d2lbbFgONRv9qkxdawL${whole}` });
    expect([answer?.startsWith('v='), one.done]).toEqual([true, true]);
  });

  test('a step after the end is refused', () => {
    const one = exchange();
    login(mechanism, one, 'user', 'pencil');
    expect(one.step(Buffer.from('n,,n=user,r=x'))).toBeNull();
  });

  test('a salted password gives what the password gives', () => {
    const salt = Buffer.from(credential.salt, 'base64');
    const [hash, length] = mechanism === 'SCRAM-SHA-256' ? (['sha256', 32] as const) : (['sha512', 64] as const);
    expect(credentialFromSalted(mechanism, pbkdf2Sync('pencil', salt, 4096, length, hash), salt, 4096)).toEqual(credential);
  });
});

test('the stored key of the example in RFC 7677', () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  const { storedKey, serverKey } = credentialFromSalted('SCRAM-SHA-256', pbkdf2Sync('pencil', salt, 4096, 32, 'sha256'), salt, 4096);
  expect(storedKey).toBe('WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=');
  expect(serverKey).toBe('wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=');
});
