import { Prng, silentLogger } from '@keelson/base';
import { expect, test } from '@jest/globals';
import { type RaftConfig, RaftConfigError, settleConfig } from './config.ts';
import { MemoryStorage } from './memory-storage.ts';
import { RawNode } from './raw-node.ts';
import { APPEND_THREAD, APPLY_THREAD, Entry, NONE } from './types.ts';

function config(options: Partial<RaftConfig> = {}): RaftConfig {
  return {
    id: 1n,
    electionTick: 10,
    heartbeatTick: 1,
    storage: new MemoryStorage(),
    prng: new Prng(1),
    logger: silentLogger,
    ...options,
  };
}

test.each<[string, Partial<RaftConfig>, string]>([
  ['no id', { id: NONE }, 'cannot use none as id'],
  ['the append thread', { id: APPEND_THREAD }, 'cannot use local target as id'],
  ['the apply thread', { id: APPLY_THREAD }, 'cannot use local target as id'],
  ['no heartbeat', { heartbeatTick: 0 }, 'heartbeat tick must be greater than 0'],
  [
    'elections as often as heartbeats',
    { electionTick: 1 },
    'election tick must be greater than heartbeat tick',
  ],
  ['no append in flight', { maxInflightMsgs: 0 }, 'max inflight messages must be greater than 0'],
  [
    'a window that is smaller than a message',
    { maxSizePerMsg: 11, maxInflightBytes: 10 },
    'max inflight bytes must be >= max message size',
  ],
  [
    'a window, and messages without limit',
    { maxInflightBytes: 10 },
    'max inflight bytes must be >= max message size',
  ],
  [
    'leases that nobody checks',
    { readOnlyOption: 'lease-based' },
    'CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased',
  ],
])('%s is refused in etcd’s words', (_name, options, words) => {
  expect(() => settleConfig(config(options))).toThrow(new RaftConfigError(words));
});

test.each<[string, Partial<RaftConfig>, Partial<RaftConfig>]>([
  [
    'nothing given',
    {},
    {
      applied: 0,
      asyncStorageWrites: true,
      maxSizePerMsg: Infinity,
      maxCommittedSizePerReady: Infinity,
      maxUncommittedEntriesSize: Infinity,
      maxInflightMsgs: 512,
      maxInflightBytes: Infinity,
      readOnlyOption: 'safe',
    },
  ],
  ['0 is no limit', { maxUncommittedEntriesSize: 0, maxInflightBytes: 0 }, { maxInflightBytes: Infinity }],
  ['committed as messages', { maxSizePerMsg: 100 }, { maxCommittedSizePerReady: 100 }],
  ['committed as told', { maxSizePerMsg: 100, maxCommittedSizePerReady: 7 }, { maxCommittedSizePerReady: 7 }],
  ['one entry a message', { maxSizePerMsg: 0 }, { maxSizePerMsg: 0, maxCommittedSizePerReady: 1 }],
])('%s', (_name, options, settled) => {
  expect(settleConfig(config(options))).toMatchObject(settled);
});

// docs/bugs.md: with one entry a message, nothing could be applied.
test('with one entry a message, one entry is applied at a time', () => {
  const storage = MemoryStorage.founded({ voters: [1n] });
  storage.append([new Entry(1, 2), new Entry(1, 3)]);
  storage.setHardState({ term: 1, vote: NONE, commit: 3 });
  const node = new RawNode(config({ storage, applied: 1, maxSizePerMsg: 0 }));
  const applied: number[][] = [];
  while (node.hasReady()) {
    const { apply } = node.ready();
    if (apply === undefined) continue;
    applied.push(apply.entries.map((entry) => entry.index));
    for (const response of apply.responses) node.step(response);
  }
  expect(applied).toEqual([[2], [3]]);
});
