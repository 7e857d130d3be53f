/** The README's snippets run against a real etcd, and print what they say they print. */
import { expect, test } from '@jest/globals';
import { runSnippets } from '../../rpc/test/readme.ts';
import { ETCD_VERSION } from '../../base/test/etcd-process.ts';
import { Etcd } from './etcd.ts';

const name = ETCD_VERSION === undefined ? 'README (skipped: no etcd is installed)' : 'README';

(ETCD_VERSION === undefined ? test.skip : test)(name, async () => {
  const etcd = await Etcd.start();
  try {
    const runs = await runSnippets(new URL('../README.md', import.meta.url), (code) =>
      code.replaceAll('127.0.0.1:2379', etcd.endpoint),
    );
    for (const { printed, promised } of runs) {
      expect(promised.length).toBeGreaterThan(0);
      expect(printed).toEqual(promised);
    }
  } finally {
    await etcd.stop();
  }
});
