import { describe, expect, it } from 'vitest';
import type { Lifecycle } from '../../../../src/agent/core/lifecycle.ts';
import { Supervised } from '../../../../src/agent/runtime/supervisor.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { ConfigError } from '../../../../src/lib/errors.ts';
import { Lines, passing } from './fixture.ts';

function setup(start: () => Promise<void>, stop: () => Promise<void> = async () => undefined) {
  const clock = new ManualClock();
  const lines = new Lines();
  const seen: string[] = [];
  const supervised = new Supervised<Lifecycle>({ kind: 'source', name: 'r1', clock, log: lines.logger(), create: () => ({ start, stop }), random: () => 0 });
  supervised.onChange(() => seen.push(supervised.status));
  return { clock, lines, seen, supervised };
}

describe('Supervised', () => {
  it('starts, stops, and starts again', async () => {
    const { seen, supervised } = setup(async () => undefined);
    expect(await supervised.start()).toBeUndefined();
    await supervised.stop();
    await supervised.stop();
    expect(await supervised.start()).toBeUndefined();
    expect(seen).toEqual(['starting', 'running', 'stopping', 'stopped', 'starting', 'running']);
  });

  it('may be stopped without a start', async () => {
    const { seen, supervised } = setup(async () => undefined);
    await supervised.stop();
    expect(seen).toEqual(['stopped']);
  });

  it('tries again after 1, 2, 4 … at most 30 s, and says one error once', async () => {
    const attempts: number[] = [];
    const { clock, lines, supervised } = setup(async () => {
      attempts.push(clock.monotonic() / 1000);
      throw passing('port 4444 is taken');
    });
    expect(await supervised.start()).toMatchObject({ message: 'port 4444 is taken' });
    expect(supervised.status).toBe('retrying');
    await clock.advance(50_000);
    expect(attempts).toEqual([0, 1, 3, 7, 15, 31]);
    await clock.advance(60_000);
    expect(attempts.slice(6)).toEqual([61, 91]);
    expect(lines.all.filter((line) => line.includes('is taken'))).toHaveLength(2);
    expect(supervised.restarts).toBe(7);
    await supervised.stop();
    expect(supervised.status).toBe('stopped');
  });

  it('leaves an error of the definition alone until it is stopped', async () => {
    let attempts = 0;
    const { clock, supervised } = setup(async () => {
      attempts++;
      throw new ConfigError('no such charset');
    });
    await supervised.start();
    await clock.advance(600_000);
    expect([attempts, supervised.status]).toEqual([1, 'failed']);
    await supervised.stop();
    expect(supervised.status).toBe('stopped');
  });

  it('stops what half started before it tries again', async () => {
    const steps: string[] = [];
    const { clock, supervised } = setup(
      async () => {
        steps.push('start');
        if (steps.length < 3) throw passing('no');
      },
      async () => {
        steps.push('stop');
      },
    );
    await supervised.start();
    await clock.advance(1_000);
    expect(steps).toEqual(['start', 'stop', 'start']);
    expect(supervised.working).toBe(true);
    await supervised.stop();
  });

  it('starts a component again that failed while it ran, waiting from the shortest after a healthy minute', async () => {
    const attempts: number[] = [];
    const { clock, supervised } = setup(async () => {
      attempts.push(clock.monotonic());
    });
    const die = async (waitMs: number): Promise<void> => {
      supervised.fail(passing('child is gone'));
      await clock.advance(0);
      await clock.advance(waitMs);
    };
    await supervised.start();
    await die(1_000);
    await die(2_000);
    expect(attempts).toEqual([0, 1_000, 3_000]);
    await clock.advance(60_000);
    await die(1_000);
    expect(attempts).toEqual([0, 1_000, 3_000, 64_000]);
    await supervised.stop();
  });

  it('hears of a failure during the start', async () => {
    let calls = 0;
    const { clock, supervised } = setup(async () => {
      if (++calls === 1) supervised.fail(passing('died at once'));
    });
    await supervised.start();
    await clock.advance(0);
    expect(supervised.status).toBe('retrying');
    await clock.advance(1_000);
    expect(supervised.status).toBe('running');
    await supervised.stop();
  });

  it('is degraded while the component or its runner says so', async () => {
    const { supervised } = setup(async () => undefined);
    await supervised.start();
    supervised.degrade('component', passing('a file was put aside'));
    supervised.degrade('runner', passing('channel full'));
    supervised.heal('runner');
    expect([supervised.status, supervised.error?.message]).toEqual(['degraded', 'a file was put aside']);
    supervised.heal('component');
    expect([supervised.status, supervised.error]).toEqual(['running', undefined]);
    await supervised.stop();
  });

  it('breaks a start that hangs when it is stopped', async () => {
    let release: () => void = () => undefined;
    const { seen, supervised } = setup(
      () => new Promise((resolve) => (release = resolve)),
      async () => release(),
    );
    const started = supervised.start();
    await supervised.stop();
    await started;
    expect(seen).toEqual(['starting', 'stopping', 'stopped']);
  });

  it('ends the wait before a restart at once when it is stopped', async () => {
    const { supervised } = setup(async () => {
      throw passing('no');
    });
    await supervised.start();
    await supervised.stop();
    expect(supervised.status).toBe('stopped');
  });

  it('lets others wait until it works', async () => {
    let fails = true;
    const { clock, supervised } = setup(async () => {
      if (fails) throw passing('no');
    });
    const abort = new AbortController();
    const impatient = supervised.whenWorking(abort.signal);
    const patient = supervised.whenWorking(new AbortController().signal);
    await supervised.start();
    abort.abort();
    expect(await impatient).toBe(false);
    fails = false;
    await clock.advance(1_000);
    expect(await patient).toBe(true);
    await supervised.stop();
  });
});
