/** What we say, as Wireshark's dissector reads it: another decoder of frames, header blocks and gRPC messages. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { Metadata, nativeChannel, nativeServer } from '@keelson/rpc';
import { Echo, ServerSide, echoTable } from './contract/service.ts';
import { PREFACE } from './raw-frames.ts';
import { capture, overhear, saidBy } from './wiretap.ts';

const run = promisify(execFile);
const installed = spawnSync('tshark', ['--version']).error === undefined;

async function conversation(): Promise<Buffer[]> {
  const server = nativeServer(echoTable(new ServerSide()));
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const heard = await overhear(port, async (through) => {
    const channel = nativeChannel(`127.0.0.1:${through}`);
    for (const text of ['echo one', 'echo two', 'size 40000'])
      await channel.unary(Echo.unary, text, { timeoutMs: 5000 });
    await channel.unary(Echo.unary, 'headers', { metadata: Metadata.of({ token: 'secret' }) });
    await expect(channel.unary(Echo.unary, 'fail')).rejects.toMatchObject({ code: 9 });
    for await (const each of channel.serverStream(Echo.counted, '3 10')) expect(each).toHaveLength(10);
    channel.close();
  });
  await server.close();
  const pieces = heard[0] ?? [];
  return [capture(pieces), saidBy('client', pieces).subarray(PREFACE.length), saidBy('server', pieces)];
}

/** Frames by type. */
function count(bytes: Buffer, into: Map<number, number>): void {
  let at = 0;
  for (; bytes.length - at >= 9; at += 9 + bytes.readUIntBE(at, 3)) {
    const type = bytes[at + 3] ?? 0;
    into.set(type, (into.get(type) ?? 0) + 1);
  }
  expect(at).toBe(bytes.length);
}

const body = async (): Promise<void> => {
  const [pcap = Buffer.alloc(0), ...said] = await conversation();
  const folder = await mkdtemp(join(tmpdir(), 'keelson-tshark-'));
  const file = join(folder, 'conversation.pcap');
  try {
    await writeFile(file, pcap);
    const fields = async (...names: string[]): Promise<string[][]> => {
      const wanted = names.flatMap((name) => ['-e', name]);
      const { stdout } = await run('tshark', [
        '-r',
        file,
        // Messages of the contract are plain text.
        '--disable-protocol',
        'protobuf',
        '-d',
        'tcp.port==2379,http2',
        '-T',
        'fields',
        '-E',
        'occurrence=a',
        '-E',
        'aggregator=|',
        ...wanted,
      ]);
      return stdout.split('\n').map((line) => line.split('\t'));
    };
    const column = (rows: readonly string[][], index: number): string[] =>
      rows.flatMap((row) => (row[index] ?? '').split('|')).filter((text) => text !== '');
    const rows = await fields(
      'http2.type',
      'http2.header.name',
      'http2.header.value',
      'grpc.message_length',
      '_ws.malformed',
      '_ws.expert.severity',
    );
    // It sees the frames that were said, no more and no less.
    const ours = new Map<number, number>();
    for (const bytes of said) count(bytes, ours);
    const theirs = new Map<number, number>();
    for (const type of column(rows, 0)) theirs.set(Number(type), (theirs.get(Number(type)) ?? 0) + 1);
    expect(theirs).toEqual(ours);
    expect(column(rows, 4)).toEqual([]);
    // Chats and notes; warnings and errors are from 0x600000 on.
    expect(column(rows, 5).filter((severity) => Number(severity) >= 0x600000)).toEqual([]);
    const names = column(rows, 1);
    const values = column(rows, 2);
    const of = (name: string): string[] => values.filter((_value, i) => names[i] === name);
    expect(names.length).toBe(values.length);
    expect(of(':path')).toEqual([...Array<string>(5).fill('/test.Echo/Unary'), '/test.Echo/Counted']);
    expect(of('grpc-status')).toEqual(['0', '0', '0', '0', '9', '0']);
    expect(of('grpc-timeout')).toHaveLength(3);
    expect(of('token')).toEqual(['secret']);
    expect(of('x-trailer')).toEqual(['t']);
    expect(column(rows, 3).filter((length) => length === '40000')).toHaveLength(1);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

if (installed)
  test('tshark reads every frame, field and message of a conversation, and finds nothing odd', body);
else test.skip('tshark is not installed: it reads every frame, field and message of a conversation', body);
