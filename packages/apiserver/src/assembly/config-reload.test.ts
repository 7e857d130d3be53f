/** A file that is followed: when it is looked at, when it is used, what is told of it. */
import { expect, test } from '@jest/globals';
import { Deferred, silentLogger, type Logger } from '@keelson/base';

import { FollowedFile } from '../../test/followed-file.ts';
import { ConfigReload, NotYet, type ConfigReloadOptions } from './config-reload.ts';

const PREFIX = 'apiserver_authorization_config_controller';

interface Followed {
  readonly file: FollowedFile;
  readonly reload: ConfigReload;
  readonly used: string[];
  /** What the log was told of failures. */
  readonly told: unknown[];
}

function follow(prepare?: ConfigReloadOptions['prepare']): Followed {
  const file = new FollowedFile('first');
  const used: string[] = [];
  const told: unknown[] = [];
  const logger: Logger = { ...silentLogger, error: (_message, fields) => void told.push(fields?.['error']) };
  const reload = new ConfigReload({
    what: 'authorization',
    path: file.path,
    readFile: file.readFile,
    text: 'first',
    prepare: prepare ?? ((text) => () => used.push(text) > 0),
    clock: file.clock,
    logger,
    metrics: file.metrics,
    serverId: file.serverId,
  });
  reload.start();
  return { file, reload, used, told };
}

test('what says something else is used, once', async () => {
  const { file, used } = follow();
  await file.look();
  expect(used).toEqual([]);
  expect(file.counted('first')).toEqual([`${PREFIX}_last_config_info{id,hash="first"} 1`]);
  file.text = 'second';
  await file.look();
  await file.look();
  expect(used).toEqual(['second']);
  expect(file.counted('second')).toEqual([
    `${PREFIX}_automatic_reload_last_timestamp_seconds{id,status="success"} 1010`,
    `${PREFIX}_automatic_reloads_total{id,status="success"} 1`,
    `${PREFIX}_last_config_info{id,hash="second"} 1`,
  ]);
});

test('a text that means what is used already is no news', async () => {
  const { file } = follow(() => () => false);
  file.text = 'first # and a word';
  await file.look();
  expect(file.counted('first')).toEqual([`${PREFIX}_last_config_info{id,hash="first"} 1`]);
});

test('one that cannot be used is told once; the next one is used', async () => {
  const { file, used, told } = follow((text) => {
    if (text === 'bad') throw new Error('is bad');
    return () => used.push(text) > 0;
  });
  file.text = 'bad';
  await file.look();
  await file.look();
  expect(told).toEqual(['is bad']);
  expect(file.counted('first')).toEqual([
    `${PREFIX}_automatic_reload_last_timestamp_seconds{id,status="failure"} 1005`,
    `${PREFIX}_automatic_reloads_total{id,status="failure"} 1`,
    `${PREFIX}_last_config_info{id,hash="first"} 1`,
  ]);
  file.text = 'good';
  await file.look();
  expect(used).toEqual(['good']);
  expect(file.counted('good')).toContain(`${PREFIX}_last_config_info{id,hash="good"} 1`);
});

test('a file that is gone is told of once a minute, and read when it is back', async () => {
  const { file, used, told } = follow();
  file.text = undefined;
  for (let look = 0; look < 13; look += 1) await file.look();
  const gone = `open ${file.path}: no such file or directory`;
  expect(told).toEqual([gone, gone]);
  file.text = 'second';
  await file.look();
  expect(used).toEqual(['second']);
});

test('what cannot be used yet is tried again as it is', async () => {
  let there = false;
  const { file, used, told } = follow((text) => {
    if (!there) throw new NotYet('nobody answers');
    return () => used.push(text) > 0;
  });
  file.text = 'second';
  await file.look();
  await file.look();
  expect(told).toEqual(['nobody answers']);
  // Taken back, it is no news.
  file.text = 'first';
  there = true;
  await file.look();
  expect(used).toEqual([]);
  file.text = 'second';
  await file.look();
  expect(used).toEqual(['second']);
});

test('after a stop nothing is used, counted or waited for', async () => {
  const ready = new Deferred<() => boolean>();
  const { file, reload, used } = follow(() => ready.promise);
  file.text = 'second';
  file.wake();
  reload.stop();
  ready.resolve(() => used.push('second') > 0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(used).toEqual([]);
  expect(file.counted('first')).toEqual([`${PREFIX}_last_config_info{id,hash="first"} 1`]);
  expect(file.waiting).toBe(0);

  const idle = follow();
  idle.reload.stop();
  expect(idle.file.waiting).toBe(0);
});
