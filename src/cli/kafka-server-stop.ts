/** `kafka-server-stop.sh`: sends SIGTERM to every broker of this machine that this user may signal; exit 1 when there is none. */
import { readdirSync, readFileSync } from 'node:fs';

/** Process ids of running brokers, by their command lines (Linux: /proc). */
function brokers(): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      if (words.some((word) => /[/\\]cli[/\\]kafka-server-start\.(js|ts)$/.test(word))) found.push(Number(name));
    } catch {
      // It ended while we looked, or belongs to somebody else.
    }
  }
  return found;
}

const running = brokers();
if (running.length === 0) {
  process.stdout.write('No kafka server to stop\n');
  process.exitCode = 1;
}
for (const pid of running) process.kill(pid, 'SIGTERM');
