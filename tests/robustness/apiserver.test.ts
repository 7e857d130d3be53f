/** A few kills of API servers under load; apiserver.ts runs as many as one likes. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { KEELSON_ETCD, missingServer } from '../harness/binaries.ts';
import { sayNothing } from '../harness/script.ts';
import { killApiServers } from './apiserver.ts';

const built = existsSync(path.resolve(import.meta.dirname, '../../packages/cli/dist/main.js'));
const why = missingServer() ?? (built ? undefined : 'the API server is not built');

if (why !== undefined) {
  test.skip(`API servers killed under load (${why})`, () => {});
} else {
  describe('informers through the deaths of API servers', () => {
    test('of two servers one is killed, then the other stopped: no event is missed, none comes twice', async () => {
      const { broken, kills, events, written, relists } = await killApiServers(
        { binary: KEELSON_ETCD, minutes: 5, writers: 4, seed: 11, servers: 2, kills: 2, by: 'turns' },
        sayNothing,
      );
      expect(broken).toEqual([]);
      expect(kills).toBe(2);
      expect(events).toBeGreaterThan(written);
      expect(relists).toBe(0);
    });
  });
}
