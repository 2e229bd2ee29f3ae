/**
 * A source to copy: one event every so often, with a running number in its headers. The runner polls it; each poll puts
 * what is due and says whether there was anything. Stopping needs nothing: no timer and no socket outlives a poll.
 *   a1.sources.r1.type = heartbeat
 *   a1.sources.r1.text = still here
 */
import { defineSource, duration, text } from 'millrace/plugin';

export default defineSource({
  type: 'heartbeat',
  aliases: ['org.example.flume.HeartbeatSource'],
  summary: 'Sends one event at each interval.',
  properties: {
    interval: duration({ default: 1_000, min: 1, unit: 'ms', doc: 'Time between two events.' }),
    text: text({ default: 'heartbeat', doc: 'Body of each event.' }),
  },
  delivery: () => ({
    crash: { effect: 'nothing', note: 'there is nothing to read again' },
    stop: { effect: 'nothing', note: 'no event is under way' },
    full: { effect: 'waits', note: 'the next beat comes when the channel has room' },
  }),
  create: ({ interval, text }, { output, clock }) => {
    const body = Buffer.from(text, 'utf8');
    let number = 0;
    return {
      async start() {},
      async stop() {},
      async poll(signal) {
        await clock.sleep(interval, signal);
        if (signal.aborted) return 'backoff';
        await output.put([{ headers: { number: String(number + 1), timestamp: String(clock.now()) }, body }]);
        number++; // counted only when stored: a failed put comes again with the same number
        return 'ready';
      },
    };
  },
});
