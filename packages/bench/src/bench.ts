/**
 * The command: reads its options, runs the plans, prints tables, writes the report. Returns an exit code and
 * never exits itself; asked to stop, it kills its servers and returns.
 */
import { tmpdir } from 'node:os';
import { judge, type Sample } from './compare.ts';
import { describeMachine } from './machine.ts';
import { runMicro } from './micro/micro.ts';
import { OptionError, parseOptions, usage, type BenchOptions } from './options.ts';
import { Progress, type Screen } from './progress.ts';
import { markdownTable, tables, writeReport, type Report } from './report.ts';
import { millionPlans, onePlan, suitePlans } from './steps.ts';
import { Suite } from './suite.ts';

/** What the command may touch of its process; the `Io` of @keelson/cli is one. */
export interface BenchIo extends Screen {
  readonly env: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  /** Calls back at each signal that asks to stop. @returns a function that ends the subscription */
  onStop(task: () => void): () => void;
}

const INTERRUPTED = 130;

/** @param argv what follows `keelson bench`. @returns the exit code: 0, or 1 with the reason on `err` */
export async function runBench(argv: readonly string[], io: BenchIo): Promise<number> {
  try {
    const options = parseOptions(argv);
    if (options.help) {
      io.out(usage());
      return 0;
    }
    if (options.workload === 'micro') {
      const { short, filter, json } = options;
      await runMicro((text) => io.out(text), { short, filter, json });
      return 0;
    }
    return await measure(argv, options, io);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    io.err(`keelson bench: ${message}\n${error instanceof OptionError ? 'Try --help.\n' : ''}`);
    return 1;
  }
}

async function measure(argv: readonly string[], options: BenchOptions, io: BenchIo): Promise<number> {
  const { workload } = options;
  const plans =
    workload === 'suite' || workload === 'micro'
      ? suitePlans(options)
      : workload === 'million'
        ? millionPlans(options)
        : [onePlan(workload, options)];
  const machine = describeMachine(options.directory ?? tmpdir());
  const suite = new Suite(options, new Progress(io), io.env);
  let unsubscribe = (): void => undefined;
  const interrupted = new Promise<'interrupted'>((resolve) => {
    unsubscribe = io.onStop(() => resolve('interrupted'));
  });
  const run = suite.run(plans);
  let samples: readonly Sample[] | 'interrupted';
  try {
    samples = await Promise.race([run, interrupted]);
  } finally {
    unsubscribe();
    await suite.dispose();
  }
  if (samples === 'interrupted') {
    // Its servers are gone, so it fails soon; that is no news any more.
    run.catch(() => undefined);
    io.err('keelson bench: interrupted\n');
    return INTERRUPTED;
  }
  const report: Report = {
    machine,
    command: ['keelson bench', ...argv].join(' '),
    members: options.endpoints.length > 0 ? options.endpoints.length : options.members,
    seed: options.settings.seed,
    transport: options.settings.transport,
    samples,
    lines: judge(samples),
  };
  for (const table of tables(report)) io.out(`\n${table.title}\n\n${markdownTable(table)}`);
  if (options.report !== undefined) {
    writeReport(report, options.report);
    io.err(`report: ${options.report}/index.html\n`);
  }
  return 0;
}
