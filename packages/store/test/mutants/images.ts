/**
 * Records members and starts them on a part of their crash images, fewer first, and says at once what was broken. One
 * line of JSON for each recording. It ends at the first failure.
 */
import { crashCampaign } from '../crash/campaign.ts';
import {
  MANY_SEGMENTS,
  MANY_SNAPSHOTS,
  recordAlone,
  recordFollower,
  type Recording,
} from '../crash/scripts.ts';

export interface ImageLine {
  readonly name: string;
  /** Images that were started. */
  readonly images: number;
  readonly failure?: string;
}

/** Parts of the images: one in so many. */
const PARTS = [40, 9];

const RECORDINGS: readonly (readonly [name: string, make: () => Promise<Recording>])[] = [
  ['alone, many snapshots', () => recordAlone(110, MANY_SNAPSHOTS)],
  ['a follower, many snapshots', () => recordFollower(100, MANY_SNAPSHOTS)],
  ['alone, many segments', () => recordAlone(130, MANY_SEGMENTS)],
  ['a follower, many segments', () => recordFollower(100, MANY_SEGMENTS)],
];

const made = new Map<string, Recording>();
let broken = false;
for (const [round, every] of PARTS.entries()) {
  for (const [name, make] of RECORDINGS) {
    const recording = made.get(name) ?? (await make());
    made.set(name, recording);
    const result = await crashCampaign(recording, { every, nestedEvery: 100, offset: round });
    const [failure] = result.failures;
    const line: ImageLine = {
      name,
      images: result.started,
      ...(failure !== undefined && { failure: failure.slice(0, 1500) }),
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
    broken = failure !== undefined;
    if (broken) break;
  }
  if (broken) break;
}
process.exit(broken ? 1 : 0);
