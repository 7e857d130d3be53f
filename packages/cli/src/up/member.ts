/**
 * One process of `keelson up`, a member of the store or the API server: a process of its own with everything given by flags, its output appended to its
 * log. It is in a process group of its own, so that Ctrl-C reaches only `up`, which then stops members in
 * order. It is never started again by itself.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { LogTail, lastWords, type LastWords } from './log-tail.ts';

export interface MemberSpec {
  readonly name: string;
  /** A member of the store, or the API server in front of them. */
  readonly kind: 'store' | 'apiserver';
  /** "http://127.0.0.1:2379". */
  readonly clientUrl: string;
  readonly logFile: string;
  /** Program and arguments. */
  readonly command: readonly string[];
}

export interface MemberExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not even be started. */
  readonly error?: Error;
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'running'; readonly child: ChildProcess; readonly pid: number; readonly tail: LogTail }
  | { readonly kind: 'exited'; readonly exit: MemberExit };

/** The log line of one that serves clients: the same words in every etcd since 3.4, and in every kube-apiserver. */
const READY: Readonly<Record<MemberSpec['kind'], string>> = {
  store: 'ready to serve client requests',
  apiserver: 'Serving securely on',
};

export class Member {
  readonly spec: MemberSpec;
  private state: State = { kind: 'idle' };
  private logOffset = 0;
  private ended: Promise<MemberExit> = Promise.resolve({ code: null, signal: null });
  private sawReady = false;

  constructor(spec: MemberSpec) {
    this.spec = spec;
  }

  get name(): string {
    return this.spec.name;
  }
  /** undefined while it does not run. */
  get pid(): number | undefined {
    return this.state.kind === 'running' ? this.state.pid : undefined;
  }
  get exit(): MemberExit | undefined {
    return this.state.kind === 'exited' ? this.state.exit : undefined;
  }
  /** Settles when the process that runs now is gone. */
  get exited(): Promise<MemberExit> {
    return this.ended;
  }

  /** Starts the process. Failing to start is an exit like any other. */
  start(env: Readonly<Record<string, string | undefined>>): void {
    const [program = '', ...args] = this.spec.command;
    const log = openSync(this.spec.logFile, 'a', 0o600);
    let child: ChildProcess;
    try {
      this.logOffset = fstatSync(log).size;
      child = spawn(program, args, { stdio: ['ignore', log, log], detached: true, env: memberEnv(env) });
    } finally {
      closeSync(log);
    }
    this.sawReady = false;
    const tail = new LogTail(this.spec.logFile, this.logOffset);
    this.state = { kind: 'running', child, pid: child.pid ?? 0, tail };
    this.ended = new Promise((resolve) => {
      const end = (exit: MemberExit): void => {
        this.state = { kind: 'exited', exit };
        resolve(exit);
      };
      child.once('error', (error) => {
        if (child.pid === undefined) end({ code: null, signal: null, error });
      });
      child.once('exit', (code, signal) => end({ code, signal }));
    });
  }

  /** Whether its log says that it serves clients. Reads what is new; ask often. */
  saysReady(): boolean {
    if (this.state.kind === 'running' && !this.sawReady) {
      const said = READY[this.spec.kind];
      this.sawReady = this.state.tail.lines().some((line) => line.includes(said));
    }
    return this.sawReady;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.state.kind === 'running') this.state.child.kill(signal);
  }

  /** What its log says last about this run. */
  lastWords(): LastWords {
    return lastWords(this.spec.logFile, this.logOffset);
  }
}

/** "exited with code 1", "was killed by SIGKILL". */
export function describeExit(exit: MemberExit): string {
  if (exit.error !== undefined) return `could not be started (${exit.error.message})`;
  return exit.signal === null ? `exited with code ${exit.code}` : `exited with signal ${exit.signal}`;
}

/** Without ETCD_*: a variable beside its flag is refused, and members are told everything by flags. */
function memberEnv(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !name.startsWith('ETCD_')) kept[name] = value;
  }
  return kept;
}

/** As one would type it. */
export function shellCommand(command: readonly string[]): string {
  return command
    .map((word) => (/^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`))
    .join(' ');
}
