/**
 * Crash images of whole members from the command line: `node packages/store/test/crash/main.ts --all` starts every
 * image of every moment of a script of 300 operations; `--every N` one in N of them.
 */
import { crashCampaign, type CampaignResult } from './campaign.ts';
import { MANY_SEGMENTS, MANY_SNAPSHOTS, recordAlone, recordFollower, type Recording } from './scripts.ts';

const argv = process.argv.slice(2);

function numberOf(name: string, otherwise: number): number {
  const at = argv.indexOf(name);
  return at < 0 ? otherwise : Number(argv[at + 1]);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const every = argv.includes('--all') ? 1 : numberOf('--every', 20);
const operations = numberOf('--operations', 300);
const nestedEvery = numberOf('--nested-every', 25);

async function run(name: string, recording: Recording): Promise<CampaignResult> {
  const startedMs = performance.now();
  const result = await crashCampaign(recording, { every, nestedEvery });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  say(
    `${name}: ${recording.acknowledged} operations acknowledged, ${result.operations} recorded; ${result.images} images, ` +
      `${result.started} different ones started twice, ${result.refused} refused, ${result.nested} images of crashes in a start; ` +
      `${result.failures.length} failures; ${seconds} s`,
  );
  for (const failure of result.failures) say(`  ${failure.slice(0, 1500)}`);
  return result;
}

const results = [
  await run('alone, many snapshots', await recordAlone(operations, MANY_SNAPSHOTS)),
  await run('alone, many segments', await recordAlone(operations, MANY_SEGMENTS)),
  await run('a follower, many snapshots', await recordFollower(operations, MANY_SNAPSHOTS)),
  await run('a follower, many segments', await recordFollower(operations, MANY_SEGMENTS)),
];
process.exitCode = results.some(({ failures }) => failures.length > 0) ? 1 : 0;
