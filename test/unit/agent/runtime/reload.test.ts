import { describe, expect, it } from 'vitest';
import type { AgentModel, LoadedAgent } from '../../../../src/agent/config/model.ts';
import { Reloader } from '../../../../src/agent/runtime/reload.ts';
import { systemClock } from '../../../../src/lib/clock.ts';
import type { Finding } from '../../../../src/lib/props/finding.ts';
import { Lines, model } from './fixture.ts';

const NOTHING = { stop: { channels: [], sinks: [], drains: [], sources: [] }, start: { channels: [], sinks: [], drains: [], sources: [] }, adopted: [] };

function finding(message: string, severity: Finding['severity'] = 'error'): Finding {
  return { code: 'bad-value', severity, message, component: 'source r1' };
}

/** A definition whose text says what loading it gives: `ok`, `bad`, `nothing`. */
function setup(startFindings: readonly Finding[] = []) {
  const lines = new Lines();
  const applied: AgentModel[] = [];
  const refused: string[] = [];
  const world = { text: 'ok', unreadable: false, startFails: false, onLoad: async () => undefined as undefined, onPause: async () => undefined as undefined };
  const textsOf = (text: string) => [{ file: 'a.conf', bytes: Buffer.from(text) }];
  const reloader = new Reloader({
    agent: {
      apply: async (next) => {
        if (world.startFails) {
          refused.push('start');
          throw new Error('could not start');
        }
        applied.push(next);
        return NOTHING;
      },
      refuseReload: (reason) => refused.push(reason),
    },
    read: async () => {
      if (world.unreadable) throw new Error('Unable to read file a.conf');
      return textsOf(world.text);
    },
    load: async (texts): Promise<LoadedAgent> => {
      await world.onLoad();
      const text = Buffer.from(texts[0]?.bytes ?? []).toString();
      const findings = text.startsWith('bad') ? [finding(text)] : text === 'nothing' ? [finding('nothing runs')] : [...startFindings];
      return { model: text === 'nothing' ? null : model({ name: text }), findings, agents: ['a1'], effective: new Map() };
    },
    log: lines.logger(),
    clock: { ...systemClock, sleep: () => world.onPause() },
    running: { texts: textsOf('ok'), findings: startFindings },
    describe: (each) => each.message,
  });
  return { reloader, world, applied, refused, lines };
}

describe('Reloader', () => {
  it('does nothing when the bytes are the same, unless asked', async () => {
    const { reloader, applied } = setup();
    await reloader.request('changed');
    expect(applied).toEqual([]);
    await reloader.request('asked');
    expect(applied).toHaveLength(1);
  });

  it('applies a changed definition', async () => {
    const { reloader, world, applied } = setup();
    world.text = 'ok 2';
    await reloader.request('changed');
    expect(applied.map((each) => each.name)).toEqual(['ok 2']);
  });

  it.each(['bad number', 'nothing'])('runs on when the definition is %s, and says so once', async (text) => {
    const { reloader, world, applied, refused, lines } = setup();
    world.text = text;
    await reloader.request('changed');
    await reloader.request('changed');
    expect(applied).toEqual([]);
    expect(refused.length).toBeGreaterThan(0);
    expect(lines.all.filter((line) => line.includes('runs on with the previous definition'))).toHaveLength(1);
    world.text = 'ok 3';
    await reloader.request('changed');
    expect(applied.map((each) => each.name)).toEqual(['ok 3']);
  });

  it('says nothing of a file that was only being written', async () => {
    const { reloader, world, applied, lines } = setup();
    world.text = 'nothing';
    world.onPause = async () => {
      world.text = 'ok whole';
      return undefined;
    };
    await reloader.request('changed');
    expect(applied.map((each) => each.name)).toEqual(['ok whole']);
    expect(lines.all.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  it('takes a definition whose only errors the agent runs with already', async () => {
    const { reloader, world, applied } = setup([finding('old trouble')]);
    world.text = 'ok 2';
    await reloader.request('changed');
    expect(applied).toHaveLength(1);
  });

  it('runs on when the file is gone, says so once, and clears the trouble when it is back as it was', async () => {
    const { reloader, world, applied, lines } = setup();
    world.unreadable = true;
    for (let i = 0; i < 3; i++) await reloader.request('changed');
    expect(lines.all.filter((line) => line.startsWith('error'))).toHaveLength(1);
    world.unreadable = false;
    await reloader.request('changed');
    expect(applied).toHaveLength(1);
    await reloader.request('changed');
    expect(applied).toHaveLength(1);
  });

  it('does not try the same definition again after it could not start', async () => {
    const { reloader, world, refused, applied } = setup();
    world.text = 'ok 2';
    world.startFails = true;
    await reloader.request('changed');
    await reloader.request('changed');
    expect(refused).toEqual(['start']);
    world.startFails = false;
    await reloader.request('asked');
    expect(applied).toHaveLength(1);
  });

  it('takes the latest of several requests, one at a time', async () => {
    const { reloader, world, applied } = setup();
    let under = 0;
    let most = 0;
    world.onLoad = async () => {
      most = Math.max(most, ++under);
      await new Promise((resolve) => setImmediate(resolve));
      under--;
      return undefined;
    };
    world.text = 'ok 2';
    const first = reloader.request('changed');
    for (let i = 3; i < 10; i++) {
      world.text = `ok ${i}`;
      void reloader.request('changed');
    }
    await first;
    expect([most, applied.at(-1)?.name]).toEqual([1, 'ok 9']);
  });

  it('ignores requests after it was stopped', async () => {
    const { reloader, world, applied } = setup();
    await reloader.stop();
    world.text = 'ok 2';
    await reloader.request('asked');
    expect(applied).toEqual([]);
  });
});
