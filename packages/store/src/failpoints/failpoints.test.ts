import { describe, expect, test } from '@jest/globals';
import { HandClock } from '../../test/hand-clock.ts';
import { MemoryBackend } from '../backend/memory-backend.ts';
import { listenForFailpoints } from './control-port.ts';
import { Failpoints } from './failpoints.ts';
import { Terms } from './terms.ts';

test.each<[string, string[]]>([
  ['panic', ['panic', 'panic']],
  ['2*sleep(5)', ['sleep 5', 'sleep 5', 'off']],
  ['1*sleep("10s")->panic("gone")', ['sleep 10000', 'panic gone']],
  ['50.0%panic', ['off', 'panic', 'off', 'panic']],
  ['return("x")', ['return']],
  ['off', ['off']],
])('%s', (text, want) => {
  const terms = Terms.parse(text)!;
  const dice = [0.9, 0.1, 0.5, 0.49];
  const got = want.map(() => {
    const action = terms.next(() => dice.shift()!);
    if (action.kind === 'sleep') return `sleep ${action.ms}`;
    return action.kind === 'panic' && action.message !== '' ? `panic ${action.message}` : action.kind;
  });
  expect(got).toEqual(want);
});

test.each(['', 'jump', 'sleep', 'sleep("x")', 'sleep(5', '*panic', 'panic->'])('no terms: %j', (text) => {
  expect(Terms.parse(text)).toBeUndefined();
});

class Place {
  readonly clock = new HandClock();
  readonly died: string[] = [];
  readonly printed: string[] = [];
  readonly points = new Failpoints({
    clock: this.clock,
    uniform: () => 0,
    die: (message) => this.died.push(message),
    print: (point) => this.printed.push(point),
  });
}

describe('around the log', () => {
  test('a sleeping append holds up those behind it, in order', async () => {
    const { points, clock } = new Place();
    const written: number[] = [];
    const log = points.log<number>({
      append: (batch) => {
        written.push(batch);
        return Promise.resolve();
      },
    });
    await log.append(1);
    points.arm('raftBeforeSave', '1*sleep(100)');
    const both = Promise.all([log.append(2), log.append(3)]);
    await clock.pass(0);
    points.disarm('raftBeforeSave');
    const third = log.append(4);
    await clock.pass(99);
    expect(written).toEqual([1]);
    await clock.pass(1);
    await Promise.all([both, third]);
    expect(written).toEqual([1, 2, 3, 4]);
  });

  test('one that dies goes no further; what was written before is', async () => {
    const { points, died, clock } = new Place();
    const written: number[] = [];
    const log = points.log<number>({
      append: (batch) => {
        written.push(batch);
        return Promise.resolve();
      },
    });
    points.arm('raftAfterSave', 'panic');
    let settled = false;
    void log.append(1).then(() => (settled = true));
    await clock.pass(0);
    expect([written, died, settled]).toEqual([[1], ['failpoint panic: raftAfterSave'], false]);
  });
});

test('around the backend', async () => {
  const { points, printed } = new Place();
  const backend = points.backend(new MemoryBackend());
  points.armAll('beforeCommit=print;afterCommit=1*print');
  for (const key of ['a', 'b']) await backend.write([{ key, value: Buffer.from('v') }]);
  expect(printed).toEqual(['beforeCommit', 'afterCommit', 'beforeCommit']);
  expect([points.count('beforeCommit'), points.count('afterCommit')]).toEqual([2, 1]);
  expect(backend.getSync('b')?.toString()).toBe('v');
});

test('by HTTP, as gofail', async () => {
  const { points } = new Place();
  const server = await listenForFailpoints('127.0.0.1:0', points);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not on TCP');
  const ask = async (method: string, path: string, body?: string): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${address.port}${path}`, {
      method,
      ...(body !== undefined && { body }),
    });
    return `${answer.status} ${await answer.text()}`;
  };
  try {
    expect(await ask('GET', '/')).toBe('200 afterCommit=\nbeforeCommit=\nraftAfterSave=\nraftBeforeSave=\n');
    expect(await ask('PUT', '/raftBeforeSave', 'sleep("10s")')).toBe('204 ');
    expect(await ask('GET', '/raftBeforeSave')).toBe('200 sleep("10s")\n');
    expect(await ask('GET', '/raftBeforeSave/count')).toBe('200 0\n');
    expect(await ask('DELETE', '/raftBeforeSave')).toBe('204 ');
    expect(await ask('DELETE', '/raftBeforeSave')).toContain('400 fail to DELETE');
    expect(await ask('PUT', '/failpoints', 'afterCommit=panic;beforeCommit=off')).toBe('204 ');
    expect(await ask('GET', '/afterCommit')).toBe('200 panic\n');
    expect(await ask('PUT', '/raftBeforeSave', 'jump')).toContain('400 fail to PUT');
    expect(await ask('PUT', '/nowhere', 'panic')).toContain('does not exist');
    expect(await ask('GET', '/nowhere')).toContain('404');
    expect(await ask('PATCH', '/')).toContain('405');
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
