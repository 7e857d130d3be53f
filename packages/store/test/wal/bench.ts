/**
 * What the log costs: entries of 256 bytes appended in groups, each group one awaited call, on the disk
 * under the given directory (default: the working directory's). Prints records a second and microseconds
 * an append. Run: node packages/store/test/wal/bench.ts [directory]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Entry } from '@keelson/raft';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import { encodeMetadata } from '../../src/wal/entry-codec.ts';
import { RecordEncoder, RecordType } from '../../src/wal/record.ts';
import { encodeEntry } from '../../src/wal/entry-codec.ts';
import { Wal } from '../../src/wal/wal.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);
const DATA = Buffer.alloc(256, 'value');
const root = await mkdtemp(join(process.argv[2] ?? process.cwd(), '.wal-bench-'));

try {
  const encoder = new RecordEncoder(0);
  const count = 400_000;
  const start = performance.now();
  for (let i = 1; i <= count; i++) {
    encoder.add(RecordType.Entry, encodeEntry(new Entry(1, i, 0, DATA)));
    if (i % 500 === 0) encoder.take();
  }
  print(`encode and checksum only: ${(((performance.now() - start) / count) * 1000).toFixed(2)} µs a record`);

  const disk = new NodeDisk();
  for (const group of [1, 10, 100, 1000]) {
    const directory = join(root, String(group));
    const wal = await Wal.create(disk, directory, encodeMetadata({ memberId: 1n, clusterId: 2n }));
    const latencies: number[] = [];
    const cpuStart = process.cpuUsage();
    const began = performance.now();
    let index = 0;
    while (performance.now() - began < 1000) {
      const entries: Entry[] = [];
      for (let i = 0; i < group; i++) entries.push(new Entry(1, ++index, 0, DATA));
      const at = performance.now();
      await wal.append({ entries, hardState: { term: 1, vote: 1n, commit: index - 1 }, mustSync: true });
      latencies.push(performance.now() - at);
    }
    const seconds = (performance.now() - began) / 1000;
    const cpu = process.cpuUsage(cpuStart);
    latencies.sort((a, b) => a - b);
    const quantile = (q: number) => ((latencies[Math.floor(latencies.length * q)] ?? 0) * 1000).toFixed(0);
    print(
      `groups of ${group}: ${(index / seconds).toFixed(0)} records/s, append p50 ${quantile(0.5)} µs, ` +
        `p99 ${quantile(0.99)} µs, ${((cpu.user + cpu.system) / index).toFixed(1)} µs CPU a record, ${wal.counters.cuts} cuts`,
    );
    await wal.close();
  }
} finally {
  await rm(root, { recursive: true });
}
