/**
 * What a real member's files survive: `node tests/crash/main.ts --images` rebuilds its disk from strace for every
 * moment, `--rot` damages each of its files, `--inject` makes the n-th call of its disk fail or kills it there; none of
 * them: all. `--points N` bounds what is tried of each, `--minutes M` the time.
 */
import { realImages, removeRun, tracedRun, type TracedRun } from './campaign.ts';
import { injected } from './inject.ts';
import { rotten } from './rot.ts';

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

const all = !['--images', '--rot', '--inject'].some((name) => argv.includes(name));

if (all || argv.includes('--images') || argv.includes('--rot')) {
  const run = await tracedRun(operations);
  try {
    if (all || argv.includes('--images')) await images(run);
    if (all || argv.includes('--rot')) await rot(run);
  } finally {
    await removeRun(run);
  }
}
if (all || argv.includes('--inject')) {
  const startedMs = performance.now();
  const { tried, hit, acknowledged, failures } = await injected(Math.min(points, 700), untilMs);
  report(
    'inject',
    `${tried} members, ${hit} met their fault, ${acknowledged} writes acknowledged`,
    failures,
    startedMs,
  );
}

async function images(run: TracedRun): Promise<void> {
  const startedMs = performance.now();
  const {
    operations: traced,
    images: made,
    started,
    refused,
    failures,
  } = await realImages(run, points, untilMs);
  report(
    'images',
    `${operations} operations, ${run.member.acknowledged.length} acknowledged, ${traced} calls traced; ${made} images, ` +
      `${started} different ones started twice, ${refused} with names out of order refused`,
    failures,
    startedMs,
  );
}

async function rot(run: TracedRun): Promise<void> {
  const startedMs = performance.now();
  const { tried, refused, unharmed, failures } = await rotten(
    run,
    Math.min(points, 60),
    numberOf('--seed', 1),
    untilMs,
  );
  report('rot', `${tried} damages, ${refused} refused, ${unharmed} without harm`, failures, startedMs);
}
