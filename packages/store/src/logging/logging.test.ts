import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { JsonLogger } from '@keelson/base';
import { consoleLine } from './console-line.ts';
import { RotatingFile } from './rotating-file.ts';
import { backupName, backupsOf, parseRotation, type RotationPolicy } from './rotation.ts';

test.each<[string, (logger: JsonLogger) => void, string]>([
  ['without fields', (l) => l.info('ready'), 'info\tetcdserver\tready'],
  [
    'with fields',
    (l) => l.warn('slow', { took: 1.5, ids: [1n, 2n], of: { a: null, b: 'x:y, "z"' } }),
    'warn\tetcdserver\tslow\t{"took": 1.5, "ids": ["1", "2"], "of": {"a": null, "b": "x:y, \\"z\\""}}',
  ],
])('a console line %s', (_name, log, want) => {
  const lines: string[] = [];
  log(
    new JsonLogger(
      (line) => void lines.push(consoleLine(line)),
      () => 0,
      'info',
      'etcdserver',
    ),
  );
  expect(lines).toEqual([`1970-01-01T00:00:00.000000Z\t${want}\n`]);
});

describe('the policy', () => {
  const DEFAULT: RotationPolicy = {
    bytesMax: 100 * 1024 * 1024,
    ageMsMax: Infinity,
    backupsMax: Infinity,
    localTime: false,
    compress: false,
  };

  test.each<[string, Partial<RotationPolicy>]>([
    ['{}', {}],
    ['{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}', {}],
    [
      '{"maxsize": 1, "maxage": 2, "maxbackups": 3}',
      { bytesMax: 1_048_576, ageMsMax: 172_800_000, backupsMax: 3 },
    ],
    ['{"compress": true, "localtime": true}', { compress: true, localTime: true }],
  ])('%s', (text, want) => {
    expect(parseRotation(text)).toEqual({ ok: true, value: { ...DEFAULT, ...want } });
  });

  test.each(['', '[]', '{"maxsize": true}', '{"compress": 1}', '{'])('refuses %j', (text) => {
    expect(parseRotation(text).ok).toBe(false);
  });

  test('names of old files are found again, and no others', () => {
    const name = backupName('etcd.log', Date.UTC(2026, 10, 21, 8, 30, 1, 7), false);
    expect(name).toBe('etcd-2026-11-21T08-30-01.007.log');
    const others = ['etcd.log', 'etcd-x.log', 'etcd-2026-11-21.log', 'other-2026-11-21T08-30-01.007.log'];
    expect(backupsOf('etcd.log', [...others, name, `${name}.gz`], false).map((each) => each.name)).toEqual([
      name,
      `${name}.gz`,
    ]);
    const local = backupName('log', 1_000_000_000_000, true);
    expect(backupsOf('log', [local], true)).toEqual([{ name: local, atMs: 1_000_000_000_000 }]);
  });
});

describe('a file that rotates', () => {
  const whole: RotationPolicy = {
    bytesMax: 20,
    ageMsMax: Infinity,
    backupsMax: Infinity,
    localTime: false,
    compress: false,
  };
  let folder = '';
  let now = 0;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'keelson-log-'));
    now = Date.UTC(2026, 10, 21);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function written(policy: Partial<RotationPolicy>, lines: readonly string[]): Promise<string[]> {
    const errors: unknown[] = [];
    const file = new RotatingFile(
      join(folder, 'etcd.log'),
      { ...whole, ...policy },
      () => now,
      (error) => errors.push(error),
    );
    for (const line of lines) {
      now += 1_000;
      file.write(line);
      await file.idle();
    }
    file.close();
    expect(errors).toEqual([]);
    return readdirSync(folder).sort();
  }

  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const LINES = ['123456789\n', 'abcdefghi\n', 'second\n', 'third, which is long\n', 'fourth\n'];

  test('that somebody removed is begun anew when it would give way', async () => {
    const file = new RotatingFile(join(folder, 'etcd.log'), whole, () => now);
    file.write(LINES[0]);
    file.write(LINES[1]);
    rmSync(join(folder, 'etcd.log'));
    file.write(LINES[2]);
    file.close();
    await file.idle();
    expect(readdirSync(folder).map(read)).toEqual([LINES[2]]);
  });

  test('gives way when a line does not fit; no line is split or lost', async () => {
    const names = await written({}, LINES);
    expect(names).toEqual([
      'etcd-2026-11-21T00-00-03.000.log',
      'etcd-2026-11-21T00-00-04.000.log',
      'etcd-2026-11-21T00-00-05.000.log',
      'etcd.log',
    ]);
    expect(names.map(read).join('')).toBe(LINES.join(''));
    expect(names.map((name) => statSync(join(folder, name)).mode & 0o777)).toEqual([
      0o600, 0o600, 0o600, 0o600,
    ]);
  });

  test('a file that is there is gone on with, its bytes counted', async () => {
    await written({}, LINES.slice(0, 1));
    await written({}, ['abc\n']);
    expect(read('etcd.log')).toBe('123456789\nabc\n');
    expect(await written({}, ['abcdefghi\n'])).toHaveLength(2);
    expect(read('etcd.log')).toBe('abcdefghi\n');
  });

  test('only so many old ones stay', async () => {
    expect(await written({ backupsMax: 1 }, LINES)).toEqual(['etcd-2026-11-21T00-00-05.000.log', 'etcd.log']);
  });

  test('and only for so long', async () => {
    expect(await written({ ageMsMax: 1_000 }, LINES)).toEqual([
      'etcd-2026-11-21T00-00-04.000.log',
      'etcd-2026-11-21T00-00-05.000.log',
      'etcd.log',
    ]);
  });

  test('compressed if asked for', async () => {
    const names = await written({ compress: true, backupsMax: 2 }, LINES);
    expect(names).toEqual([
      'etcd-2026-11-21T00-00-04.000.log.gz',
      'etcd-2026-11-21T00-00-05.000.log.gz',
      'etcd.log',
    ]);
    expect(gunzipSync(readFileSync(join(folder, names[0]))).toString()).toBe('second\n');
  });
});
