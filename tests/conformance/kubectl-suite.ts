/** Every transcript of `kubectl/` but helm's as a test, with one kubectl against one kind of API server. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { installedKubectls, type KubectlBinary } from '../harness/kubectl.ts';
import type { ApiTarget } from './kubectl-targets.ts';
import { runTranscript } from './kubectl/runner.ts';
import { parseTranscript } from './kubectl/transcript.ts';

const FOLDER = path.join(import.meta.dirname, 'kubectl');
/** A transcript takes seconds; a machine that does many other things is given its time. */
const LIMIT_MS = 600_000;

export interface KubectlTarget {
  readonly name: string;
  /** Why it cannot be started; undefined when it can. */
  readonly missing: string | undefined;
  readonly start: (home: string) => Promise<ApiTarget>;
}

/** Skipped, by name, where kubectl is not installed, or what it talks to is not. */
export function kubectlSuite({ name, missing, start }: KubectlTarget, which: 'oldest' | 'newest'): void {
  const binary = chosen(which);
  const why = binary === undefined ? 'kubectl is not installed' : missing;
  if (binary === undefined || why !== undefined) {
    test.skip(`kubectl on ${name} (${why})`, () => {});
    return;
  }
  const { minor, file } = binary;
  describe(`kubectl 1.${minor} on ${name}`, () => {
    let home = '';
    let target: ApiTarget | undefined;

    beforeAll(async () => {
      home = mkdtempSync(path.join(tmpdir(), 'keelson-kubectl-'));
      target = await start(home);
    });

    afterAll(async () => {
      await target?.stop();
      rmSync(home, { recursive: true, force: true });
    });

    test.each(transcripts())(
      '%s.txt',
      async (transcript) => {
        const results = await runTranscript({
          transcript: parseTranscript(readFileSync(path.join(FOLDER, `${transcript}.txt`), 'utf8')),
          namespace: `${transcript}-1-${minor}`,
          folder: path.join(home, transcript),
          kubeconfig: target?.kubeconfig ?? '',
          programs: { kubectl: file },
          minor,
        });
        const odd = results.filter((result) => result.odd !== undefined);
        expect(
          odd.map(({ step, wanted, odd: answered }) => ({
            at: step.line,
            did: step.command,
            wanted,
            answered,
          })),
        ).toEqual([]);
      },
      LIMIT_MS,
    );
  });
}

function transcripts(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.txt') && !name.startsWith('helm'))
    .map((name) => name.slice(0, -'.txt'.length))
    .toSorted();
}

function chosen(which: 'oldest' | 'newest'): { readonly minor: number; readonly file: string } | undefined {
  return installedKubectls()
    .map((binary) => ({ minor: minorOf(binary), file: binary.path }))
    .filter(({ minor }) => Number.isFinite(minor))
    .toSorted((a, b) => a.minor - b.minor)
    .at(which === 'oldest' ? 0 : -1);
}

/** One that does not say it in its name is asked. */
function minorOf({ version, path: file }: KubectlBinary): number {
  if (version !== 'default') return Number(version.split('.')[1]);
  const { stdout } = spawnSync(file, ['version', '--client', '--output=json'], { encoding: 'utf8' });
  return Number(/"minor": "(\d+)/.exec(stdout)?.[1]);
}
