/**
 * `kafka-server-stop.sh`: sends SIGTERM to every broker of this machine that this user may signal; exit 1 when there is none.
 * Whoever asks for `--help` or `--version` wants to stop nothing.
 */
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

const [word] = process.argv.slice(2);
if (word === '--version') process.stdout.write('3.9.1\n');
else if (word === '--help') process.stderr.write('USAGE: kafka-server-stop.sh\nStops every broker that this user has on this machine.\n');
else {
  const running = brokers();
  if (running.length === 0) {
    process.stdout.write('No kafka server to stop\n');
    process.exitCode = 1;
  }
  for (const pid of running) process.kill(pid, 'SIGTERM');
}
