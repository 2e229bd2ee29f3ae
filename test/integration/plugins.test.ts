/** Components of a user's own, as a user has them: a file in a directory, a type in a definition, the real command. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { AgentProcess, definition, HOUSE } from './agent-process.ts';

const agents: AgentProcess[] = [];
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.end();
});

function agentOf(lines: string): AgentProcess {
  const agent = new AgentProcess(definition(lines));
  agents.push(agent);
  return agent;
}

const flow = (source: string, sink: string): string => `
  sources = r1
  channels = c1
  sinks = k1
  ${source}
  sources.r1.channels = c1
  channels.c1.type = memory
  ${sink}
  sinks.k1.channel = c1`;
const HEARTBEAT = 'sources.r1.type = org.example.flume.HeartbeatSource\n  sources.r1.interval = 20\n  sources.r1.text = tick';
const LOGGER = 'sinks.k1.type = logger';

/** A typed sink of one's own; `word` tells its versions apart. */
const sinkText = (type: string, word: string): string => `import { defineSink, text, type Sealed } from 'millrace/plugin';

interface Shown { readonly prefix: string }

export default defineSink({
  type: '${type}',
  aliases: ['com.acme.flume.ShoutSink'],
  summary: 'Shouts.',
  properties: { prefix: text({ default: '${word}', doc: 'What comes first.' }) },
  create: ({ prefix }: Shown, { log }) => ({
    async deliver(batch: readonly Sealed[]): Promise<void> {
      for (const event of batch) log.info(\`\${prefix} \${event.body.toString().toUpperCase()}\`);
    },
  }),
});
`;

describe('plugins', () => {
  it('the two examples work together', async () => {
    const posts: string[] = [];
    let refusals = 1;
    const server = http.createServer((request, response) => {
      let body = '';
      request
        .on('data', (chunk) => (body += chunk))
        .on('end', () => {
          response.writeHead(refusals-- > 0 ? 503 : 204).end();
          if (response.statusCode === 204) posts.push(...body.trimEnd().split('\n'));
        });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const agent = agentOf(flow(HEARTBEAT, `sinks.k1.type = webhook\n  sinks.k1.url = ${url}`)).start();
    await expect.poll(() => posts.length, { timeout: 30_000 }).toBeGreaterThan(3);
    expect(new Set(posts)).toEqual(new Set(['tick']));
    expect(await agent.stop()).toBe(143);
    server.closeAllConnections();
    server.close();
  });

  it('a typed file in a directory of one’s own works without a build, from anywhere', async () => {
    const agent = agentOf(flow(HEARTBEAT, 'sinks.k1.type = com.acme.flume.ShoutSink\n  sinks.k1.prefix = hey'));
    fs.mkdirSync(path.join(agent.dir, 'my plugins/shout/lib'), { recursive: true });
    fs.writeFileSync(path.join(agent.dir, 'my plugins/shout/lib/shout.ts'), sinkText('shout', 'x'));
    agent.start('--plugins-path', 'my plugins:/nowhere');
    await agent.says('hey TICK');
    expect(await agent.stop()).toBe(143);
  });

  it('the example of the guide works as it is written there', async () => {
    const guide = fs.readFileSync(path.join(HOUSE, 'docs/guide/plugins.md'), 'utf8');
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(guide) ?? [];
    const agent = agentOf(flow(`${HEARTBEAT}\n  sources.r1.interceptors = i1\n  sources.r1.interceptors.i1.type = upper`, LOGGER));
    fs.writeFileSync(path.join(agent.dir, 'upper.ts'), example);
    agent.start('--plugins-path', agent.dir);
    await agent.says('54 49 43 4B');
    expect(await agent.stop()).toBe(143);
  });

  it('a new one is picked up by an agent that runs, and a broken one stops nothing', async () => {
    const agent = agentOf(flow(HEARTBEAT, LOGGER));
    fs.mkdirSync(path.join(agent.dir, 'plugins'));
    fs.writeFileSync(path.join(agent.dir, 'plugins/broken.ts'), 'export default {');
    fs.writeFileSync(path.join(agent.dir, 'plugins/typed.ts'), "import { Sealed } from 'millrace/plugin';\nexport default null;\n");
    agent.start('--plugins-path', 'plugins');
    await agent.says('Event: { headers:{number=1');
    expect(agent.output).toMatch(/\[ERROR - plugins\] plugin .*broken\.ts: /);
    expect(agent.output).toMatch(/typed\.ts: .*Sealed.*\(types are imported with import type/);
    fs.writeFileSync(path.join(agent.dir, 'plugins/shout.ts'), sinkText('shout', 'new'));
    agent.rewrite(definition(flow(HEARTBEAT, 'sinks.k1.type = shout')));
    await agent.says('new TICK');
    expect(await agent.stop()).toBe(143);
  });

  it('are described and validated like built-in ones', () => {
    const flume = (...args: string[]): string => execFileSync(path.join(HOUSE, 'bin/flume-ng'), args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    expect(flume('describe', 'webhook')).toMatch(/webhook[\s\S]*Posts each batch as lines to a URL[\s\S]*timeout[\s\S]*5000/);
    const agent = agentOf(flow(HEARTBEAT, 'sinks.k1.type = webhook\n  sinks.k1.url = nonsense'));
    expect(() => flume('validate', '-f', agent.file)).toThrow(expect.objectContaining({ status: 1, stdout: expect.stringContaining('url is not a URL') }));
  });
});
