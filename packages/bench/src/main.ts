/** The package as a program of its own: `node packages/bench/dist/main.js micro`, without the rest of the CLI. */
import { runBench } from './bench.ts';

const code = await runBench(process.argv.slice(2), {
  env: process.env,
  terminal: process.stderr.isTTY,
  columns: () => process.stderr.columns || 80,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  onStop(task) {
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, task);
    return () => {
      for (const signal of signals) process.off(signal, task);
    };
  },
});
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
