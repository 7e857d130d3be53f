// Loaded into a server under test before its own program (`node --import`): at SIGUSR2 it writes how late the event loop was,
// since the last time, into the file that KEELSON_LOOP_FILE names. Costs a timer of a millisecond.
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const file = process.env['KEELSON_LOOP_FILE'];
if (file !== undefined) {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  process.on('SIGUSR2', () => {
    const late = (ns) => Math.max(0, ns / 1e6 - 1);
    const figures = {
      p50Ms: late(delays.percentile(50)),
      p99Ms: late(delays.percentile(99)),
      maxMs: late(delays.max),
    };
    delays.reset();
    writeFileSync(`${file}.new`, JSON.stringify(figures));
    renameSync(`${file}.new`, file);
  });
}
