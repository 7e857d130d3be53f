/**
 * Crash images of whole members from the command line: `node packages/store/test/crash/main.ts --all` starts every
 * image of every moment of a script of 300 operations; `--every N` one in N of them.
 */
import { numberOf, scriptFlags } from '../../../base/test/script.ts';
import { crashCampaign, type CampaignResult } from './campaign.ts';
import { MANY_SEGMENTS, MANY_SNAPSHOTS, recordAlone, recordFollower, type Recording } from './scripts.ts';

const values = scriptFlags(import.meta.filename, {
  all: { type: 'boolean', default: false },
  every: { type: 'string', default: '20' },
  operations: { type: 'string', default: '300' },
  'nested-every': { type: 'string', default: '25' },
});

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const every = values.all ? 1 : numberOf('every', values.every);
const operations = numberOf('operations', values.operations);
const nestedEvery = numberOf('nested-every', values['nested-every']);

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
