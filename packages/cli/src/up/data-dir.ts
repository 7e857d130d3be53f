/**
 * The data directory of `keelson up`: made by it and marked as such, used by one `up` at a time, and always
 * with the members and ports it was made for (they are in the members' own data). It never touches what it
 * did not make.
 *
 *   keelson.json   what it was made for          up.lock   who uses it      up.json   endpoints, while running
 *   m1/ m2/ …      the members' data             m1.log …  their logs, appended
 *   tls/           certificates, with --tls      restart.m2   asks to start m2 again
 *   apiserver/     its keys and certificates     kubeconfig   the administrator's, for kubectl
 */
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { takeLock } from './lock-file.ts';
import { errorCode, errorMessage, parseObject } from '../plain.ts';
import type { MemberPorts } from './ports.ts';
import { UpError } from './up-error.ts';

/** The API server's name among the processes, and of its folder. */
export const APISERVER = 'apiserver';
/** The administrator's kubeconfig in that folder. */
const ADMIN_FILE = 'admin.conf';
const MARKER = 'keelson.json';
const LOCK = 'up.lock';
const UP_FILE = 'up.json';
const KUBECONFIG = 'kubeconfig';
const FORMAT = 1;
/** Before a member's name: it is to be started again. */
const RESTART = 'restart.';
/** What a run that was killed at its very start can leave in a new directory. */
const FIRST_FILES: ReadonlySet<string> = new Set([LOCK, `${MARKER}.next`]);

/** What a directory was made for. */
interface Marker {
  readonly format: number;
  /** Keeps its cluster id apart from every other's. */
  readonly token: string;
  readonly ports: readonly MemberPorts[];
  /** The members' URLs are https. */
  readonly tls: boolean;
}

export interface UpFile {
  readonly clients: readonly string[];
  readonly apiserver?: string;
  /** Files for who connects, with --tls. */
  readonly tls?: { readonly cacert: string; readonly cert: string; readonly key: string };
  readonly pids: Readonly<Record<string, number>>;
  /** Those of them that were started again and do not serve yet; left out when there are none. */
  readonly starting?: readonly string[];
}

/** How far a process is that was asked for again. */
export interface Restarted {
  /** Whether the run has heard of it. */
  readonly heard: boolean;
  /** undefined while it does not run. */
  readonly pid: number | undefined;
  readonly serves: boolean;
}

export class DataDir {
  readonly path: string;
  readonly token: string;
  private readonly ephemeral: boolean;
  private marked: boolean;

  private constructor(directory: string, token: string | undefined, ephemeral: boolean) {
    this.path = directory;
    this.token = token ?? newToken();
    this.marked = token !== undefined;
    this.ephemeral = ephemeral;
  }

  /**
   * Opens or makes the directory and locks it.
   * @throws UpError when it is not ours, made for other members, in use (also by members whose `up` was killed),
   *   or cannot be written
   */
  static open(directory: string, ports: readonly MemberPorts[], tls: boolean): DataDir {
    const full = path.resolve(directory);
    return withReason(directory, () => {
      mkdirSync(full, { recursive: true, mode: 0o700 });
      if (readMarker(full) === undefined && readdirSync(full).some((name) => !FIRST_FILES.has(name))) {
        throw new UpError(
          `${directory} is not empty and was not made by keelson up: choose another --data-dir`,
        );
      }
      const holder = takeLock(path.join(full, LOCK));
      if (holder !== undefined) {
        throw new UpError(
          `${directory} is in use by keelson up (pid ${holder}): stop it, or use another --data-dir`,
        );
      }
      try {
        const marker = readMarker(full);
        if (marker !== undefined) checkMarker(marker, ports, tls, directory);
        checkLeftovers(full, directory);
        return new DataDir(full, marker?.token, false);
      } catch (error) {
        rmSync(path.join(full, LOCK), { force: true });
        throw error;
      }
    });
  }

  /** A new directory among the temporary ones; `close` removes it. @throws UpError */
  static temporary(): DataDir {
    return withReason(tmpdir(), () => {
      const full = mkdtempSync(path.join(tmpdir(), 'keelson-'));
      return new DataDir(full, undefined, true);
    });
  }

  /** Says what the directory is for, for every later run; before that, `close` leaves no trace of a new one. */
  mark(ports: readonly MemberPorts[], tls: boolean): void {
    // A run that was killed leaves its endpoints behind.
    this.removeUpFile();
    this.takeRestarts();
    if (this.marked) return;
    writeAtomically(path.join(this.path, MARKER), { format: FORMAT, token: this.token, ports, tls });
    this.marked = true;
  }

  memberDir(name: string): string {
    return path.join(this.path, name);
  }
  logFile(name: string): string {
    return path.join(this.path, `${name}.log`);
  }
  /** The API server's keys and certificates; what it keeps else lies in the store. */
  get apiserverDir(): string {
    return path.join(this.path, APISERVER);
  }
  get kubeconfigFile(): string {
    return path.join(this.path, KUBECONFIG);
  }

  /** Puts the administrator's kubeconfig, as the API server made it, where people look. @throws UpError */
  writeKubeconfig(): void {
    withReason(this.path, () => {
      const text = readFileSync(path.join(this.apiserverDir, ADMIN_FILE), 'utf8');
      const next = `${this.kubeconfigFile}.next`;
      writeFileSync(next, text, { mode: 0o600 });
      renameSync(next, this.kubeconfigFile);
    });
  }

  writeUpFile(file: UpFile): void {
    writeAtomically(path.join(this.path, UP_FILE), file);
  }
  removeUpFile(): void {
    rmSync(path.join(this.path, UP_FILE), { force: true });
  }

  /** Names of members that somebody asked to start again since the last call. */
  takeRestarts(): string[] {
    const asked = readdirSync(this.path).filter((name) => name.startsWith(RESTART));
    for (const name of asked) rmSync(path.join(this.path, name), { force: true });
    return asked.map((name) => name.slice(RESTART.length));
  }

  /** Gives the directory back. @param keep leave a temporary one where it is, for its logs */
  close(keep = false): void {
    if (this.ephemeral) {
      if (!keep) rmSync(this.path, { recursive: true, force: true });
      return;
    }
    rmSync(path.join(this.path, LOCK), { force: true });
    if (!this.marked && readdirSync(this.path).length === 0) rmdirSync(this.path);
  }
}

/**
 * Asks the run that uses a directory to start a member again.
 * @returns tells how far it is; @throws UpError when it cannot be asked for
 */
export function requestRestart(directory: string, name: string): () => Restarted {
  const full = path.resolve(directory);
  return withReason(directory, () => {
    const marker = readMarker(full);
    if (marker === undefined) throw new UpError(`${directory} was not made by keelson up`);
    const members = marker.ports.map((_, index) => `m${index + 1}`);
    const run = readUpFile(full);
    // A run that is there says whether it has an API server.
    const names = run === undefined || run.apiserver ? [...members, APISERVER] : members;
    if (!names.includes(name))
      throw new UpError(`no member ${JSON.stringify(name)} in ${directory}: there are ${names.join(', ')}`);
    if (run === undefined)
      throw new UpError(`no keelson up runs on ${directory}: start it without --restart`);
    const { [name]: pid } = run.pids;
    if (typeof pid === 'number') throw new UpError(`${name} runs already (pid ${pid})`);
    const request = path.join(full, RESTART + name);
    writeFileSync(request, '', { mode: 0o600 });
    return () => {
      const said = readUpFile(full);
      const started = said?.pids[name];
      const runs = typeof started === 'number';
      return {
        heard: !existsSync(request),
        pid: runs ? started : undefined,
        serves: runs && said?.starting.includes(name) === false,
      };
    };
  });
}

/** Takes back what nobody heard. */
export function withdrawRestart(directory: string, name: string): void {
  rmSync(path.join(path.resolve(directory), RESTART + name), { force: true });
}

/** What a run says of itself, as far as it can be believed. */
interface RunFile {
  readonly pids: Readonly<Record<string, unknown>>;
  readonly apiserver: boolean;
  readonly starting: readonly unknown[];
}

/** undefined when no run says anything. */
function readUpFile(directory: string): RunFile | undefined {
  try {
    const { pids, apiserver, starting } =
      parseObject(readFileSync(path.join(directory, UP_FILE), 'utf8')) ?? {};
    if (typeof pids !== 'object' || pids === null) return undefined;
    return {
      pids: { ...pids },
      apiserver: apiserver !== undefined,
      starting: Array.isArray(starting) ? starting : [],
    };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const newToken = (): string => `keelson-${randomBytes(4).toString('hex')}`;

function readMarker(directory: string): Marker | undefined {
  const file = path.join(directory, MARKER);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const content = parseObject(text);
  const { format, token, ports, tls } = content ?? {};
  if (typeof format === 'number' && typeof token === 'string' && Array.isArray(ports)) {
    return { format, token, ports: ports.map(portsOf), tls: tls === true };
  }
  throw new UpError(`${file} cannot be read as what keelson up writes there`);
}

/** By which a process of a run is known, before its folder. */
const OWN_FLAGS: readonly string[] = ['--data-dir=', '--cert-dir='];

/** @throws UpError when members of a run that was killed still work on their data */
function checkLeftovers(directory: string, shown: string): void {
  let text: string;
  try {
    text = readFileSync(path.join(directory, UP_FILE), 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  const left = Object.entries(parseObject(text)?.['pids'] ?? {}).filter(
    ([name, pid]) =>
      typeof pid === 'number' &&
      commandLineOf(pid).some((word) => OWN_FLAGS.some((flag) => word === flag + path.join(directory, name))),
  );
  if (left.length === 0) return;
  const names = left.map(([name]) => name).join(', ');
  const pids = left.map(([, pid]) => String(pid)).join(' ');
  throw new UpError(
    `${shown}: ${names} of an earlier run, whose keelson up was killed, still run: kill ${pids}`,
  );
}

/** Words of a process's command line; empty when there is no such process, or no /proc. */
function commandLineOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

function portsOf(value: unknown): MemberPorts {
  const { client, peer } =
    typeof value === 'object' && value !== null ? { client: 0, peer: 0, ...value } : NO_PORTS;
  return typeof client === 'number' && typeof peer === 'number' ? { client, peer } : NO_PORTS;
}

const NO_PORTS: MemberPorts = { client: 0, peer: 0 };

function checkMarker(marker: Marker, ports: readonly MemberPorts[], tls: boolean, shown: string): void {
  if (marker.format !== FORMAT) {
    throw new UpError(`${shown} was made by a newer keelson (format ${marker.format})`);
  }
  const made = describe(marker.ports);
  const asked = describe(ports);
  // Members know each other by their URLs, scheme included.
  if (made === asked && marker.tls !== tls)
    throw new UpError(
      `${shown} was made ${marker.tls ? 'with' : 'without'} --tls: ${marker.tls ? 'give it' : 'leave it out'}, or use another --data-dir`,
    );
  if (made === asked) return;
  throw new UpError(
    `${shown} holds ${made}, not ${asked}: use the same --nodes and --base-port, or another --data-dir`,
  );
}

function describe(ports: readonly MemberPorts[]): string {
  const clients = ports.map((member) => member.client).join(', ');
  return `${ports.length} member${ports.length === 1 ? '' : 's'} on ${clients}`;
}

function writeAtomically(file: string, content: object): void {
  const next = `${file}.next`;
  writeFileSync(next, `${JSON.stringify(content)}\n`, { mode: 0o600 });
  renameSync(next, file);
}

/** What the file system refuses, as one line. */
function withReason<T>(shown: string, task: () => T): T {
  try {
    return task();
  } catch (error) {
    if (error instanceof UpError) throw error;
    throw new UpError(`cannot use data directory ${shown}: ${errorMessage(error)}`);
  }
}
