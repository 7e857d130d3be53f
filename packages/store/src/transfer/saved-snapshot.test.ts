/** The digest behind a saved snapshot. */
import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import type { BboltFile } from '../snapshot/bbolt-reader.ts';
import { databaseInside } from './saved-snapshot.ts';

const DATABASE = Buffer.alloc(4096, 'a page of a database ');
const DIGEST = createHash('sha256').update(DATABASE).digest();

function fileOf(bytes: Buffer): BboltFile {
  return {
    read: (position, length) => Promise.resolve(bytes.subarray(position, position + length)),
    size: () => Promise.resolve(bytes.length),
  };
}

/** Every 97th byte, one bit of each: of the database and of its digest. */
const FLIPPED = Array.from({ length: Math.ceil((4096 + 32) / 97) }, (_, i) => i * 97);

test('is compared with all of the database', async () => {
  const whole = Buffer.concat([DATABASE, DIGEST]);
  const inside = await databaseInside(fileOf(whole), false);
  expect(await inside.size()).toBe(DATABASE.length);
  expect(await inside.read(0, whole.length)).toEqual(DATABASE);
  for (const at of [...FLIPPED, 4095, 4096, 4127]) {
    const wrong = Buffer.from(whole);
    wrong[at] ^= 1 << (at % 8);
    await expect(databaseInside(fileOf(wrong), false)).rejects.toThrow(
      /^expected sha256 \[.*\], got \[.*\]$/,
    );
    expect(await (await databaseInside(fileOf(wrong), true)).size()).toBe(DATABASE.length);
  }
});

test('is missed', async () => {
  await expect(databaseInside(fileOf(DATABASE), false)).rejects.toThrow(
    'snapshot missing hash but --skip-hash-check=false',
  );
  expect(await (await databaseInside(fileOf(DATABASE), true)).size()).toBe(DATABASE.length);
});
