/**
 * Credentials that a program makes: it is run when there are none, when they have expired, or when the server took them for
 * nobody's; what it prints is an ExecCredential. One run at a time, however many calls wait. Runs nothing itself: who is
 * given does, without a terminal.
 *
 * Modelled on client-go's plugin/pkg/client/auth/exec, texts included.
 */

import { fieldsOf, listOf, textOf } from '../api/fields.ts';
import type { CallCredentials, Shown } from './call-credentials.ts';

/** Runs a program to its end; its standard error is the process's own. */
export interface ProgramRunner {
  /** @param env in addition to the process's own */
  run(command: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<ProgramEnd>;
  /** Wall clock, ms. */
  nowMs(): number;
}

export type ProgramEnd =
  | { readonly kind: 'ended'; readonly code: number; readonly stdout: string }
  /** There is no such program. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly why: string };

type Fields = Readonly<Record<string, unknown>>;

const GROUP = 'client.authentication.k8s.io';
const BETA = `${GROUP}/v1beta1`;
const VERSIONS: readonly string[] = [`${GROUP}/v1`, BETA];
const MODES: readonly string[] = ['Never', 'IfAvailable', 'Always'];

/** What is wrong with a user's `exec`, in clientcmd's words. @param user his name in the file */
export function execProblems(exec: Fields, user: string): string[] {
  const problems: string[] = [];
  const needs = (what: string): void => {
    problems.push(`${what} must be specified for ${user} to use exec authentication plugin`);
  };
  if (textOf(exec['command']) === '') needs('command');
  if (textOf(exec['apiVersion']) === '') needs('apiVersion');
  for (const variable of listOf(exec['env'])) {
    if (textOf(fieldsOf(variable)['name']) === '') needs('env variable name');
  }
  const mode = modeOf(exec);
  if (mode === '') needs('interactiveMode');
  else if (!MODES.includes(mode))
    problems.push(`invalid interactiveMode for ${user}: ${JSON.stringify(mode)}`);
  return problems;
}

function modeOf(exec: Fields): string {
  const mode = textOf(exec['interactiveMode']);
  return mode === '' && exec['apiVersion'] === BETA ? 'IfAvailable' : mode;
}

interface Held extends Shown {
  /** Undefined: they last. */
  readonly expiresMs: number | undefined;
}

export class ExecCredentials implements CallCredentials {
  private readonly exec: Fields;
  private readonly command: string;
  private readonly cluster: Fields;
  private readonly runner: ProgramRunner;
  private held: Held | undefined;
  private running: Promise<Held> | undefined;

  /**
   * @param exec checked by execProblems
   * @param command the program, its path settled
   * @param cluster what the program is told of the server, where it asks for that
   * @throws Error for a version of the exchange that is not known
   */
  constructor(exec: Fields, command: string, cluster: Fields, runner: ProgramRunner) {
    const version = textOf(exec['apiVersion']);
    if (!VERSIONS.includes(version)) {
      throw new Error(`exec plugin: invalid apiVersion ${JSON.stringify(version)}`);
    }
    this.exec = exec;
    this.command = command;
    this.cluster = cluster;
    this.runner = runner;
  }

  /** @throws Error `getting credentials: …` */
  async shown(): Promise<Shown> {
    const { held } = this;
    if (held !== undefined && (held.expiresMs === undefined || this.runner.nowMs() <= held.expiresMs))
      return held;
    this.running ??= this.refresh().finally(() => {
      this.running = undefined;
    });
    return await this.running;
  }

  /** These were not taken: the next call gets others, unless others have come meanwhile. */
  refused(shown: Shown): void {
    if (this.held === shown) this.held = undefined;
  }

  private async refresh(): Promise<Held> {
    try {
      this.held = credentialsOf(await this.ask(), textOf(this.exec['apiVersion']));
      return this.held;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`getting credentials: ${why}`, { cause: error });
    }
  }

  private async ask(): Promise<string> {
    const { exec, command, cluster } = this;
    if (modeOf(exec) === 'Always') {
      throw new Error('exec plugin cannot support interactive mode: standard input is not a terminal');
    }
    const spec = { ...(exec['provideClusterInfo'] === true ? { cluster } : {}), interactive: false };
    const info = { kind: 'ExecCredential', apiVersion: textOf(exec['apiVersion']), spec };
    const own = listOf(exec['env']).map((each) => {
      const { name, value } = fieldsOf(each);
      return [textOf(name), textOf(value)] as const;
    });
    const env = { ...Object.fromEntries(own), KUBERNETES_EXEC_INFO: JSON.stringify(info) };
    const end = await this.runner.run(command, listOf(exec['args']).map(textOf), env);
    switch (end.kind) {
      case 'missing': {
        const hint = textOf(exec['installHint']);
        throw new Error(`exec: executable ${command} not found${hint === '' ? '' : `\n\n${hint}`}`);
      }
      case 'failed':
        throw new Error(`exec: ${end.why}`);
      case 'ended':
        if (end.code === 0) return end.stdout;
        throw new Error(`exec: executable ${command} failed with exit code ${end.code}`);
    }
  }
}

/** @throws Error for what is no ExecCredential of this version */
function credentialsOf(stdout: string, version: string): Held {
  let answer: Fields;
  try {
    answer = fieldsOf(JSON.parse(stdout));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`decoding stdout: ${why}`, { cause: error });
  }
  const given = textOf(answer['apiVersion']);
  if (answer['kind'] !== 'ExecCredential') {
    throw new Error(`decoding stdout: no kind ${JSON.stringify(textOf(answer['kind']))} is registered`);
  }
  if (given !== version) {
    throw new Error(
      `exec plugin is configured to use API version ${version}, plugin returned version ${given}`,
    );
  }
  if (answer['status'] === undefined || answer['status'] === null) {
    throw new Error("exec plugin didn't return a status field");
  }
  const status = fieldsOf(answer['status']);
  const token = textOf(status['token']);
  const cert = textOf(status['clientCertificateData']);
  const key = textOf(status['clientKeyData']);
  if (token === '' && cert === '' && key === '') {
    throw new Error("exec plugin didn't return a token or cert/key pair");
  }
  if ((cert === '') !== (key === '')) {
    throw new Error('exec plugin returned only certificate or key, not both');
  }
  const expires = Date.parse(textOf(status['expirationTimestamp']));
  return {
    ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
    ...(cert === '' ? {} : { pair: { cert, key } }),
    expiresMs: Number.isNaN(expires) ? undefined : expires,
  };
}
