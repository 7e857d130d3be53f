/**
 * What every robustness script shares: its budget from the command line, progress while it runs, and a plain
 * report at the end that names what it ran with, so that a figure can be judged and repeated.
 */
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { refuse, scriptFlags } from '../../packages/base/test/script.ts';
import { KEELSON_ETCD, REFERENCE_ETCD } from './binaries.ts';

/** One line of progress. */
export type Say = (line: string) => void;

export const sayNothing: Say = () => {};

export interface Arguments {
  /** @throws Error when it was given and is no whole number */
  number(name: string, byDefault: number): number;
  /** As given; may be repeated, one flag each: `--flag=--snapshot-count=100`. */
  readonly flags: string[];
  /** As given. */
  text(name: string): string | undefined;
  has(name: string): boolean;
  /** Whether it was given, with whatever value. */
  given(name: string): boolean;
  readonly binary: string;
  readonly seed: number;
}

/**
 * Runs a script's body when its file is the program, with its arguments; prints the lines it returns, and
 * exits with 1 when it throws.
 *
 * Every script takes --server PATH|reference, --seed N and any number of --flag=--NAME=VALUE for the members.
 * @param options the script's own: names that take a value, names that take none
 */
export async function main(
  name: string,
  options: { readonly values: readonly string[]; readonly switches?: readonly string[] },
  body: (args: Arguments, say: Say) => Promise<string[]>,
): Promise<void> {
  const started = performance.now();
  const say: Say = (line) => {
    process.stdout.write(`${((performance.now() - started) / 1000).toFixed(1).padStart(7)}s  ${line}\n`);
  };
  try {
    const args = parseScriptArguments(process.argv.slice(2), options.values, options.switches ?? []);
    const lines = await body(args, say);
    const head = [
      '',
      `== ${name}: ${new Date().toISOString()}`,
      `server      ${args.binary} (${versionOf(args.binary)})`,
      `command     ${process.argv.slice(2).join(' ')}`,
      `flags       ${args.flags.join(' ') || 'none: defaults'}`,
      `seed        ${args.seed}`,
      `machine     ${cpus().length} CPUs (${cpus()[0]?.model ?? 'unknown'}), Node ${process.versions.node}`,
    ];
    process.stdout.write(`${[...head, ...lines].join('\n')}\n`);
  } catch (error) {
    process.stdout.write(
      `\nFAILED ${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exitCode = 1;
  }
}

function parseScriptArguments(
  argv: string[],
  valueNames: readonly string[],
  switches: readonly string[],
): Arguments {
  const options: Record<string, { type: 'string' | 'boolean'; multiple?: boolean }> = {
    server: { type: 'string' },
    seed: { type: 'string' },
    flag: { type: 'string', multiple: true },
  };
  for (const name of valueNames) options[name] = { type: 'string' };
  for (const name of switches) options[name] = { type: 'boolean' };
  const values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>> = scriptFlags(
    process.argv[1],
    options,
    argv,
  );
  const number = (name: string, byDefault: number): number => {
    const text = values[name];
    if (text === undefined) return byDefault;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 0) refuse(`--${name}: ${String(text)} is no whole number`);
    return value;
  };
  const server = values['server'];
  const flags = values['flag'];
  return {
    number,
    text: (name) => values[name]?.toString(),
    has: (name) => values[name] === true,
    given: (name) => values[name] !== undefined,
    flags: Array.isArray(flags) ? flags.map(String) : [],
    binary: server === undefined ? KEELSON_ETCD : serverNamed(String(server)),
    seed: number('seed', freshSeed()),
  };
}

/** A seed nobody chose; print it, so that it can be given again. */
export function freshSeed(): number {
  return Math.floor(performance.timeOrigin) % 0x7fff_ffff;
}

function serverNamed(server: string): string {
  if (server !== 'reference') return server;
  if (REFERENCE_ETCD === undefined) throw new Error('there is no real etcd on the PATH');
  return REFERENCE_ETCD;
}

/** The first line of --version, which every etcd prints. */
export function versionOf(binary: string): string {
  const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  return (stdout ?? '').split('\n')[0] || 'version unknown';
}
