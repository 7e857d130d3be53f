/**
 * What a process did to the files below one directory, read from strace: each call with its effect, in the order in
 * which they ended, in the words of packages/store/test/crash/volume.ts. A call that failed had no effect.
 */
import { Volume, type VolumeOperation } from '../../packages/store/test/crash/volume.ts';

/** Everything that changes files or names, and makes them durable. */
export const TRACED =
  'openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,fdatasync,fsync,rename,renameat,renameat2,ftruncate,unlink,unlinkat,mkdir,mkdirat,rmdir,fallocate,close';

export const STRACE_FLAGS: readonly string[] = [
  '-f',
  '-y',
  '-xx',
  '-ttt',
  '-T',
  '-s',
  '8388608',
  '--seccomp-bpf',
  '-e',
  `trace=${TRACED}`,
  '-e',
  'signal=none',
];

export interface TracedOperation {
  readonly operation: VolumeOperation;
  /** When the call ended, in milliseconds since 1970. */
  readonly endMs: number;
}

interface Call {
  readonly name: string;
  readonly args: string;
  readonly result: string;
  readonly endMs: number;
}

const LINE = /^(\d+) +(\d+\.\d+) (.*)$/s;
const WHOLE = /^(\w+)\((.*)\) += (-?\w+.*?)(?: <(\d+\.\d+)>)?$/s;
const UNFINISHED = /^(.*) <unfinished \.\.\.>$/s;
const RESUMED = /^<\.\.\. \w+ resumed>(.*)$/s;

function* callsIn(text: string): Generator<Call> {
  const begun = new Map<string, { readonly start: number; readonly text: string }>();
  for (const line of text.split('\n')) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, thread, time, said] = match;
    let start = Number(time) * 1000;
    let whole = said;
    const unfinished = UNFINISHED.exec(said);
    if (unfinished !== null) {
      begun.set(thread, { start, text: unfinished[1] });
      continue;
    }
    const resumed = RESUMED.exec(said);
    if (resumed !== null) {
      const first = begun.get(thread);
      begun.delete(thread);
      if (first === undefined) continue;
      ({ start } = first);
      whole = first.text + resumed[1];
    }
    const call = WHOLE.exec(whole);
    if (call !== null)
      yield { name: call[1], args: call[2], result: call[3], endMs: start + Number(call[4] ?? 0) * 1000 };
  }
}

function bytesOf(quoted: string): Buffer {
  const hex = quoted.replaceAll('\\x', '');
  return Buffer.from(hex, 'hex');
}

/** Texts in quotes and paths in brackets are written as hexadecimal bytes (-xx). */
const QUOTED = /"((?:\\x[0-9a-f]{2})*)"/g;
const OPENED = /^(\d+)<([^>]*)>/;

function pathText(escaped: string): string {
  return escaped.includes('\\x') ? bytesOf(escaped).toString() : escaped;
}

function quotedIn(args: string): Buffer[] {
  return [...args.matchAll(QUOTED)].map((match) => bytesOf(match[1]));
}

/** Follows one machine over the lives of several processes. */
export class Trace {
  readonly operations: TracedOperation[] = [];
  readonly volume: Volume;
  private readonly root: string;

  /** @param root what happens outside of it is left out */
  constructor(root: string, volume: Volume) {
    this.root = root;
    this.volume = volume;
  }

  /** Reads what strace wrote about one life. */
  addLife(text: string): void {
    const offsets = new Map<number, number>();
    for (const call of callsIn(text)) if (!call.result.startsWith('-')) this.add(call, offsets);
  }

  private push(operation: VolumeOperation, endMs: number): void {
    this.volume.apply(operation);
    this.operations.push({ operation, endMs });
  }

  private isInside(path: string): boolean {
    return path === this.root || path.startsWith(`${this.root}/`);
  }

  private add({ name, args, result, endMs }: Call, offsets: Map<number, number>): void {
    switch (name) {
      case 'open':
      case 'openat':
      case 'creat':
        this.opened(args, result, endMs, offsets);
        return;
      case 'mkdir':
      case 'mkdirat': {
        const path = quotedIn(args)[0].toString();
        if (this.isInside(path)) this.push({ kind: 'makeDirectory', path }, endMs);
        return;
      }
      case 'rename':
      case 'renameat':
      case 'renameat2': {
        const [from, to] = quotedIn(args).map(String);
        if (this.isInside(from)) this.push({ kind: 'rename', from, to }, endMs);
        return;
      }
      case 'unlink':
      case 'unlinkat':
      case 'rmdir': {
        const path = quotedIn(args)[0].toString();
        if (this.isInside(path)) this.push({ kind: 'remove', path }, endMs);
        return;
      }
      default:
        this.onDescriptor(name, args, result, endMs, offsets);
    }
  }

  private opened(args: string, result: string, endMs: number, offsets: Map<number, number>): void {
    const descriptor = Number(OPENED.exec(result)?.[1] ?? Number.parseInt(result, 10));
    const path = quotedIn(args)[0].toString();
    if (!this.isInside(path) || args.includes('O_DIRECTORY')) return;
    offsets.set(descriptor, 0);
    const file = this.volume.numberAt(path);
    if (file === undefined) {
      if (args.includes('O_CREAT')) this.push({ kind: 'create', path, file: this.volume.newNumber() }, endMs);
    } else if (args.includes('O_TRUNC')) this.push({ kind: 'truncate', file, length: 0 }, endMs);
    if (args.includes('O_APPEND')) throw new Error(`opened for appending: ${path}`);
  }

  private onDescriptor(
    name: string,
    args: string,
    result: string,
    endMs: number,
    offsets: Map<number, number>,
  ): void {
    const match = OPENED.exec(args);
    if (match === null) return;
    const descriptor = Number(match[1]);
    const path = pathText(match[2]);
    if (!this.isInside(path)) return;
    const file = this.volume.numberAt(path);
    const sync = name === 'fsync' || name === 'fdatasync';
    if (file === undefined) {
      // What has no name any more is of no interest; a directory is no file.
      if (sync && !path.endsWith(' (deleted)')) this.push({ kind: 'syncDirectory', path }, endMs);
      return;
    }
    if (sync) this.push({ kind: 'sync', file }, endMs);
    else if (name === 'ftruncate') {
      const length = Number(/, (\d+)$/.exec(args)![1]);
      this.push({ kind: 'truncate', file, length }, endMs);
    } else if (name === 'fallocate') throw new Error(`fallocate of ${path}`);
    else if (name !== 'close') {
      const written = Number.parseInt(result, 10);
      const data = Buffer.concat(quotedIn(args)).subarray(0, written);
      if (data.length < written)
        throw new Error(`${written} bytes were written to ${path}, ${data.length} are traced`);
      let position = offsets.get(descriptor) ?? 0;
      if (name.startsWith('p'))
        position = Number((name === 'pwritev2' ? /, (\d+), \w+$/ : /, (\d+)$/).exec(args)![1]);
      else offsets.set(descriptor, position + written);
      if (written > 0) this.push({ kind: 'write', file, position, data }, endMs);
    }
  }
}
