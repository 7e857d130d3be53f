import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { RotationPolicy } from '../logging/rotation.ts';
import { AuditFile, StreamOutput } from './audit-file.ts';

let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keelson-audit-'));
  path = join(folder, 'audit.log');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function opened(policy?: Partial<RotationPolicy>): Promise<AuditFile> {
  let now = Date.UTC(2026, 10, 21);
  const whole = { bytesMax: 20, ageMsMax: Infinity, backupsMax: Infinity, localTime: false, compress: false };
  return new AuditFile(
    path,
    policy === undefined ? undefined : { ...whole, ...policy },
    () => (now += 1_000),
    (error) => {
      throw error;
    },
  ).open();
}

async function written(file: AuditFile, ...lines: readonly string[]): Promise<void> {
  for (const line of lines) await file.write(Buffer.from(line));
}

test('goes on where it ended, and begins a line where an end tore one', async () => {
  let file = await opened();
  await written(file, 'a\n', 'b\n');
  await file.close();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  appendFileSync(path, '{"torn');
  file = await opened();
  await written(file, 'c\n');
  await file.close();
  expect(readFileSync(path, 'utf8')).toBe('a\nb\n{"torn\nc\n');
});

test('rotates as the policy says', async () => {
  const file = await opened({ backupsMax: 1 });
  await written(
    file,
    '123456789\n',
    'abcdefghi\n',
    'second\n',
    'longer than the whole file may be\n',
    'last\n',
  );
  await file.close();
  expect(readdirSync(folder)).toHaveLength(2);
  const names = readdirSync(folder).sort();
  expect(names.map((name) => readFileSync(join(folder, name), 'utf8'))).toEqual([
    'longer than the whole file may be\n',
    'last\n',
  ]);
});

test('one that somebody removed is begun anew when it would rotate', async () => {
  const file = await opened({});
  await written(file, '123456789\n', 'abcdefghi\n');
  rmSync(path);
  await written(file, 'next\n');
  await file.close();
  expect(readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))).toEqual(['next\n']);
});

test('a file that was moved away is left there once it is told', async () => {
  const file = await opened();
  await written(file, 'a\n');
  renameSync(path, `${path}.1`);
  await written(file, 'b\n');
  file.reopen();
  await written(file, 'c\n');
  await file.close();
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('a\nb\n');
  expect(readFileSync(path, 'utf8')).toBe('c\n');
});

test('one that cannot be opened says so, at the start and later', async () => {
  const file = await opened();
  rmSync(folder, { recursive: true });
  file.reopen();
  const lines = Buffer.from('a\n');
  await expect(file.write(lines)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(opened()).rejects.toMatchObject({ code: 'ENOENT' });
  folder = mkdtempSync(join(tmpdir(), 'keelson-audit-'));
  await expect(file.write(lines)).rejects.toMatchObject({ code: 'ENOENT' });
  await file.close();
});

test('a stream takes lines, and says when it does not', async () => {
  const stream = new PassThrough();
  const output = new StreamOutput(stream);
  await output.write(Buffer.from('a\n'));
  expect(String(stream.read())).toBe('a\n');
  stream.destroy();
  await expect(output.write(Buffer.from('b\n'))).rejects.toThrow();
  output.reopen();
  await output.close();
});
