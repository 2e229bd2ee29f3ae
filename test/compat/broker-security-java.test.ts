/**
 * The real Java tools against a secured broker: kafka-configs makes SCRAM users and quotas, kafka-acls rules, the console
 * clients write and read over SASL_SSL and with client certificates, all with PKCS12 stores of keytool. Needs the real
 * Kafka (see real-kafka.ts) and keytool.
 */
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestBroker } from '../integration/broker-harness.ts';
import { NEEDS_KAFKA, realKafka } from './real-kafka.ts';

const script = realKafka?.script ?? '';
const usable = realKafka !== null && spawnSync('keytool', ['-help'], { stdio: 'ignore' }).error === undefined;
const PASSWORD = 'changeit';
const run = promisify(execFile);

describe.runIf(usable)(`Java tools and security, with keytool (${NEEDS_KAFKA})`, () => {
  let place: string;
  let jarDir: string;
  let broker: TestBroker;
  const file = (name: string): string => join(place, name);
  const keytool = (...words: string[]): void =>
    void execFileSync('keytool', [...words, '-storetype', 'PKCS12', '-storepass', PASSWORD, '-noprompt'], { cwd: place, stdio: 'pipe' });

  beforeAll(async () => {
    place = mkdtempSync(join(tmpdir(), 'millrace-java-security-'));
    jarDir = realKafka!.jars();
    for (const [name, dname] of [
      ['broker', 'CN=broker'],
      ['alice', 'CN=alice,OU=dev,O=Acme'],
    ] as const) {
      keytool('-genkeypair', '-keyalg', 'RSA', '-alias', name, '-dname', dname, '-ext', 'san=ip:127.0.0.1', '-keystore', `${name}.p12`, '-validity', '30');
      keytool('-exportcert', '-alias', name, '-keystore', `${name}.p12`, '-file', `${name}.crt`);
      keytool('-importcert', '-alias', name, '-file', `${name}.crt`, '-keystore', 'trust.p12');
    }
    broker = await TestBroker.start({
      listeners: 'SASL_SSL://127.0.0.1:0,SSL://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0',
      'sasl.enabled.mechanisms': 'SCRAM-SHA-512,PLAIN',
      'plain.sasl.jaas.config': 'org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="root";',
      'ssl.keystore.location': file('broker.p12'),
      'ssl.keystore.password': PASSWORD,
      'ssl.keystore.type': 'PKCS12',
      'ssl.truststore.location': file('trust.p12'),
      'ssl.truststore.password': PASSWORD,
      'ssl.client.auth': 'required',
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:admin',
    });
    const sasl = (module: string, mechanism: string, user: string, password: string): string[] => [
      `sasl.mechanism=${mechanism}`,
      `sasl.jaas.config=org.apache.kafka.common.security.${module} required username="${user}" password="${password}";`,
    ];
    const trust = [`ssl.truststore.location=${file('trust.p12')}`, `ssl.truststore.password=${PASSWORD}`];
    const write = (name: string, ...lines: string[]): void => writeFileSync(file(name), `${lines.join('\n')}\n`);
    write('admin.properties', 'security.protocol=SASL_PLAINTEXT', ...sasl('plain.PlainLoginModule', 'PLAIN', 'admin', 'root'));
    write('scram.properties', 'security.protocol=SASL_SSL', ...trust, ...sasl('scram.ScramLoginModule', 'SCRAM-SHA-512', 'bob', 'bobs secret'));
    write('wrong.properties', 'security.protocol=SASL_SSL', ...trust, ...sasl('scram.ScramLoginModule', 'SCRAM-SHA-512', 'bob', 'guess'));
    write('mtls.properties', 'security.protocol=SSL', ...trust, `ssl.keystore.location=${file('alice.p12')}`, `ssl.keystore.password=${PASSWORD}`);
    await broker.topic('t');
  }, 120_000);
  afterAll(async () => {
    await broker?.end();
    rmSync(place, { recursive: true, force: true });
  });

  const at = (listener: string): string => `127.0.0.1:${broker.running.ports.get(listener)}`;
  const admin = (): string[] => ['--bootstrap-server', at('SASL_PLAINTEXT'), '--command-config', file('admin.properties')];

  async function tool(name: string, ...words: string[]): Promise<string> {
    const { stdout, stderr } = await run(script, [name, ...words], { timeout: 60_000 });
    return stdout + stderr;
  }

  /** A tool that peers/kafka has no word for. */
  async function java(main: string, ...words: string[]): Promise<string> {
    const { stdout, stderr } = await run('java', ['-cp', join(jarDir, '*'), main, ...words], { timeout: 60_000 });
    return stdout + stderr;
  }

  function produce(listener: string, properties: string, lines: string): Promise<string> {
    return new Promise((done) => {
      const words = ['console-producer', '--bootstrap-server', at(listener), '--producer.config', file(properties), '--topic', 't'];
      const child = spawn(
        'timeout',
        [
          '60',
          script,
          ...words,
          '--producer-property',
          'delivery.timeout.ms=8000',
          '--producer-property',
          'request.timeout.ms=5000',
          '--producer-property',
          'linger.ms=0',
          '--producer-property',
          'max.block.ms=5000',
        ],
        { stdio: ['pipe', 'pipe', 'pipe'] },
      );
      let out = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (out += chunk));
      child.on('close', () => done(out));
      child.stdin.end(lines);
    });
  }

  const consume = (listener: string, properties: string, count: number): Promise<string> =>
    tool(
      'console-consumer',
      '--bootstrap-server',
      at(listener),
      '--consumer.config',
      file(properties),
      '--topic',
      't',
      '--from-beginning',
      '--max-messages',
      String(count),
      '--timeout-ms',
      '20000',
    );

  test('kafka-configs makes a SCRAM user, kafka-acls lets it in; the console clients write and read over SASL_SSL', async () => {
    const made = await tool(
      'configs',
      ...admin(),
      '--alter',
      '--add-config',
      'SCRAM-SHA-512=[iterations=8192,password=bobs secret]',
      '--entity-type',
      'users',
      '--entity-name',
      'bob',
    );
    expect(made).toContain('Completed updating config for user bob.');
    expect(await tool('configs', ...admin(), '--describe', '--entity-type', 'users', '--entity-name', 'bob')).toContain(
      "SCRAM credential configs for user-principal 'bob' are SCRAM-SHA-512=iterations=8192",
    );
    expect(await produce('SASL_SSL', 'scram.properties', 'denied\n')).toMatch(
      /TopicAuthorizationException|TOPIC_AUTHORIZATION_FAILED|Not authorized to access topics/,
    );
    const rules = await java(
      'kafka.admin.AclCommand',
      ...admin(),
      '--add',
      '--allow-principal',
      'User:bob',
      '--producer',
      '--consumer',
      '--topic',
      't',
      '--group',
      '*',
    );
    expect(rules).toMatch(/principal=User:bob, host=\*, operation=WRITE, permissionType=ALLOW/);
    expect(await produce('SASL_SSL', 'scram.properties', 'one\ntwo\n')).not.toMatch(/ERROR|Exception/);
    expect(await consume('SASL_SSL', 'scram.properties', 2)).toMatch(/one\ntwo\n/);
    expect(await java('kafka.admin.AclCommand', ...admin(), '--list', '--topic', 't')).toMatch(
      /ResourcePattern\(resourceType=TOPIC, name=t, patternType=LITERAL\)/,
    );
  }, 120_000);

  test('a wrong password is an authentication error', async () => {
    expect(await produce('SASL_SSL', 'wrong.properties', 'x\n')).toMatch(
      /SaslAuthenticationException: Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512/,
    );
  }, 120_000);

  test('a client certificate of keytool is a principal', async () => {
    await java(
      'kafka.admin.AclCommand',
      ...admin(),
      '--add',
      '--allow-principal',
      'User:CN=alice,OU=dev,O=Acme',
      '--operation',
      'All',
      '--topic',
      '*',
      '--group',
      '*',
    );
    expect(await produce('SSL', 'mtls.properties', 'three\n')).not.toMatch(/ERROR|Exception/);
    expect(await consume('SSL', 'mtls.properties', 3)).toContain('three');
  }, 120_000);

  test('kafka-configs sets and shows quotas', async () => {
    const words = ['--entity-type', 'clients', '--entity-name', 'greedy'];
    await tool('configs', ...admin(), '--alter', '--add-config', 'producer_byte_rate=1024,consumer_byte_rate=2048', ...words);
    const shown = await tool('configs', ...admin(), '--describe', ...words);
    expect(shown).toContain("Quota configs for client-id 'greedy' are");
    expect(shown).toContain('producer_byte_rate=1024.0');
    await tool('configs', ...admin(), '--alter', '--delete-config', 'consumer_byte_rate', ...words);
    expect(await tool('configs', ...admin(), '--describe', ...words)).not.toContain('consumer_byte_rate');
  }, 120_000);
});
