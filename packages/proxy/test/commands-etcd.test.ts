/** Help, refusals and exit codes of the commands beside those of a real etcd. */
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { HAS_ETCD } from '../../base/test/etcd-process.ts';
import { runProxy } from '../src/commands.ts';
import { CapturedIo } from './captured-io.ts';

const LINES: readonly string[] = [
  'gateway',
  'gateway --help',
  'gateway -h',
  'gateway help',
  'gateway stop',
  'gateway --foo',
  'gateway --foo start',
  'gateway --foo=1 start',
  'gateway --help start',
  'gateway start --help',
  'gateway start -h',
  'gateway start --foo',
  'gateway start -x',
  'gateway start -hx',
  'gateway start ---x',
  'gateway start --help --foo',
  'gateway start -h --retry-delay',
  'gateway start --help=x',
  'gateway start -h=x',
  'gateway start --=1',
  'gateway start --retry-delay',
  'gateway start --retry-delay 5',
  'gateway --retry-delay 5 start',
  'gateway start --insecure-discovery=x',
  'gateway start --listen-addr nohost',
  'gateway start --listen-addr=',
  'gateway start --listen-addr :1',
  'gateway start word --listen-addr nohost',
  'gateway start --listen-addr 127.0.0.1:99999',
  'gateway start --listen-addr 127.0.0.1:nonsense',
  'gateway start --endpoints=',
  'gateway start --endpoints a]b:1',
  'gateway start --endpoints 127.0.0.1:23790',
  'gateway start --endpoints http://localhost:1,http://127.0.0.1:23790/x',
  'grpc-proxy',
  'grpc-proxy --help',
  'grpc-proxy stop',
  'grpc-proxy --foo',
];

describe('as etcd answers', () => {
  (HAS_ETCD ? test : test.skip).each(LINES)(
    `etcd %s${HAS_ETCD ? '' : ' (needs etcd on the PATH)'}`,
    async (line) => {
      const words = line.split(' ');
      const io = new CapturedIo();
      const code = await runProxy(words, io);
      const theirs = spawnSync('etcd', words, { encoding: 'utf8' });
      expect(io.outText).toBe(theirs.stdout);
      // The lines of the log differ, and 3.4 writes fewer.
      expect(io.errText.replace(/^\{.*\n/gm, '')).toBe(theirs.stderr.replace(/^\{.*\n/gm, ''));
      expect(code).toBe(theirs.status);
    },
  );
});
