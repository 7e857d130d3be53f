import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { HandClock } from '../../test/hand-clock.ts';
import { FatalError } from '../errors.ts';
import { joinByRegistry, type Registry, type RegistryPair } from './registry.ts';

class MapRegistry implements Registry {
  readonly pairs = new Map<string, RegistryPair>();
  failures = 0;
  private revision = 0;

  list(prefix: string): Promise<readonly RegistryPair[]> {
    if (this.failures-- > 0) return Promise.reject(new Error('connection refused'));
    return Promise.resolve([...this.pairs.values()].filter(({ key }) => key.startsWith(prefix)));
  }
  put(key: string, value: string): Promise<void> {
    this.revision++;
    const createRevision = this.pairs.get(key)?.createRevision ?? this.revision;
    this.pairs.set(key, { key, value, createRevision });
    return Promise.resolve();
  }
}

const SIZE = '/_etcd/registry/T/_config/size';

async function registry(size: string | undefined): Promise<MapRegistry> {
  const made = new MapRegistry();
  if (size !== undefined) await made.put(SIZE, size);
  return made;
}

function join(at: Registry, clock: HandClock, memberId: bigint): Promise<string> {
  const founder = { token: 'T', memberId, registration: `m${memberId}=http://m${memberId}:2380` };
  return joinByRegistry(founder, at, clock, silentLogger).catch((error: unknown) => {
    expect(error).toBeInstanceOf(FatalError);
    return (error as Error).message;
  });
}

describe('founders meet in a registry', () => {
  test('in the order they came; the last to come is turned away', async () => {
    const at = await registry('3');
    const clock = new HandClock();
    const first = [join(at, clock, 0xccn), join(at, clock, 0xaan)];
    await clock.pass(0);
    await clock.run(5_000);
    expect([...at.pairs.keys()]).toEqual([
      SIZE,
      '/_etcd/registry/T/members/cc',
      '/_etcd/registry/T/members/aa',
    ]);
    const third = join(at, clock, 0xbbn);
    await clock.pass(0);
    await clock.run(5_000);
    const want = 'm204=http://m204:2380,m170=http://m170:2380,m187=http://m187:2380';
    expect(await Promise.all([...first, third])).toEqual([want, want, want]);
    expect(await join(at, clock, 0xddn)).toBe('discovery: cluster is full');
    expect(at.pairs.size).toBe(4);
    // One that comes back has its place.
    expect(await join(at, clock, 0xaan)).toBe(want);
  });

  test('two that come for the last place: one has it', async () => {
    const at = await registry('1');
    const clock = new HandClock();
    const both = await Promise.all([join(at, clock, 1n), join(at, clock, 2n)]);
    expect(both).toEqual(['m1=http://m1:2380', 'discovery: cluster is full']);
  });

  test.each<[string, string | undefined, string]>([
    ['no size', undefined, 'discovery: size key not found'],
    ['a size that is none', 'three', 'discovery: size key is bad'],
    ['a size of nobody', '0', 'discovery: size key is bad'],
  ])('%s', async (_name, size, want) => {
    expect(await join(await registry(size), new HandClock(), 1n)).toBe(want);
  });

  test('a registry that does not answer is asked again', async () => {
    const at = await registry('1');
    at.failures = 3;
    const clock = new HandClock();
    const joined = join(at, clock, 1n);
    await clock.pass(0);
    await clock.run(10_000);
    expect(await joined).toBe('m1=http://m1:2380');
  });

  test('what a member wrote that is no address founds nothing', async () => {
    const at = await registry('2');
    await at.put('/_etcd/registry/T/members/aa', 'nonsense');
    expect(await join(at, new HandClock(), 1n)).toBe('discovery: invalid peer URL');
  });
});
