/**
 * helm 4 as people use it, against an API server with its control loops: a small chart's life, and one of a chart with
 * definitions of its own kinds and a hook before and behind each step. Skipped, by name, where helm cannot be had.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { helmPrograms } from '../harness/helm.ts';
import { startEmbedded, type ApiTarget } from './kubectl-targets.ts';
import { runTranscript } from './kubectl/runner.ts';
import { parseTranscript } from './kubectl/transcript.ts';

/** Of the kubectl that comes with helm. */
const MINOR = 35;
const LIMIT_MS = 300_000;

const home = mkdtempSync(path.join(tmpdir(), 'keelson-helm-'));
const programs = helmPrograms(path.join(home, 'programs'));

afterAll(() => rmSync(home, { recursive: true, force: true }));

if (typeof programs === 'string') {
  test.skip(`helm (${programs})`, () => {});
} else {
  describe('helm', () => {
    let target: ApiTarget | undefined;

    beforeAll(async () => {
      target = await startEmbedded();
    });

    afterAll(async () => {
      await target?.stop();
    });

    test.each(['helm', 'helm-crds'])(
      '%s.txt',
      async (name) => {
        const source = path.join(import.meta.dirname, 'kubectl', `${name}.txt`);
        const results = await runTranscript({
          transcript: parseTranscript(readFileSync(source, 'utf8')),
          namespace: `test-${name}`,
          folder: path.join(home, name),
          kubeconfig: target?.kubeconfig ?? '',
          programs: { kubectl: programs.kubectl, helm: programs.helm },
          minor: MINOR,
        });
        const odd = results.filter((result) => result.odd !== undefined);
        expect(odd.map(({ step, wanted, odd: answered }) => ({ line: step.line, wanted, answered }))).toEqual(
          [],
        );
      },
      LIMIT_MS,
    );
  });
}
