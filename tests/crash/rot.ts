/**
 * Every file of a stopped member damaged: a flipped bit, a sector of zeros, an end cut off, the file gone. A start may
 * refuse, with a line that says what to do; it never serves anything else than what was there.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Prng } from '@keelson/base';
import { configOf, startOn } from '../../packages/store/test/crash/real-start.ts';
import type { Image } from '../../packages/store/test/crash/volume.ts';
import { revisionOf, type TracedRun } from './campaign.ts';
import { materialize } from './real-images.ts';

const SECTOR_BYTES = 512;

interface Damage {
  readonly what: string;
  /** Undefined: the file is gone. */
  readonly bytes: Buffer | undefined;
}

export interface RotResult {
  tried: number;
  refused: number;
  /** Nothing that is read was damaged, or it was there twice. */
  unharmed: number;
  readonly failures: string[];
}

/** Says nothing about data, or is only looked at by people. */
const UNREAD = /\/(LOCK|LOG|LOG\.old)$/;

/** @param points damages of each file @param untilMs Date.now() at which to end */
export async function rotten(
  run: TracedRun,
  points: number,
  seed: number,
  untilMs: number,
): Promise<RotResult> {
  const { member, trace, reference } = run;
  const image = trace.volume.current();
  const target = path.join(member.home, 'rot');
  const config = configOf(member.flags(target));
  const prng = new Prng(seed);
  const acknowledged = Math.max(...member.acknowledged.map((each) => each.revision));
  const result: RotResult = { tried: 0, refused: 0, unharmed: 0, failures: [] };
  for (const [name, bytes] of image.files) {
    if (!name.startsWith(`${member.dataDir}/`) || UNREAD.test(name)) continue;
    for (const { what, bytes: rotten } of damagesOf(bytes, points, prng, name.endsWith('.wal'))) {
      if (Date.now() > untilMs) break;
      await materialize(damaged(image, name, rotten), member.dataDir, target);
      result.tried++;
      const place = `${name.slice(member.dataDir.length)}, ${what}`;
      try {
        const outcome = await startOn(config, reference);
        if (outcome.kind === 'refused') {
          result.refused++;
          if (!/add it again|data dir|name/.test(outcome.message))
            result.failures.push(`${place}: refused without a word of what to do: ${outcome.message}`);
        } else if (outcome.final !== reference.digests[outcome.lastIndex] || outcome.foreign.length > 0)
          result.failures.push(`${place}: served ${outcome.final}`);
        else if (revisionOf(outcome.final) < acknowledged)
          result.failures.push(
            `${place}: revision ${acknowledged} was acknowledged, it serves ${revisionOf(outcome.final)}`,
          );
        else result.unharmed++;
      } catch (error) {
        result.failures.push(
          `${place}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      }
    }
  }
  await rm(target, { recursive: true, force: true });
  return result;
}

function damaged(image: Image, name: string, bytes: Buffer | undefined): Image {
  const files = new Map(image.files);
  if (bytes === undefined) files.delete(name);
  else files.set(name, bytes);
  return { ...image, files };
}

function* damagesOf(bytes: Buffer, points: number, prng: Prng, isLog: boolean): Generator<Damage> {
  yield { what: 'gone', bytes: undefined };
  yield { what: 'empty', bytes: Buffer.alloc(0) };
  // Most of a segment of the log is zeros that were not used.
  const used = usedBytes(bytes);
  for (let i = 0; i < points; i++) {
    const offset = prng.below(Math.max(1, used));
    const flipped = Buffer.from(bytes);
    flipped[offset] ^= 1 << prng.below(8);
    yield { what: `a bit at ${offset} of ${bytes.length} flipped`, bytes: flipped };
    if (i % 3 === 0) {
      const length = prng.below(Math.max(1, used));
      yield { what: `cut to ${length} of ${bytes.length}`, bytes: bytes.subarray(0, length) };
    }
    // A sector of zeros in the log's last write cannot be told from one that was never written.
    const start = offset - (offset % SECTOR_BYTES);
    if (i % 3 === 1 && !(isLog && start + 4 * SECTOR_BYTES > used)) {
      const zeroed = Buffer.from(bytes);
      zeroed.fill(0, start, Math.min(bytes.length, start + SECTOR_BYTES));
      if (!zeroed.equals(bytes)) yield { what: `zeros from ${start} of ${bytes.length}`, bytes: zeroed };
    }
  }
}

function usedBytes(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}
