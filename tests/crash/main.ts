/**
 * What a real member's files survive: `node tests/crash/main.ts --images` rebuilds its disk from strace for every
 * moment, `--rot` damages each of its files, `--inject` makes the n-th call of its disk fail or kills it there; none of
 * them: all. `--points N` bounds what is tried of each, `--minutes M` the time.
 */
import { realImages, removeRun, tracedRun } from './campaign.ts';

const argv = process.argv.slice(2);

function numberOf(name: string, otherwise: number): number {
  const at = argv.indexOf(name);
  return at < 0 ? otherwise : Number(argv[at + 1]);
}

const points = numberOf('--points', Infinity);
const minutes = numberOf('--minutes', Infinity);
const operations = numberOf('--operations', 300);
const untilMs = Date.now() + minutes * 60_000;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function report(name: string, what: string, failures: readonly string[], startedMs: number): void {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  say(`${name}: ${what}; ${failures.length} failures; ${seconds} s`);
  for (const failure of failures) say(`  ${failure.slice(0, 1500)}`);
  if (failures.length > 0) process.exitCode = 1;
}

const run = await tracedRun(operations);
try {
  const startedMs = performance.now();
  const { operations: traced, images, started, refused, failures } = await realImages(run, points, untilMs);
  report(
    'images',
    `${operations} operations, ${run.member.acknowledged.length} acknowledged, ${traced} calls traced; ${images} images, ${started} different ones started twice, ${refused} with names out of order refused`,
    failures,
    startedMs,
  );
} finally {
  await removeRun(run);
}
