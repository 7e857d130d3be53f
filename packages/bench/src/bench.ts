/**
 * The command: reads its options, runs the plans, prints tables, writes the report. Returns an exit code and
 * never exits itself; asked to stop, it kills its servers and returns.
 */
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { ApiBench } from './apiserver/api-bench.ts';
import { API_TARGETS } from './apiserver/api-targets.ts';
import { judge, type Sample } from './compare.ts';
import { describeMachine } from './machine.ts';
import { runMicro } from './micro/micro.ts';
import { OptionError, parseOptions, usage, type BenchOptions } from './options.ts';
import { millionPlans, onePlan, suitePlans, transportPlans, type Plan } from './plans.ts';
import { Progress, type Screen } from './progress.ts';
import { outcome, tables, writeReport, type Report } from './report.ts';
import type { SoakResult } from './soak/soak.ts';
import { Suite } from './suite.ts';
import { markdownTable } from './tables.ts';
import { TARGETS } from './targets.ts';

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

function plansOf(options: BenchOptions): Plan[] {
  const { workload } = options;
  switch (workload) {
    case 'suite':
    case 'micro':
      return suitePlans(options);
    case 'million':
      return millionPlans(options);
    case 'transports':
      return transportPlans(options);
    case 'soak':
    case 'apiserver':
      return [];
    default:
      return [onePlan(workload, options)];
  }
}

interface Outcome {
  readonly samples: readonly Sample[];
  readonly soaks: readonly SoakResult[];
}

async function measure(argv: readonly string[], options: BenchOptions, io: BenchIo): Promise<number> {
  const plans = plansOf(options);
  // Before minutes of work, not after them.
  for (const directory of [options.report, options.profile, options.directory]) {
    if (directory !== undefined) mkdirSync(directory, { recursive: true });
  }
  const machine = describeMachine(options.directory ?? tmpdir());
  const startMs = performance.now();
  const progress = new Progress(io);
  const suite = new Suite(options, progress, io.env);
  const api = new ApiBench(options, progress, io.env);
  let unsubscribe = (): void => undefined;
  const interrupted = new Promise<'interrupted'>((resolve) => {
    unsubscribe = io.onStop(() => resolve('interrupted'));
  });
  const run = (async (): Promise<Outcome> => {
    switch (options.workload) {
      case 'soak':
        return { samples: [], soaks: await suite.soak() };
      case 'apiserver':
        return { samples: await api.run(), soaks: [] };
      default:
        return { samples: await suite.run(plans), soaks: [] };
    }
  })();
  let ran: Outcome | 'interrupted';
  try {
    ran = await Promise.race([run, interrupted]);
  } finally {
    unsubscribe();
    await Promise.all([suite.dispose(), api.dispose()]);
  }
  if (ran === 'interrupted') {
    // Its servers are gone, so it fails soon; that is no news any more.
    run.catch(() => undefined);
    io.err('keelson bench: interrupted\n');
    return INTERRUPTED;
  }
  const ofApi = options.workload === 'apiserver';
  const whole =
    options.steps.length === 0 && (ofApi || options.workload === 'suite' || options.workload === 'million');
  const report: Report = {
    machine,
    command: ['keelson bench', ...argv].join(' '),
    members: ofApi ? 1 : options.endpoints.length > 0 ? options.endpoints.length : options.members,
    tls: ofApi || options.tls || options.authority !== undefined,
    seed: options.settings.seed,
    transport: options.settings.transport,
    minutes: (performance.now() - startMs) / 60_000,
    ...ran,
    // A profiler costs one side what the other does not pay.
    lines: options.profile === undefined ? judge(ran.samples, whole, ofApi ? API_TARGETS : TARGETS) : [],
  };
  for (const table of tables(report)) io.out(`\n${table.title}\n\n${markdownTable(table)}`);
  const said = outcome(report);
  if (said !== '') io.out(`\n${said}\n`);
  if (options.report !== undefined) {
    writeReport(report, options.report);
    io.err(`report: ${options.report}/index.html\n`);
  }
  return 0;
}
