/**
 * Runs a transcript with one kubectl against one API server: a folder and a namespace of its own, a shell for each
 * command with that kubectl (and helm) first on its path. Tells what was answered otherwise.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { waitUntil } from '../../harness/waiting.ts';
import { expected, holdsFor, matches, named, written } from './transcript.ts';
import type { Answer, Step, Transcript } from './transcript.ts';

export interface RunOptions {
  readonly transcript: Transcript;
  readonly namespace: string;
  /** Is made; what the commands write lies there. */
  readonly folder: string;
  /** Text of a kubeconfig file whose current context is an administrator's. */
  readonly kubeconfig: string;
  /** Programs by the name they are called. */
  readonly programs: Readonly<Record<string, string>>;
  /** Of kubectl. */
  readonly minor: number;
  /** Told before each step. */
  readonly onStep?: (step: Step) => void;
}

export interface StepResult {
  readonly step: Step;
  /** What was answered, as a transcript writes it; undefined: as expected. */
  readonly odd: readonly string[] | undefined;
  readonly wanted: readonly string[];
}

/** A command is killed after this. */
const COMMAND_MS = 120_000;
/** What loops and watches do takes its time on a busy machine. */
const EVENTUALLY_MS = 60_000;

/** Steps for other versions are left out of the results. */
export async function runTranscript(options: RunOptions): Promise<StepResult[]> {
  const { transcript, namespace, folder, minor } = options;
  const work = path.join(folder, 'work');
  const bin = path.join(folder, 'bin');
  for (const each of [work, bin]) mkdirSync(each, { recursive: true });
  for (const [name, file] of Object.entries(options.programs)) symlinkSync(file, path.join(bin, name));
  for (const [name, text] of transcript.files) {
    mkdirSync(path.dirname(path.join(work, name)), { recursive: true });
    writeFileSync(path.join(work, name), named(text, namespace));
  }
  const kubeconfig = path.join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, options.kubeconfig, { mode: 0o600 });
  const shell = new Shell(work, {
    // Not the caller's: npm puts folders there that are not, and a user's plugins of kubectl would be told.
    PATH: `${bin}:/usr/bin:/bin`,
    HOME: folder,
    KUBECONFIG: kubeconfig,
    KUBE_EDITOR: 'false',
    TZ: 'UTC',
    LC_ALL: 'C',
  });
  await shell.run(`kubectl create namespace ${namespace}`);
  await shell.run(`kubectl config set-context --current --namespace=${namespace}`);
  // What loops put into every namespace is there before anything is told of it.
  await waitUntil('the namespace is furnished', { timeoutMs: EVENTUALLY_MS, everyMs: 100 }, async () => {
    const { code } = await shell.run('kubectl get serviceaccount/default configmap/kube-root-ca.crt');
    return code === 0 ? true : undefined;
  }).catch(() => undefined);
  const results: StepResult[] = [];
  try {
    for (const step of transcript.steps) {
      if (!holdsFor(step.versions, minor)) continue;
      options.onStep?.(step);
      const isRight = (answer: Answer): boolean => matches(step, minor, namespace, written(answer));
      const answer = await perform(shell, { ...step, command: named(step.command, namespace) }, isRight);
      if (answer === undefined) continue;
      results.push({
        step,
        odd: isRight(answer) ? undefined : written(answer),
        wanted: expected(step, minor, namespace),
      });
    }
  } finally {
    shell.end();
    await shell.run(`kubectl delete namespace ${namespace} --wait=false --ignore-not-found`);
  }
  return results;
}

/** @returns undefined: nothing to compare yet */
async function perform(
  shell: Shell,
  step: Step,
  isRight: (answer: Answer) => boolean,
): Promise<Answer | undefined> {
  switch (step.kind) {
    case 'run':
      return await shell.run(step.command);
    case 'eventually': {
      let last: Answer = { code: 0, out: '', err: '' };
      await waitUntil(step.command, { timeoutMs: EVENTUALLY_MS, everyMs: 100 }, async () => {
        last = await shell.run(step.command);
        return isRight(last) ? true : undefined;
      }).catch(() => undefined);
      return last;
    }
    case 'begin':
      shell.begin(step.command);
      return undefined;
    case 'said':
      await shell.said(step.command);
      return undefined;
    case 'end':
      return await shell.finish(isRight);
  }
}

/** Runs commands; one of them may go on beside the others. */
class Shell {
  private readonly folder: string;
  private readonly env: Readonly<Record<string, string>>;
  private beside: { readonly child: ChildProcess; out: string; err: string } | undefined = undefined;

  constructor(folder: string, env: Readonly<Record<string, string>>) {
    this.folder = folder;
    this.env = env;
  }

  run(command: string): Promise<Answer> {
    return new Promise((resolve) => {
      const child = this.start(command);
      let out = '';
      let err = '';
      child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
      child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
      const late = setTimeout(() => killGroup(child), COMMAND_MS);
      child.once('close', (code) => {
        clearTimeout(late);
        resolve({ code: code ?? 1, out, err });
      });
    });
  }

  begin(command: string): void {
    this.end();
    const child = this.start(command);
    const beside = { child, out: '', err: '' };
    child.stdout?.on('data', (chunk: Buffer) => (beside.out += chunk.toString('utf8')));
    child.stderr?.on('data', (chunk: Buffer) => (beside.err += chunk.toString('utf8')));
    this.beside = beside;
  }

  /** Waits until the command beside has said the text; gives up silently, what it has said is compared at its end. */
  async said(text: string): Promise<void> {
    await waitUntil('it is said', { timeoutMs: EVENTUALLY_MS, everyMs: 20 }, () =>
      this.beside === undefined || this.beside.out.includes(text) ? true : undefined,
    ).catch(() => undefined);
  }

  /** What the command beside has said, once it is right or has had its time. */
  async finish(isRight: (answer: Answer) => boolean): Promise<Answer> {
    const beside = this.beside;
    if (beside === undefined) return { code: 1, out: '', err: 'nothing goes on beside\n' };
    const said = (): Answer => ({ code: 0, out: beside.out, err: beside.err });
    await waitUntil('it is said', { timeoutMs: EVENTUALLY_MS, everyMs: 20 }, () =>
      isRight(said()) ? true : undefined,
    ).catch(() => undefined);
    const answer = said();
    this.end();
    return answer;
  }

  end(): void {
    if (this.beside !== undefined) killGroup(this.beside.child);
    this.beside = undefined;
  }

  private start(command: string): ChildProcess {
    return spawn('sh', ['-c', command], {
      cwd: this.folder,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
  }
}

/** The shell and what it has started; all may be gone already. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
