/**
 * A real member on a small file system (tmpfs, as root): nearly full it raises its alarm and goes on with what makes room;
 * filled to the last byte it may end, and comes back with all that was acknowledged.
 */
import { expect, test } from '@jest/globals';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { missingServer } from '../harness/binaries.ts';
import { SmallDisk } from '../harness/small-disk.ts';
import { TracedMember } from './traced-member.ts';

const MEGABYTE = 1024 * 1024;

/** Only root may mount, and not everywhere. */
async function missingDisk(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'not root';
  const directory = await mkdtemp(path.join(tmpdir(), 'keelson-mount-'));
  try {
    new SmallDisk(directory, 1).unmount();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const missing = missingServer() ?? (await missingDisk());

(missing === undefined ? test : test.skip)(
  `a disk that fills up under a real member${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'keelson-full-'));
    const member = await TracedMember.in(home);
    const disk = new SmallDisk(member.dataDir, 96);
    try {
      member.start();
      expect(await member.ready()).toBe(true);
      let client = member.client();
      const { header } = await client.kv.put('k', 'before');
      // One more revision, which is to be compacted: on a busy machine not one of those below may get through.
      await client.kv.put('filling', 'x');

      const { bavail, bsize } = await statfs(member.dataDir);
      await writeFile(path.join(member.dataDir, 'filling'), Buffer.alloc(bavail * bsize - 8 * MEGABYTE));
      let refused: unknown;
      while (refused === undefined)
        await client.kv.put('filling', 'x').catch((error: unknown) => {
          refused = error;
        });
      expect(refused).toMatchObject({ reason: 'NO_SPACE' });
      expect((await client.kv.get('k')).kvs[0].value.toString()).toBe('before');
      await client.kv.delete('filling');
      await client.kv.compact((header?.revision ?? 0) + 1, { physical: true });
      await client.maintenance.defragment();
      await rm(path.join(member.dataDir, 'filling'));
      const { memberId } = (await client.maintenance.status()).header!;
      for (let done = false; !done;) {
        await client.maintenance.alarmDisarm(memberId, 'NOSPACE');
        done = await client.kv.put('k', 'after').then(
          () => true,
          () => false,
        );
      }

      // At once, faster than anybody looks.
      disk.fill();
      const acknowledged: [key: string, revision: number][] = [];
      try {
        for (let i = 0; i < 200; i++) {
          const answer = await client.kv.put(`k${i}`, 'x'.repeat(100), { timeoutMs: 5_000 });
          acknowledged.push([`k${i}`, answer.header?.revision ?? 0]);
        }
      } catch {
        // Refused, or the member has ended.
      }
      client.close();
      await member.end('SIGTERM');
      disk.free();
      member.start();
      expect(await member.ready()).toBe(true);
      client = member.client();
      for (const [key, revision] of acknowledged)
        expect((await client.kv.get(key)).kvs[0]?.modRevision).toBe(revision);
      expect((await client.kv.get('k')).kvs[0].value.toString()).toBe('after');
      client.close();
    } finally {
      await member.end('SIGKILL');
      disk.unmount();
      await rm(home, { recursive: true, force: true });
    }
  },
);
