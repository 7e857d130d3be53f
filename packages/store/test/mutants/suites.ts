/**
 * How each catcher is started on a copy of the store, and how its output is read. It decides nothing about mutants; what
 * counts as found is what an assertion, a law or a judge has said.
 */
import { spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import path from 'node:path';
import type { FailedTest } from '../../../raft/test/mutants/reporter.ts';
import { isAssertion } from '../../../raft/test/mutants/verdict.ts';
import type { ImageLine } from './images.ts';
import type { Catcher } from './mutant.ts';
import type { SeedLine } from './seeds.ts';
import type { Workspace } from './workspace.ts';

/** What a catcher says against the store. */
export interface Finding {
  readonly how: 'assertion' | 'crash';
  /** The law, the judge's words or the test, in one line. */
  readonly text: string;
  /** Of the simulation. */
  readonly seed?: number;
}

/**
 * 'killed': by an assertion. 'crashed': it failed, but no assertion of ours said so, which does not count; no more does
 * 'timeout'. 'survived' is of the budget, too, for what never ends by itself.
 */
export interface Outcome {
  readonly catcher: Catcher;
  readonly verdict: 'killed' | 'survived' | 'crashed' | 'timeout';
  readonly finding: Finding | undefined;
  readonly seconds: number;
}

/** Enough that a budget ends before they do. */
const SEEDS = 1_000_000;
const HERE = 'packages/store/test/mutants';

interface Program {
  readonly args: readonly string[];
  /** Findings in the output so far, oldest first. */
  readonly read: (output: string) => readonly Finding[];
  /** Runs until it is stopped: no end within the budget is a clean end. */
  readonly endless: boolean;
}

/** The repository's own configuration in the copy; seeded bugs are not tested themselves. */
async function jestConfig(root: string): Promise<object> {
  const own = (await import(path.join(root, 'jest.config.js'))) as { readonly default: JestConfig };
  const { testSequencer: _sequencer, ...base } = own.default;
  return {
    ...base,
    rootDir: root,
    maxWorkers: 1,
    testPathIgnorePatterns: [...base.testPathIgnorePatterns, '/test/mutants/(mutants|sample)'],
    cacheDirectory: path.join(root, 'cache'),
    reporters: [path.join(root, 'packages/raft/test/mutants/reporter.ts')],
  };
}

interface JestConfig {
  readonly testSequencer: string;
  readonly testPathIgnorePatterns: readonly string[];
}

async function programOf(
  { root }: Workspace,
  catcher: Catcher,
  firstSeed: number,
  seeds: number,
): Promise<Program> {
  if (catcher === 'sim') {
    const args = [path.join(root, HERE, 'seeds.ts'), String(firstSeed), String(seeds)];
    return { args, read: readSeeds, endless: seeds === SEEDS };
  }
  if (catcher === 'images')
    return { args: [path.join(root, HERE, 'images.ts')], read: readImages, endless: false };
  return {
    args: [
      '--experimental-vm-modules',
      '--no-warnings',
      path.join(root, 'node_modules/jest/bin/jest.js'),
      '--config',
      JSON.stringify(await jestConfig(root)),
      '--runInBand',
      '--forceExit',
      `/${catcher}`,
    ],
    read: readTests,
    endless: false,
  };
}

/** Runs one catcher on the copy as it stands, until it has found something, it ends, or `seconds` have passed. */
export function runCatcher(workspace: Workspace, catcher: Catcher, seconds: number): Promise<Outcome> {
  return run(workspace, catcher, seconds, 1, SEEDS);
}

/** From one seed of the simulation on. */
export function runSeeds(
  workspace: Workspace,
  first: number,
  seconds: number,
  count: number = SEEDS,
): Promise<Outcome> {
  return run(workspace, 'sim', seconds, first, count);
}

async function run(
  workspace: Workspace,
  catcher: Catcher,
  seconds: number,
  firstSeed: number,
  seeds: number,
): Promise<Outcome> {
  const program = await programOf(workspace, catcher, firstSeed, seeds);
  // A run that jest itself has started: what it tells its own workers is not for these.
  const { JEST_WORKER_ID: _worker, NODE_ENV: _env, NODE_OPTIONS: _options, ...env } = process.env;
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, program.args, {
      cwd: workspace.root,
      env: { ...env, FORCE_COLOR: '0', NODE_NO_WARNINGS: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (child.pid !== undefined) setPriority(child.pid, 5);
    // A runner that is interrupted leaves nothing running behind.
    const stop = (): void => void child.kill('SIGKILL');
    process.once('exit', stop);
    let output = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, seconds * 1000);
    const take = (chunk: string): void => {
      output += chunk;
      if (program.read(output).some(({ how }) => how === 'assertion')) child.kill('SIGKILL');
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      process.off('exit', stop);
      const found = program.read(output);
      const assertion = found.find(({ how }) => how === 'assertion');
      const crash = found[0] ?? (code === 0 || late ? undefined : lastWords(output));
      let verdict: Outcome['verdict'] = 'survived';
      if (assertion !== undefined) verdict = 'killed';
      else if (crash !== undefined) verdict = 'crashed';
      else if (late && !program.endless) verdict = 'timeout';
      const finding = assertion ?? crash;
      resolve({ catcher, verdict, finding, seconds: (performance.now() - begun) / 1000 });
    });
  });
}

/** It failed and no reader knows why. */
function lastWords(output: string): Finding {
  const lines = output.trim().split('\n');
  return {
    how: 'crash',
    text: lines.findLast((line) => /Error|rror:/.test(line)) ?? lines.at(-1) ?? 'no output',
  };
}

function linesOf(output: string): string[] {
  return output
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'));
}

/** What JavaScript itself says when code makes no sense: no checker has said it. */
const NONSENSE =
  /TypeError|ERR_[A-Z]|ReferenceError|SyntaxError|Cannot read propert|is not a function|is not defined|is not iterable|is out of range\. It must/;

/** What a start may refuse with; it should have been caught and told in one line. */
const OWN_ERROR = /^(?:Bbolt|Wal|BackendOpen|Fatal|Checkpoint)Error$/;

/** A law is named at the start; a failed assertion of the store's own is one, too. */
function readSeeds(output: string): Finding[] {
  const found: Finding[] = [];
  for (const line of linesOf(output)) {
    const { seed, law, message = '' } = JSON.parse(line) as SeedLine;
    if (law === undefined) continue;
    const said = /^(?:[A-Z]+\d+|AssertionError|trace|verdict): /.test(message) && !NONSENSE.test(message);
    found.push({ how: said ? 'assertion' : 'crash', text: message.replaceAll('\n', ' '), seed });
  }
  return found;
}

function readImages(output: string): Finding[] {
  const found: Finding[] = [];
  for (const line of linesOf(output)) {
    const { name, failure } = JSON.parse(line) as ImageLine;
    if (failure === undefined) continue;
    const [first = ''] = failure.split('\n');
    // What a start throws stands there with its stack: to the campaign that is a failure, too, if it is an error of ours.
    const thrown = / kept: (\w+): /.exec(first)?.[1];
    const said = failure.includes('\n    at ')
      ? isAssertion(failure) || (thrown !== undefined && OWN_ERROR.test(thrown))
      : !NONSENSE.test(failure);
    found.push({ how: said ? 'assertion' : 'crash', text: `${name}: ${first}` });
  }
  return found;
}

/** The reporter's lines. */
function readTests(output: string): Finding[] {
  const found: Finding[] = [];
  for (const line of linesOf(output)) {
    if (!line.startsWith('{"how":')) continue;
    const { how, text } = JSON.parse(line) as FailedTest;
    found.push({ how, text });
  }
  return found;
}
