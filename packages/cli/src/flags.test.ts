import { describe, expect, test } from '@jest/globals';
import { FlagError, describeFlags, parseFlags, splitCommand, type FlagSpec } from './flags.ts';

const SPECS: readonly FlagSpec[] = [
  { name: 'prefix', kind: 'bool', initial: 'false', usage: 'many' },
  { name: 'interactive', short: 'i', kind: 'bool', initial: 'false', usage: 'talk' },
  { name: 'write-out', short: 'w', kind: 'string', initial: 'simple', usage: 'format' },
  { name: 'limit', kind: 'int', initial: '0', usage: 'how many' },
  { name: 'dial-timeout', kind: 'duration', initial: '2s', usage: 'patience' },
  { name: 'endpoints', kind: 'strings', initial: 'a:1', usage: 'where' },
];

test.each<[string, string[], string[], string]>([
  ['none', ['a', 'b'], ['a', 'b'], 'simple'],
  ['separate', ['-w', 'json', 'a'], ['a'], 'json'],
  ['joined', ['a', '-wjson'], ['a'], 'json'],
  ['equals', ['-w=json', 'a'], ['a'], 'json'],
  ['long', ['--write-out', 'json', 'a'], ['a'], 'json'],
  ['long equals', ['a', '--write-out=x=y'], ['a'], 'x=y'],
  ['after a flag of one letter', ['-iwjson', 'a'], ['a'], 'json'],
  ['ended', ['--', '-w', 'json'], ['-w', 'json'], 'simple'],
  ['the last wins', ['-wjson', '-wfields'], [], 'fields'],
])('parseFlags: %s', (_name, argv, args, format) => {
  const parsed = parseFlags(SPECS, argv);
  expect(parsed.args).toEqual(args);
  expect(parsed.values.string('write-out')).toBe(format);
});

test('kinds', () => {
  const { values } = parseFlags(SPECS, [
    '--prefix',
    '--limit=7',
    '--dial-timeout',
    '1.5s',
    '--endpoints=b:2,c:3',
  ]);
  expect(values.bool('prefix')).toBe(true);
  expect(values.bool('interactive')).toBe(false);
  expect(values.int('limit')).toBe(7);
  expect(values.durationMs('dial-timeout')).toBe(1500);
  expect(values.strings('endpoints')).toEqual(['b:2', 'c:3']);
  expect(values.changed('prefix')).toBe(true);
  expect(values.changed('write-out')).toBe(false);
});

test.each<[string[], string]>([
  [['--bogus'], 'unknown flag: --bogus'],
  [['-q'], "unknown shorthand flag: 'q' in -q"],
  [['-w'], "flag needs an argument: 'w' in -w"],
  [['--limit'], 'flag needs an argument: --limit'],
  [
    ['--limit', 'x'],
    'invalid argument "x" for "--limit" flag: strconv.ParseInt: parsing "x": invalid syntax',
  ],
  [
    ['--prefix=maybe'],
    'invalid argument "maybe" for "--prefix" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
  ],
  [['--dial-timeout=x'], 'invalid argument "x" for "--dial-timeout" flag: time: invalid duration "x"'],
])('refuses %j', (argv, message) => {
  expect(() => parseFlags(SPECS, argv)).toThrow(new FlagError(message));
});

describe('splitCommand', () => {
  const known = (path: readonly string[]): boolean =>
    ['lease', 'lease grant', 'get'].includes(path.join(' '));
  test.each<[string[], string[], string[]]>([
    [['get', 'k'], ['get'], ['k']],
    [['lease', 'grant', '5'], ['lease', 'grant'], ['5']],
    [['-w', 'json', 'get', 'k'], ['get'], ['-w', 'json', 'k']],
    [['--endpoints', 'get', 'get', 'k'], ['get'], ['--endpoints', 'get', 'k']],
    [
      ['lease', '--write-out=json', 'grant', '5'],
      ['lease', 'grant'],
      ['--write-out=json', '5'],
    ],
    [['lease', 'foo'], ['lease'], ['foo']],
    [['--', 'get'], [], ['--', 'get']],
  ])('%j', (argv, path, rest) => {
    expect(splitCommand(SPECS, argv, known)).toEqual({ path, rest });
  });
});

test('help lines are aligned', () => {
  expect(describeFlags(SPECS.slice(0, 3))).toBe(
    [
      '      --prefix[=false]       many\n',
      '  -i, --interactive[=false]  talk\n',
      '  -w, --write-out="simple"   format\n',
    ].join(''),
  );
});
