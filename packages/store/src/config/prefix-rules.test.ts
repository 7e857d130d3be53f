import { describe, expect, test } from '@jest/globals';
import { parsePrefixLimits, parsePrefixLimitsFile, type PrefixRule } from './prefix-rules.ts';

function rule(prefix: string, fields: Partial<PrefixRule> = {}): PrefixRule {
  const none = { keysMax: Infinity, bytesMax: Infinity, writesPerSecond: Infinity, burst: Infinity };
  return { prefix, ...none, ...fields };
}

const EVENTS = 'prefix=/registry/events/,keys=100000,bytes=64MiB,writes-per-second=500,burst=1000';

describe('--prefix-limits', () => {
  test.each<[string, readonly PrefixRule[]]>([
    ['', []],
    [
      EVENTS,
      [
        rule('/registry/events/', {
          keysMax: 100_000,
          bytesMax: 67_108_864,
          writesPerSecond: 500,
          burst: 1_000,
        }),
      ],
    ],
    [
      'prefix=/a/,keys=1; prefix=/b/ , bytes=1.5KiB;',
      [rule('/a/', { keysMax: 1 }), rule('/b/', { bytesMax: 1_536 })],
    ],
    ['prefix=,keys=0', [rule('', { keysMax: 0 })]],
    ['prefix-base64=AP8=,bytes=2MB', [rule('\0\xff', { bytesMax: 2_000_000 })]],
    ['prefix=/ä/,keys=1', [rule('/\xc3\xa4/', { keysMax: 1 })]],
    ['prefix=a=b,keys=1', [rule('a=b', { keysMax: 1 })]],
    ['prefix=/a/,writes-per-second=0.5', [rule('/a/', { writesPerSecond: 0.5, burst: 1 })]],
    ['prefix=/a/,writes-per-second=20', [rule('/a/', { writesPerSecond: 20, burst: 20 })]],
  ])('%j', (text, want) => {
    expect(parsePrefixLimits(text)).toEqual({ ok: true, value: want });
  });

  test.each<[string, string]>([
    ['/a/', '"/a/" is not name=value'],
    ['keys=1', 'each limit names one of prefix and prefix-base64'],
    ['prefix=/a/,prefix-base64=AP8=,keys=1', 'each limit names one of prefix and prefix-base64'],
    ['prefix=/a/', 'a prefix without keys, bytes or writes-per-second has no limit'],
    ['prefix=/a/,keys=1,keys=2', 'keys is given twice in "prefix=/a/,keys=1,keys=2"'],
    ['prefix=/a/,keys=1;prefix=/a/,keys=2', 'two limits of one prefix'],
    ['prefix=/a/,keys=1k', 'keys is a number, not "1k"'],
    ['prefix=/a/,keys=1.5', 'keys is no whole number: "1.5"'],
    ['prefix=/a/,keys=-1', 'keys is a number, not "-1"'],
    ['prefix=/a/,bytes=1 PiB', 'bytes is a size such as 64MiB, not "1 PiB"'],
    ['prefix=/a/,writes-per-second=0', 'writes-per-second must be above 0'],
    ['prefix=/a/,burst=10,keys=1', 'burst needs writes-per-second'],
    ['prefix=/a/,leases=1', 'unknown name "leases"'],
    ['prefix-base64=_,keys=1', '"_" is not base64'],
  ])('refuses %j', (text, want) => {
    expect(parsePrefixLimits(text)).toEqual({ ok: false, error: want });
  });
});

describe('--prefix-limits-file', () => {
  test.each<[string, readonly PrefixRule[]]>([
    ['', []],
    ['limits: []', []],
    ['- prefix: /a/\n  keys: 5\n  bytes: 1GiB\n', [rule('/a/', { keysMax: 5, bytesMax: 1_073_741_824 })]],
    [
      '{"limits":[{"prefix":"/a/","writes-per-second":5,"burst":9}]}',
      [rule('/a/', { writesPerSecond: 5, burst: 9 })],
    ],
    ['- {prefix: 5, keys: 1}', [rule('5', { keysMax: 1 })]],
  ])('%j', (text, want) => {
    expect(parsePrefixLimitsFile(text)).toEqual({ ok: true, value: want });
  });

  test.each<[string, RegExp]>([
    ['- [', /^not YAML: /],
    ['limits: 5', /^the limits are no list$/],
    ['- 5', /^a limit is no list of names and values$/],
    ['- {prefix: /a/, keys: [1]}', /^keys is a number, not ""$/],
    ['- {prefix: [a], keys: 1}', /^a prefix is text$/],
  ])('refuses %j', (text, want) => {
    const result = parsePrefixLimitsFile(text);
    expect(result.ok ? '' : result.error).toMatch(want);
  });
});
