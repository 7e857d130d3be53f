/**
 * Fuzz targets of the other files: .snap, bbolt, batch records of the backend, the index checkpoint, a backup's
 * manifest. Damage is refused by name or changes nothing; where no checksum guards (a page of bbolt), what is read is
 * at least whole, in order, and bounded by the file.
 */
import { crc32c, type Disk } from '@keelson/base';
import { Snapshot } from '@keelson/raft';
import { Mutator } from '../../../base/test/fuzz/mutator.ts';
import { promise, promiseSame, type Execution, type FuzzTarget } from '../../../base/test/fuzz/target.ts';
import { batchRecordKey, decodeBatchRecord, encodeBatchRecord } from '../../src/backend/batch-record.ts';
import { FatalError } from '../../src/errors.ts';
import { CheckpointFile } from '../../src/mvcc/checkpoint-file.ts';
import { CheckpointError } from '../../src/mvcc/index-codec.ts';
import { loadCheckpoint } from '../../src/mvcc/index-checkpoint.ts';
import { encodeRevision } from '../../src/mvcc/revision.ts';
import { decodeSnapFile, encodeSnapFile } from '../../src/snap/snap-store.ts';
import { BboltReader } from '../../src/snapshot/bbolt-reader.ts';
import { planBbolt, writeBbolt } from '../../src/snapshot/bbolt-writer.ts';
import { BboltError, type BucketSource, type KeyValuePair } from '../../src/snapshot/pages.ts';
import { readManifest, writeManifest, type BackupManifest } from '../../src/transfer/backup-manifest.ts';
import { BytesFile, bytesDisk } from './bytes-disk.ts';
import { checkpointBlocks, checkpointFile } from './checkpoint-made.ts';

// .snap

function snapshots(): Snapshot[] {
  const state = (voters: bigint[], learners: bigint[]): Snapshot['confState'] => ({
    voters,
    learners,
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  });
  return [
    new Snapshot(5, 2, state([1n], []), Buffer.from('{}')),
    new Snapshot(2 ** 40, 9, state([0x8e9e05c52164694dn, 2n ** 64n - 1n], [3n]), Buffer.alloc(300, 'v2')),
  ];
}

function snapText({ index, term, confState, data }: Snapshot): string {
  const { voters, learners, votersOutgoing, learnersNext, autoLeave } = confState;
  return `${index}/${term} ${[voters, learners, votersOutgoing, learnersNext].map(String).join(' ')} ${autoLeave} ${data.toString('hex')}`;
}

function openSnap(): Execution {
  const wholes = snapshots();
  const files = wholes.map(encodeSnapFile);
  const mutator = new Mutator(files, [], 4096);
  const inner = files.map((file) => file.subarray(file.indexOf(0x12) + 2));
  return (prng) => {
    const place = prng.below(files.length);
    const resealed = prng.chance(1, 3);
    const bytes = resealed ? sealed(mutator.of(prng, inner[place])) : mutator.of(prng, files[place]);
    let snapshot: Snapshot;
    try {
      snapshot = decodeSnapFile(bytes);
    } catch (error) {
      promise(error instanceof Error && /^(?:ProtoError|RangeError)$/.test(error.name), () => String(error));
      return resealed ? 'refused although sealed' : 'refused';
    }
    if (!resealed) promiseSame('a .snap file', snapText(snapshot), snapText(wholes[place]));
    // What is accepted can be written and read again.
    promiseSame('a .snap file', snapText(decodeSnapFile(encodeSnapFile(snapshot))), snapText(snapshot));
    return resealed ? 'accepted because sealed' : 'accepted';
  };
}

/** A right checksum around any content: snappb.snapshot{crc = 1, data = 2}. */
function sealed(data: Buffer): Buffer {
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) | 0x80, ...varint(Math.floor(value / 128))];
  return Buffer.concat([Buffer.from([0x08, ...varint(crc32c(data)), 0x12, ...varint(data.length)]), data]);
}

// bbolt

async function bboltFiles(): Promise<Buffer[]> {
  const numbered = (count: number, valueBytes: number): KeyValuePair[] =>
    Array.from({ length: count }, (_, i) => {
      const key = Buffer.alloc(17);
      key.writeUInt32BE(i, 4);
      return { key, value: Buffer.alloc(valueBytes, i & 0xff) };
    });
  const shapes: (readonly (readonly [string, readonly KeyValuePair[]])[])[] = [
    [],
    [
      ['key', numbered(1, 10)],
      ['meta', numbered(3, 2)],
    ],
    [
      ['key', numbered(400, 40)],
      ['lease', []],
      ['members', numbered(2, 5000)],
    ],
  ];
  const files: Buffer[] = [];
  for (const shape of shapes) {
    const sources = shape.map(([name, pairs]): BucketSource => ({
      name: Buffer.from(name),
      entries: () => [pairs],
    }));
    const chunks: Buffer[] = [];
    for await (const chunk of writeBbolt(await planBbolt(sources), sources)) chunks.push(chunk);
    files.push(Buffer.concat(chunks));
  }
  return files;
}

/** Everything a reader can be asked. @throws BboltError */
async function readAll(file: BytesFile): Promise<void> {
  const reader = await BboltReader.open(file);
  let pairs = 0;
  for (const bucket of await reader.buckets()) {
    let previous: Buffer = Buffer.alloc(0);
    for await (const batch of bucket.entries())
      for (const { key } of batch) {
        promise(previous.compare(key) < 0, () => 'keys out of order');
        previous = Buffer.from(key);
        pairs++;
      }
  }
  const { pairCount } = await reader.check();
  promise(pairCount === pairs, () => `${pairs} pairs are given and ${pairCount} counted`);
}

async function openBbolt(): Promise<Execution> {
  const files = await bboltFiles();
  return async (prng) => {
    const bytes = Buffer.from(prng.pick(files));
    const pages = bytes.length / 4096;
    let end = bytes.length;
    for (let left = prng.below(16) === 0 ? 0 : 1 + prng.below(3); left > 0; left--) {
      // Headers and elements stand at the front of a page.
      const at = prng.below(pages) * 4096 + prng.below(prng.pick([16, 64, 80, 4096]));
      const kind = prng.below(7);
      if (kind < 3) bytes[at] ^= 1 << prng.below(8);
      else if (kind === 3) bytes[at] = prng.below(256);
      else if (kind === 4)
        bytes.copy(bytes, prng.below(pages) * 4096, at - (at % 4096), at - (at % 4096) + 4096);
      else if (kind === 5)
        bytes.fill(prng.pick([0, 0xff]), at, Math.min(bytes.length, at + prng.pick([2, 4, 8, 512])));
      else end = prng.below(8) === 0 ? at : end;
    }
    const file = new BytesFile(bytes.subarray(0, end));
    try {
      await readAll(file);
      return 'accepted';
    } catch (error) {
      if (error instanceof BboltError) return error.code;
      throw error;
    }
  };
}

// The backend's batch records

function openBatchRecord(): Execution {
  const key = batchRecordKey(encodeRevision(7, 1));
  const made = [0, 1, 2 ** 40].map((count) =>
    encodeBatchRecord({
      number: count + 1,
      previous: count,
      checksum: 0xdead_beef,
      putCount: 3,
      mark: {
        consistentIndex: count,
        term: 2,
        newestRevision: encodeRevision(7, 1),
        confState: '{"voters":[1]}',
      },
    }),
  );
  const mutator = new Mutator(made, [], 512);
  return (prng) => {
    const bytes = mutator.next(prng);
    const resealed = prng.chance(1, 2) && bytes.length >= 45;
    if (resealed) {
      bytes.writeUInt32BE(0, 41);
      bytes.writeUInt32BE(crc32c(bytes), 41);
    }
    try {
      const record = decodeBatchRecord(key, bytes);
      if (!resealed)
        promise(
          made.some((one) => one.equals(bytes)),
          () => 'a record that never was',
        );
      else if (
        isSafe(record.number, record.previous, record.mark.consistentIndex, record.mark.term) &&
        isUtf8(bytes)
      )
        promise(encodeBatchRecord(record).equals(bytes), () => 'a record has two forms');
      return resealed ? 'accepted because sealed' : 'accepted';
    } catch (error) {
      if (error instanceof FatalError || resealed) return 'refused';
      throw error;
    }
  };
}

function isSafe(...values: number[]): boolean {
  return values.every(Number.isSafeInteger);
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8', 45)).equals(bytes.subarray(45));
}

// The index checkpoint

function openCheckpoint(): Execution {
  const blocks = checkpointBlocks();
  const whole = checkpointFile(blocks);
  const mutator = new Mutator([whole, ...blocks], [], 8192);
  return async (prng) => {
    const resealed = prng.chance(1, 2);
    const place = prng.below(blocks.length);
    const bytes = resealed
      ? checkpointFile(blocks.map((block, i) => (i === place ? Buffer.from(mutator.of(prng, block)) : block)))
      : Buffer.from(mutator.of(prng, whole));
    // The backend names the file that was written; or, where the damage was before its checksum, this one.
    const named = resealed ? bytes : whole;
    const revisions = resealed ? [30, 31, 0] : [30];
    const identities = revisions.map((revision) => ({
      revision,
      bytes: named.length,
      checksum: crc32c(named),
    }));
    try {
      const loaded = await loadCheckpoint(new CheckpointFile(bytesDisk(bytes), '/'), identities);
      if (!resealed) promise(bytes.equals(whole), () => 'a file that the backend does not name is taken');
      promise(loaded.index.size <= bytes.length, () => `${loaded.index.size} keys in ${bytes.length} bytes`);
      return resealed ? 'accepted because sealed' : 'accepted';
    } catch (error) {
      if (error instanceof CheckpointError) return resealed ? 'refused although sealed' : 'refused';
      throw error;
    }
  };
}

// A backup's manifest

const MANIFEST: BackupManifest = {
  clusterId: 0xcdf818194e3a8c32n,
  chains: [
    {
      directory: '0000000000000001',
      base: {
        file: 'base.db',
        memberId: 1n,
        bytes: 20_512,
        sha256: 'ab'.repeat(32),
        index: 10,
        term: 2,
        revision: 8,
        timeMs: 1e12,
      },
      leaseTtlSecondsMin: 2,
      increments: [
        {
          file: 'wal/0000000000000000-000000000000000b.wal',
          memberId: 2n,
          bytes: 512,
          sha256: 'cd'.repeat(32),
          first: { index: 11, term: 2 },
          points: [{ index: 12, term: 2, revision: 9, timeMs: 1e12 + 5 }],
        },
      ],
    },
  ],
};

async function openManifest(): Promise<Execution> {
  let text: Buffer = Buffer.alloc(0);
  const disk: Disk = {
    ...bytesDisk(text),
    writeFileAtomic: async (_path, data) => void (text = Buffer.from(data)),
  };
  await writeManifest(disk, '/backup', MANIFEST);
  const words = [
    '"__proto__":{"x":1},',
    '../',
    '1e400',
    '-0',
    '""',
    'null',
    '[]',
    '{}',
    '9007199254740993',
    '"constructor":{}',
  ];
  const mutator = new Mutator(
    [text],
    words.map((word) => Buffer.from(word)),
    4096,
  );
  return async (prng) => {
    let manifest: BackupManifest | undefined;
    try {
      manifest = await readManifest(bytesDisk(mutator.next(prng)), '/backup');
    } catch (error) {
      if (error instanceof FatalError) return 'refused';
      throw error;
    }
    promise(manifest !== undefined, () => 'there is a manifest');
    for (const chain of manifest?.chains ?? [])
      for (const name of [chain.directory, chain.base.file, ...chain.increments.map(({ file }) => file)])
        promise(!name.startsWith('/') && !name.split('/').includes('..'), () => `a name leads out: ${name}`);
    await writeManifest(disk, '/backup', manifest!);
    const again = await readManifest(bytesDisk(text), '/backup');
    promiseSame('a manifest', manifestText(again), manifestText(manifest));
    return 'accepted';
  };
}

function manifestText(manifest: BackupManifest | undefined): string {
  return JSON.stringify(manifest, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString(16) : value,
  );
}

export const fileTargets: readonly FuzzTarget[] = [
  {
    name: 'snap-file',
    gateExecutions: 10_000,
    outcomes: ['refused', 'accepted', 'accepted because sealed'],
    open: openSnap,
  },
  {
    name: 'bbolt',
    gateExecutions: 1_500,
    outcomes: ['accepted', 'CORRUPT', 'NOT_BBOLT', 'TRUNCATED'],
    open: openBbolt,
  },
  { name: 'batch-record', gateExecutions: 8_000, outcomes: ['refused', 'accepted'], open: openBatchRecord },
  {
    name: 'index-checkpoint',
    gateExecutions: 4_000,
    outcomes: ['refused', 'accepted', 'refused although sealed'],
    open: openCheckpoint,
  },
  { name: 'backup-manifest', gateExecutions: 3_000, outcomes: ['refused', 'accepted'], open: openManifest },
];
