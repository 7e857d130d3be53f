/**
 * How each suite of the core is started on a copy of it, and how its output is read. It decides nothing
 * about mutants.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setPriority } from 'node:os';
import path from 'node:path';
import type { SuiteName } from './mutant.ts';
import type { FailedTest } from './reporter.ts';
import { isAssertion } from './verdict.ts';
import type { Workspace } from './workspace.ts';

/** What a suite says against the core. */
export interface Finding {
  readonly how: 'assertion' | 'crash';
  /** The conversation, test or law, in one line. */
  readonly text: string;
  /** How many seeds that took, where it counts. */
  readonly seeds: number | undefined;
}

/**
 * 'killed': by an assertion. 'crashed': it failed, but no assertion of ours said so, which does not count;
 * no more does 'timeout'. 'survived' is of the budget, too, for suites that never end by themselves.
 */
export interface Outcome {
  readonly suite: SuiteName;
  readonly verdict: 'killed' | 'survived' | 'crashed' | 'timeout';
  readonly finding: Finding | undefined;
  readonly seconds: number;
}

interface Suite {
  /** Below packages/raft/test; the suite is absent when this is. */
  readonly program: string;
  readonly args: (workspace: Workspace) => readonly string[];
  /** Findings in the output so far, oldest first. */
  readonly read: (output: string) => readonly Finding[];
  /** Runs until it is stopped: no end within the budget is a clean end. */
  readonly endless: boolean;
}

/** Enough that a budget ends before they do. */
const SEEDS = 1_000_000;

const DEFINITIONS: Readonly<Record<SuiteName, Suite>> = {
  datadriven: {
    program: 'datadriven.ts',
    args: (workspace) => [path.join(workspace.raft, 'test/datadriven.ts'), workspace.conversations],
    read: readConversations,
    endless: false,
  },
  unit: {
    program: 'paper.test.ts',
    args: (workspace) => [
      '--experimental-vm-modules',
      '--no-warnings',
      path.join(workspace.root, 'node_modules/jest/bin/jest.js'),
      '--config',
      JSON.stringify(jestConfig(workspace)),
      '--runInBand',
      workspace.unitTests,
    ],
    read: readUnit,
    endless: false,
  },
  model: {
    program: 'model/main.ts',
    args: (workspace) => [path.join(workspace.raft, 'test/model/main.ts')],
    read: readLaws,
    endless: true,
  },
  sim: {
    program: 'sim/main.ts',
    args: (workspace) => [path.join(workspace.raft, 'test/sim/main.ts'), '--seeds', String(SEEDS)],
    read: readLaws,
    endless: true,
  },
};

/** The unit and paper tests; what has a suite of its own here stays out. */
function jestConfig(workspace: Workspace): object {
  const test = path.join(workspace.raft, 'test');
  return {
    rootDir: workspace.root,
    roots: [path.join(workspace.raft, 'src'), test],
    testMatch: ['**/*.test.ts'],
    testPathIgnorePatterns: ['datadriven.test', '/test/sim/', '/test/model/', '/test/mutants/'],
    extensionsToTreatAsEsm: ['.ts'],
    transform: {
      '^.+\\.ts$': [
        '@swc/jest',
        { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' } },
      ],
    },
    moduleNameMapper: { '^@keelson/([a-z-]+)$': '<rootDir>/packages/$1/src/index.ts' },
    cacheDirectory: path.join(workspace.root, 'cache'),
    reporters: [path.join(test, 'mutants/reporter.ts')],
  };
}

export function isPresent(workspace: Workspace, name: SuiteName): boolean {
  return existsSync(path.join(workspace.raft, 'test', DEFINITIONS[name].program));
}

/** Whether it runs until it is stopped. */
export function isEndless(name: SuiteName): boolean {
  return DEFINITIONS[name].endless;
}

/** Runs one suite on the copy as it stands, until an assertion fails, it ends, or `seconds` have passed. */
export function runSuite(workspace: Workspace, name: SuiteName, seconds: number): Promise<Outcome> {
  const suite = DEFINITIONS[name];
  // A run that jest itself has started: what it tells its own workers is not for these.
  const { JEST_WORKER_ID: _worker, NODE_ENV: _env, NODE_OPTIONS: _options, ...env } = process.env;
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, suite.args(workspace), {
      cwd: workspace.root,
      env: { ...env, FORCE_COLOR: '0' },
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
      if (suite.read(output).some((each) => each.how === 'assertion')) child.kill('SIGKILL');
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      process.off('exit', stop);
      const found = suite.read(output);
      const assertion = found.find((each) => each.how === 'assertion');
      const crash = found[0] ?? (code === 0 || late ? undefined : lastWords(output));
      let verdict: Outcome['verdict'] = 'survived';
      if (assertion !== undefined) verdict = 'killed';
      else if (crash !== undefined) verdict = 'crashed';
      else if (late && !suite.endless) verdict = 'timeout';
      const finding = assertion ?? crash;
      resolve({ suite: name, verdict, finding, seconds: (performance.now() - begun) / 1000 });
    });
  });
}

/** It failed and no reader knows why. */
function lastWords(output: string): Finding {
  const lines = output.trim().split('\n');
  return { how: 'crash', text: lines.at(-1) ?? 'no output', seeds: undefined };
}

/** The runner's files: `name:line: command` before FAIL for a difference, a stack after it for a throw. */
function readConversations(output: string): Finding[] {
  const found: Finding[] = [];
  const lines = output.split('\n');
  let difference = '';
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    if (difference === '' && /^\S+\.txt:\d+: /.test(line)) difference = line;
    const failed = /^FAIL (\S+\.txt)(?:: (.*))?$/.exec(line);
    if (line.startsWith('ok ')) difference = '';
    if (failed === null) continue;
    const [, name, thrown] = failed;
    if (thrown === undefined) {
      found.push({ how: 'assertion', text: difference, seeds: undefined });
    } else {
      const end = lines.findIndex((each, place) => place > at && /^\s+at /.test(each));
      // The stack is still on its way.
      if (end < 0) break;
      const how = isAssertion(lines.slice(at + 1, end + 1).join('\n')) ? 'assertion' : 'crash';
      found.push({ how, text: `${name}: ${thrown.replace(/^Error: /, '')}`, seeds: undefined });
    }
    difference = '';
  }
  return found;
}

/** reporter.ts's lines. */
function readUnit(output: string): Finding[] {
  const found: Finding[] = [];
  for (const line of output.split('\n').slice(0, -1)) {
    if (!line.startsWith('{"how":')) continue;
    const { how, text } = JSON.parse(line) as FailedTest;
    found.push({ how, text, seeds: undefined });
  }
  return found;
}

/** The simulation's `seed N after E events: what`; the model's `LawBroken: what`. A law is named at the start. */
function readLaws(output: string): Finding[] {
  const found: Finding[] = [];
  for (const line of output.split('\n').slice(0, -1)) {
    const failed = /^(?:seed (\d+) after \d+ events: )?((?:[A-Z]\d+|\w*Error|LawBroken): .*)$/.exec(line);
    if (failed === null) continue;
    const [, seed, what = ''] = failed;
    const how = /^(?:[A-Z]\d+|AssertionError|LawBroken): /.test(what) ? 'assertion' : 'crash';
    const text = what.replace(/^(?:AssertionError|LawBroken): /, '');
    found.push({ how, text, seeds: seed === undefined ? undefined : Number(seed) });
  }
  return found;
}
