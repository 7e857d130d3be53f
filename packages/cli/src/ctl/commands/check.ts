/** check perf and check datascale: whether a cluster keeps up with a load, and what holding data costs. */
import type { Client } from '@keelson/client';
import { toError } from '@keelson/base';
import type { FlagSpec } from '../../flags.ts';
import { quoteText } from '../../go-text.ts';
import type { Command, CommandContext } from '../command.ts';
import { CtlError, ExitCode } from '../ctl-error.ts';
import { readMetrics } from '../metrics-page.ts';
import { runLoad, type LoadReport } from './check-load.ts';

type Size = 's' | 'm' | 'l' | 'xl';

/** etcdctl's workloads. */
const PERF: Readonly<Record<Size, { readonly rate: number; readonly clients: number }>> = {
  s: { rate: 150, clients: 50 },
  m: { rate: 1000, clients: 200 },
  l: { rate: 8000, clients: 500 },
  xl: { rate: 15_000, clients: 1000 },
};
const PERF_MS = 60_000;
const DATASCALE: Readonly<Record<Size, { readonly count: number; readonly clients: number }>> = {
  s: { count: 10_000, clients: 50 },
  m: { count: 100_000, clients: 200 },
  l: { count: 1_000_000, clients: 500 },
  xl: { count: 3_000_000, clients: 1000 },
};
const DATASCALE_PAIR_BYTES = 1024;

/** What a cluster must reach: etcdctl's figures. */
const RATE_SHARE_MIN = 0.9;
const SLOWEST_SECONDS_MAX = 0.5;
const STDDEV_SECONDS_MAX = 0.1;

/** Removing what was written may take longer than a short command. */
const CLEANUP_MS = 30_000;

const SIZES: Readonly<Record<string, Size>> = {
  s: 's',
  small: 's',
  m: 'm',
  medium: 'm',
  l: 'l',
  large: 'l',
  xl: 'xl',
  xLarge: 'xl',
};

function flagsOf(check: string, prefix: string): readonly FlagSpec[] {
  return [
    {
      name: 'auto-compact',
      kind: 'bool',
      initial: 'false',
      usage: 'Compact storage with last revision after test is finished.',
    },
    {
      name: 'auto-defrag',
      kind: 'bool',
      initial: 'false',
      usage: 'Defragment storage after test is finished.',
    },
    {
      name: 'load',
      kind: 'string',
      initial: 's',
      usage: `The ${check} check's workload model. Accepted workloads: s(small), m(medium), l(large), xl(xLarge)`,
    },
    {
      name: 'prefix',
      kind: 'string',
      initial: prefix,
      usage: `The prefix for writing the ${check} check's keys.`,
    },
  ];
}

function sizeOf({ flags }: CommandContext): Size {
  const load = flags.string('load');
  const size = Object.hasOwn(SIZES, load) ? SIZES[load] : undefined;
  if (size === undefined) throw new CtlError(ExitCode.BadFeature, `unknown load option ${load}`);
  return size;
}

/** Runs `work` with that many connections, after making sure that the prefix is nobody's. */
async function withClients(
  context: CommandContext,
  count: number,
  work: (clients: readonly [Client, ...Client[]]) => Promise<ExitCode>,
): Promise<ExitCode> {
  const prefix = context.flags.string('prefix');
  const { kvs } = await context.client().kv.get(prefix, { prefix: true, limit: 1 });
  if (kvs.length > 0) {
    throw new CtlError(
      ExitCode.InvalidInput,
      `prefix ${quoteText(prefix)} has keys. Delete with etcdctl del --prefix ${prefix} first`,
    );
  }
  const first = context.client();
  const others = Array.from({ length: count - 1 }, () => context.clientOf(context.endpoints));
  try {
    return await work([first, ...others]);
  } finally {
    for (const client of others) client.close();
  }
}

/** Removes the keys, then does what --auto-compact and --auto-defrag ask for. */
async function cleanUp(context: CommandContext): Promise<void> {
  const { flags, io, endpoints, client, clientOf } = context;
  const request = { prefix: true, timeoutMs: CLEANUP_MS };
  const { header } = await client().kv.delete(flags.string('prefix'), request);
  const revision = header?.revision ?? 0;
  if (flags.bool('auto-compact')) {
    io.out(`Compacting with revision ${revision}\n`);
    await client().kv.compact(revision, { physical: true, timeoutMs: CLEANUP_MS });
    io.out(`Compacted with revision ${revision}\n`);
  }
  if (!flags.bool('auto-defrag')) return;
  for (const endpoint of endpoints) {
    const one = clientOf([endpoint]);
    try {
      io.out(`Defragmenting ${quoteText(endpoint)}\n`);
      await one.maintenance.defragment({ timeoutMs: CLEANUP_MS });
      io.out(`Defragmented ${quoteText(endpoint)}\n`);
    } finally {
      one.close();
    }
  }
}

/** On a terminal only: in a file a moving line is noise. */
function progressOf({ io }: CommandContext, total: number): (done: number) => void {
  let drawn = '';
  return (done) => {
    const percent = ((Math.min(done, total) * 100) / total).toFixed(2);
    const line = `\r ${Math.min(done, total)} / ${total} ${percent.padStart(6)}%`;
    if (io.terminal && line !== drawn) io.out(line);
    drawn = line;
  };
}

/** The load of `check perf` for as long as given, and its verdict. */
export function checkPerf(context: CommandContext, durationMs: number): Promise<ExitCode> {
  const { rate, clients: count } = PERF[sizeOf(context)];
  const { flags, io, stopping } = context;
  const draw = progressOf(context, durationMs / 1000);
  return withClients(context, count, async (clients) => {
    const report = await runLoad({
      clients,
      prefix: flags.string('prefix'),
      keyBytes: 256,
      valueBytes: 1024,
      rate,
      count: Infinity,
      durationMs,
      signal: stopping,
      progress: (_puts, elapsedMs) => draw(Math.floor(elapsedMs / 1000)),
    });
    if (io.terminal) io.out('\n');
    await cleanUp(context);
    if (stopping.aborted) return ExitCode.Interrupted;
    const { lines, passed } = verdictOn(report, rate);
    io.out(`${lines.join('\n')}\n`);
    return passed ? ExitCode.Success : ExitCode.Error;
  });
}

/** What etcdctl says of a run; its last line is the verdict. */
export function verdictOn(report: LoadReport, rate: number): { lines: string[]; passed: boolean } {
  const lines = errorLines(report);
  const writes = `${Math.floor(report.perSecond) + 1} writes/s`;
  const fast = report.perSecond / rate > RATE_SHARE_MIN;
  lines.push(fast ? `PASS: Throughput is ${writes}` : `FAIL: Throughput too low: ${writes}`);
  const slowest = `${report.slowestSeconds.toFixed(6)}s`;
  const prompt = report.slowestSeconds <= SLOWEST_SECONDS_MAX;
  lines.push(prompt ? `PASS: Slowest request took ${slowest}` : `Slowest request took too long: ${slowest}`);
  const stddev = `${report.stddevSeconds.toFixed(6)}s`;
  const even = report.stddevSeconds <= STDDEV_SECONDS_MAX;
  lines.push(even ? `PASS: Stddev is ${stddev}` : `Stddev too high: ${stddev}`);
  const passed = report.errors.size === 0 && fast && prompt && even;
  lines.push(passed ? 'PASS' : 'FAIL');
  return { lines, passed };
}

function errorLines({ errors }: LoadReport): string[] {
  if (errors.size === 0) return [];
  return ['FAIL: too many errors', ...[...errors].map(([text, count]) => `FAIL: ERROR(${text}) -> ${count}`)];
}

const perf: Command = {
  path: ['check', 'perf'],
  usage: '[options]',
  short: 'Check the performance of the etcd cluster',
  stops: true,
  flags: flagsOf('performance', '/etcdctl-check-perf/'),
  run: (context) => checkPerf(context, PERF_MS),
};

const datascale: Command = {
  path: ['check', 'datascale'],
  usage: '[options]',
  short: 'Check the memory usage of holding data for different workloads on a given server endpoint.',
  stops: true,
  long: 'If no endpoint is provided, localhost will be used. If multiple endpoints are provided, first endpoint will be used.',
  flags: flagsOf('datascale', '/etcdctl-check-datascale/'),
  run(context) {
    const { count, clients } = DATASCALE[sizeOf(context)];
    const { flags, io, stopping } = context;
    const draw = progressOf(context, count);
    return withClients(context, clients, async (list) => {
      const before = await residentBytes(context, 'before');
      io.out(
        `Start data scale check for work load [${count} key-value pairs, ${DATASCALE_PAIR_BYTES} bytes per key-value, ${clients} concurrent clients].\n`,
      );
      const report = await runLoad({
        clients: list,
        prefix: flags.string('prefix'),
        keyBytes: DATASCALE_PAIR_BYTES / 2,
        valueBytes: DATASCALE_PAIR_BYTES / 2,
        rate: Infinity,
        count,
        durationMs: Infinity,
        signal: stopping,
        progress: draw,
      });
      if (io.terminal) io.out('\n');
      const after = await residentBytes(context, 'after');
      await cleanUp(context);
      if (stopping.aborted) return ExitCode.Interrupted;
      const failures = errorLines(report);
      if (failures.length > 0) {
        io.out(`${failures.join('\n')}\n`);
        return ExitCode.Error;
      }
      const megabytes = ((after - before) / 1024 ** 2).toFixed(2);
      io.out(`PASS: Approximate system memory used : ${megabytes} MB.\n`);
      return ExitCode.Success;
    });
  },
};

/** What the first endpoint's process occupies. @throws CtlError when it does not say */
async function residentBytes(
  { endpoints, tls, io }: CommandContext,
  when: 'before' | 'after',
): Promise<number> {
  try {
    const bytes = (await readMetrics(endpoints[0] ?? '', tls)).get('process_resident_memory_bytes');
    if (bytes !== undefined && bytes > 0) return bytes;
  } catch (error) {
    io.err(`fetch error: ${toError(error).message}\n`);
  }
  io.out(`FAIL: Could not read process_resident_memory_bytes ${when} the put operations.\n`);
  throw new CtlError(ExitCode.Error, '');
}

export const checkCommands: readonly Command[] = [perf, datascale];
