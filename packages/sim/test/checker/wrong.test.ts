/**
 * Wrong histories as data: each file says what is wrong in it, which law that breaks first, and what the report must say; then
 * come its lines. One fault makes one violation, no more: a report that buries the cause is a fault, too.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readHistory } from '../../src/history/json-lines.ts';
import { checkHistory, type CheckOptions } from '../../src/checker/check-history.ts';

const FOLDER = join(import.meta.dirname, 'wrong');
const MAIN = join(import.meta.dirname, '../../src/checker/main.ts');

interface Wrong {
  readonly laws: string;
  readonly says: string;
  readonly options: CheckOptions;
  readonly lines: string;
}

function read(name: string): Wrong {
  const [head, lines] = readFileSync(join(FOLDER, name), 'utf8').split('----\n');
  const word = (key: string): string => new RegExp(`^${key} (.*)$`, 'm').exec(head)?.[1] ?? '';
  return {
    laws: word('law'),
    says: word('says'),
    options: JSON.parse(word('options') || '{}') as CheckOptions,
    lines,
  };
}

const names = readdirSync(FOLDER).filter((name) => name.endsWith('.txt'));

test('there are wrong histories for every law', () => {
  const laws = new Set(names.flatMap((name) => read(name).laws.split(' ')));
  const wanted =
    'K1 K2 K3 K4 K5 K6 K7 K8 K9 W1 W2 W3 W4 W5 W6 W7 W8 W9 W10 W11 W12 W14 E1 E2 E3 E4 E7 E8 D1 M2 M3 A2 A3 L1';
  expect([...laws].sort()).toEqual(wanted.split(' ').sort());
});

test.each(names)('%s', (name) => {
  const { laws, says, options, lines } = read(name);
  const verdict = checkHistory(readHistory(lines), options);
  expect(verdict.kind).toBe('broken');
  expect(verdict.violations.map(({ law, also }) => [law, ...also].join(' '))).toEqual([laws]);
  expect(verdict.violations[0].message).toContain(says);
});

test.each([
  ['stale-read.txt', 1, /^broken: .*\n\nK1: #2 /],
  ['nothing', 0, /^ok: 1 ok operations/],
  ['not a history', 2, /history.jsonl: line 1: not a record/],
])('the program on %s', (name, code, prints) => {
  const folder = mkdtempSync(join(tmpdir(), 'checker-'));
  try {
    const good = [
      '{"type":"history","format":1}',
      '{"type":"operation","id":0,"client":1,"called":0,"callMs":1,"returned":1,"returnMs":2,"request":{"kind":"put","key":"k","value":"1"},"outcome":{"kind":"ok","response":{"kind":"put","revision":2}}}',
    ];
    const text = name.endsWith('.txt') ? read(name).lines : name === 'nothing' ? good.join('\n') : 'etcd';
    const path = join(folder, 'history.jsonl');
    writeFileSync(path, text);
    const run = spawnSync(process.execPath, ['--no-warnings', MAIN, path], { encoding: 'utf8' });
    expect(run.stdout + run.stderr).toMatch(prints);
    expect(run.status).toBe(code);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
