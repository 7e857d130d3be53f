/**
 * The checker as a program: `node packages/sim/src/checker/main.ts HISTORY.jsonl [--violations N]` reads a history, of ours or of
 * real etcd, and prints the verdict. Exit code 0: ok; 1: broken or unknown; 2: not a history.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { HistoryFormatError, HistoryReader } from '../history/json-lines.ts';
import { checkHistory } from './check-history.ts';
import { verdictText } from './verdict.ts';

const [path, flag, count] = process.argv.slice(2);
const usage = 'usage: main.ts HISTORY.jsonl [--violations N]\n';
if (path === '--help') process.stdout.write(usage);
else if (path === undefined || path.startsWith('--') || (flag !== undefined && flag !== '--violations')) {
  process.stderr.write(usage);
  process.exitCode = 2;
} else {
  try {
    const reader = new HistoryReader();
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity }))
      reader.line(line);
    const verdict = checkHistory(reader.finish());
    process.stdout.write(`${verdictText(verdict, count === undefined ? 10 : Number(count))}\n`);
    process.exitCode = verdict.kind === 'ok' ? 0 : 1;
  } catch (error) {
    if (!(error instanceof HistoryFormatError)) throw error;
    process.stderr.write(`${path}: ${error.message}\n`);
    process.exitCode = 2;
  }
}
