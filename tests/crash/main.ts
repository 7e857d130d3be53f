/**
 * What a real member's files survive: `node tests/crash/main.ts --images` rebuilds its disk from strace for every
 * moment, `--rot` damages each of its files, `--inject` makes the n-th call of its disk fail or kills it there; none of
 * them: all. `--points N` bounds what is tried of each, `--minutes M` the time; `--operations N` are traced, `--seed S` draws the damages.
 */
import { numberOf, scriptFlags } from '../../packages/base/test/script.ts';
import { realImages, removeRun, tracedRun, type TracedRun } from './campaign.ts';
import { injected } from './inject.ts';
import { rotten } from './rot.ts';

const values = scriptFlags(import.meta.filename, {
  images: { type: 'boolean', default: false },
  rot: { type: 'boolean', default: false },
  inject: { type: 'boolean', default: false },
  points: { type: 'string', default: 'Infinity' },
  minutes: { type: 'string', default: 'Infinity' },
  operations: { type: 'string', default: '300' },
  seed: { type: 'string', default: '1' },
});
const points = numberOf('points', values.points);
const minutes = numberOf('minutes', values.minutes);
const operations = numberOf('operations', values.operations);
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

const all = !(values.images || values.rot || values.inject);

if (all || values.images || values.rot) {
  const run = await tracedRun(operations);
  try {
    if (all || values.images) await images(run);
    if (all || values.rot) await rot(run);
  } finally {
    await removeRun(run);
  }
}
if (all || values.inject) {
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
    numberOf('seed', values.seed),
    untilMs,
  );
  report('rot', `${tried} damages, ${refused} refused, ${unharmed} without harm`, failures, startedMs);
}
