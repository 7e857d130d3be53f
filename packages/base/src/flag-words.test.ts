import { describe, expect, test } from '@jest/globals';
import { FlagError, readFlagWords, type FlagShape } from './flag-words.ts';

const FLAGS: readonly FlagShape[] = [
  { name: 'write-out', short: 'w', kind: 'string' },
  { name: 'hex', kind: 'bool' },
  { name: 'verbose', short: 'v', kind: 'bool' },
  { name: 'help', short: 'h', kind: 'bool' },
];

function read(...argv: string[]): unknown[] {
  const set: string[] = [];
  const { args, afterDashes } = readFlagWords(
    FLAGS,
    argv,
    ({ name }, text) => void set.push(`${name}=${text}`),
  );
  return [set, args, ...(afterDashes === undefined ? [] : [afterDashes])];
}

test.each<[string, string[], unknown[]]>([
  [
    'a word behind, or in the same',
    ['--write-out', 'a', '--write-out=b=c'],
    [['write-out=a', 'write-out=b=c'], []],
  ],
  ['nothing is a value too', ['--write-out=', '--write-out', ''], [['write-out=', 'write-out='], []]],
  [
    'a value may look like a flag',
    ['--write-out', '--hex', '-w', '-v'],
    [['write-out=--hex', 'write-out=-v'], []],
  ],
  [
    'letters',
    ['-w', 'a', '-wb', '-w=c', '-vwd'],
    [['write-out=a', 'write-out=b', 'write-out=c', 'verbose=true', 'write-out=d'], []],
  ],
  ['a letter and an equals sign', ['-w='], [['write-out=='], []]],
  [
    'switches',
    ['--hex', 'x', '--hex=false', '-v=0', '-vh'],
    [['hex=true', 'hex=false', 'verbose=0', 'verbose=true', 'help=true'], ['x']],
  ],
  ['arguments', ['a', '-', '--hex', '', 'b'], [['hex=true'], ['a', '-', '', 'b']]],
  [
    'two dashes',
    ['a', '--hex', '--', '--hex', '--', 'b'],
    [['hex=true'], ['a', '--hex', '--', 'b'], ['--hex', '--', 'b']],
  ],
])('%s', (_name, argv, want) => {
  expect(read(...argv)).toEqual(want);
});

describe('refuses in the words of pflag', () => {
  test.each([
    [['--nope'], 'unknown flag: --nope'],
    [['--nope=1'], 'unknown flag: --nope'],
    [['---x'], 'bad flag syntax: ---x'],
    [['--=1'], 'bad flag syntax: --=1'],
    [['--write-out'], 'flag needs an argument: --write-out'],
    [['-w'], "flag needs an argument: 'w' in -w"],
    [['-vw'], "flag needs an argument: 'w' in -w"],
    [['-hx'], "unknown shorthand flag: 'x' in -x"],
    [['-xv'], "unknown shorthand flag: 'x' in -xv"],
    [['-v='], "unknown shorthand flag: '=' in -="],
  ])('%s', (argv, text) => {
    expect(() => read(...argv)).toThrow(new FlagError(text));
  });
});
