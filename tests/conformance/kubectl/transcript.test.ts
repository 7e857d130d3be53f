/** Transcripts are read as their file says, each of them, and an answer fits or does not. */
import { describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { commandOf } from './table.ts';
import { expected, holdsFor, matches, parseTranscript, written, type Step } from './transcript.ts';

const FOLDER = new URL('.', import.meta.url);

function only(text: string): Step {
  const [step, ...more] = parseTranscript(text).steps;
  if (step === undefined || more.length > 0) throw new Error('not one step');
  return step;
}

describe('reading', () => {
  test('files, commands of each kind, output without the last blank lines', () => {
    const { files, steps } = parseTranscript(
      '// remark\n=== a/b.yaml\nkind: A\n\n===\n$ one\nout\n\n! err\n\n$~ two\n$& three\n$.\nsaid\n$[1.28+] four\n',
    );
    expect([...files]).toEqual([['a/b.yaml', 'kind: A\n\n']]);
    expect(steps.map(({ kind, command, line }) => [kind, command, line])).toEqual([
      ['run', 'one', 6],
      ['eventually', 'two', 11],
      ['begin', 'three', 12],
      ['end', '', 13],
      ['run', 'four', 15],
    ]);
    expect(steps[0]?.lines.map(({ text }) => text)).toEqual(['out', '', '! err']);
    expect(steps[4]?.versions).toEqual({ from: 28, to: Infinity });
  });

  test.each([
    ['=== a\nno end', 'line 1: the file a has no end'],
    ['out', 'line 1: output without a command'],
  ])('%j is refused', (text, message) => {
    expect(() => parseTranscript(text)).toThrow(message);
  });

  test.each(readdirSync(FOLDER).filter((name) => name.endsWith('.txt')))('%s', (name) => {
    const { steps } = parseTranscript(readFileSync(new URL(name, FOLDER), 'utf8'));
    expect(steps.length).toBeGreaterThan(5);
    const besides = steps.filter(({ kind }) => kind === 'begin' || kind === 'end').map(({ kind }) => kind);
    expect(besides).toEqual(besides.map((_kind, at) => (at % 2 === 0 ? 'begin' : 'end')));
  });
});

describe('comparing', () => {
  test.each<[string, string, boolean]>([
    ['NAME  AGE\na  @age', 'NAME   AGE\na      12s\n', true],
    ['NAME  AGE\na  @age', 'NAME   AGE\na      1m5s\n', true],
    ['NAME  AGE\na  @age', 'NAME   AGE\nb      12s\n', false],
    ['a (b)*', 'a (b)*\n', true],
    ['uid: @uid', 'uid: 1afcb7b6-1620-497c-a84d-3e636cbe0972\n', true],
    ['first\n...\nlast', 'first\nlast\n', true],
    ['first\n...\nlast', 'first\nmore\nlast\n', true],
    ['first\n...\nlast', 'first\nmore\n', false],
    ['namespace/NS created', 'namespace/red created\n', true],
    ['  indented: @time', '  indented: 2026-01-01T00:00:00Z\n', true],
    ['  indented', 'indented\n', false],
    ['', '', true],
    ['', 'more\n', false],
  ])('%j and %j', (wanted, out, fits) => {
    const step = only(`$ command\n${wanted}`);
    expect(matches(step, 33, 'red', written({ code: 0, out, err: '' }))).toBe(fits);
  });

  test('standard error and the exit code are part of the answer', () => {
    const step = only('$ command\nout\n! err\n[exit 2]');
    expect(matches(step, 33, 'red', written({ code: 2, out: 'out\n', err: 'err\n' }))).toBe(true);
    expect(matches(step, 33, 'red', written({ code: 1, out: 'out\n', err: 'err\n' }))).toBe(false);
    expect(matches(step, 33, 'red', written({ code: 2, out: 'out\nerr\n', err: '' }))).toBe(false);
  });

  test('lines of some versions', () => {
    const step = only('$ command\n[-1.33] old\n[1.34+] new\nboth');
    expect(expected(step, 33, 'red')).toEqual(['old', 'both']);
    expect(expected(step, 34, 'red')).toEqual(['new', 'both']);
    expect([27, 33, 34].map((minor) => holdsFor({ from: 28, to: 33 }, minor))).toEqual([false, true, false]);
  });
});

test.each([
  ['kubectl rollout undo deployment/web', 'rollout undo'],
  ['KUBE_EDITOR=true kubectl edit -n NS configmap a', 'edit'],
  ['sed s/a/b/ x | kubectl apply -f -', 'apply'],
  ['kubectl apply view-last-applied configmap a', 'apply view-last-applied'],
  ['kubectl get -o name pods', 'get'],
  ['helm list', 'helm list'],
  ['sh x.sh', 'shell'],
])('%s counts as %s', (line, name) => {
  expect(commandOf(line)).toBe(name);
});
