/**
 * Where a member's backend lives, and how a whole new one takes its place: filled aside, then adopted. At
 * every moment a crash leaves either the old content or the new one, never a mix (N1), and the old one can
 * be read until the new one serves.
 */
import { assert, type Disk } from '@keelson/base';
import { FatalError } from '../errors.ts';
import type { Backend } from './backend.ts';
import { MemoryBackend } from './memory-backend.ts';

export interface BackendHome {
  /** Opens what is there, or an empty backend; what a crash left beside it is removed. */
  open(): Promise<Backend>;
  /** An empty backend beside the current one. */
  openIncoming(): Promise<Backend>;
  /**
   * Makes the names of a backend's files durable. LevelDB syncs what it writes, but not the name of a log that it has
   * just begun: before what is elsewhere is removed, because it is here too.
   */
  syncNames(backend: Backend): Promise<void>;
  /** From now on a start opens `incoming`, durably. The backend before it stays open until discard(). */
  adopt(incoming: Backend): Promise<void>;
  /** Closes a backend that is not the adopted one, and removes what it kept. */
  discard(backend: Backend): Promise<void>;
}

/** Opens the backend in a directory, making it when absent; backend/level-backend.ts in production. */
export type OpenBackend = (directory: string) => Promise<Backend>;

const FIRST = 'db.level';
/** Names the directory a start opens; without this file it is the first. */
const POINTER = 'db.level.current';
const DIRECTORY = /^db\.level(\.[0-9]+)?$/;
const POINTER_BYTES_MAX = 64;

/**
 * Directories `db.level`, `db.level.1`, `db.level.2` … of which a small file, replaced atomically, names the
 * current one. Nothing is ever renamed: an open LevelDB must stay where it is.
 */
export class DirectoryHome implements BackendHome {
  private readonly disk: Disk;
  private readonly parent: string;
  private readonly openBackend: OpenBackend;
  private readonly names = new Map<Backend, string>();

  /** @param parent the member's snap directory, which must exist */
  constructor(disk: Disk, parent: string, openBackend: OpenBackend) {
    this.disk = disk;
    this.parent = parent;
    this.openBackend = openBackend;
  }

  async open(): Promise<Backend> {
    for (;;) {
      const name = await this.currentName();
      const backend = await this.openNamed(name);
      // The lock comes with opening. Whoever held it may have adopted another directory just before.
      if ((await this.currentName()) !== name) {
        await this.close(backend);
        continue;
      }
      for (const other of await this.disk.list(this.parent))
        if (other !== name && DIRECTORY.test(other)) await this.disk.removeAll(this.path(other));
      return backend;
    }
  }

  async openIncoming(): Promise<Backend> {
    let newest = 0;
    for (const name of await this.disk.list(this.parent)) {
      const match = DIRECTORY.exec(name);
      if (match !== null) newest = Math.max(newest, Number((match[1] ?? '.0').slice(1)));
    }
    return this.openNamed(`${FIRST}.${newest + 1}`);
  }

  syncNames(backend: Backend): Promise<void> {
    return this.disk.syncDirectory(this.path(this.nameOf(backend)));
  }

  async adopt(incoming: Backend): Promise<void> {
    const name = this.nameOf(incoming);
    await this.syncNames(incoming);
    await this.disk.writeFileAtomic(this.path(POINTER), Buffer.from(`${name}\n`));
  }

  async discard(backend: Backend): Promise<void> {
    const name = this.nameOf(backend);
    assert(name !== (await this.currentName()), 'the current backend is not discarded');
    await this.close(backend);
    await this.disk.removeAll(this.path(name));
  }

  private async openNamed(name: string): Promise<Backend> {
    const backend = await this.openBackend(this.path(name));
    // What is durable inside is of no use when the directory itself is lost with power.
    await this.disk.syncDirectory(this.parent);
    this.names.set(backend, name);
    return backend;
  }

  private async close(backend: Backend): Promise<void> {
    this.names.delete(backend);
    await backend.close();
  }

  private nameOf(backend: Backend): string {
    const name = this.names.get(backend);
    assert(name !== undefined, 'a backend that was opened here');
    return name;
  }

  private async currentName(): Promise<string> {
    const pointer = this.path(POINTER);
    if (!(await this.disk.exists(pointer))) {
      // One with a number is begun beside the first, and takes its place by being named.
      const names = (await this.disk.list(this.parent)).filter((name) => DIRECTORY.test(name));
      if (names.length > 0 && !names.includes(FIRST))
        throw new FatalError(
          `${pointer} is missing, and ${names.join(', ')} cannot be told apart from a remnant`,
        );
      return FIRST;
    }
    const name = (await this.disk.readFile(pointer, POINTER_BYTES_MAX)).toString('latin1').trim();
    if (!DIRECTORY.test(name) || !(await this.disk.exists(this.path(name))))
      throw new FatalError(`${pointer} names ${JSON.stringify(name)}, which is not there`);
    return name;
  }

  private path(name: string): string {
    return `${this.parent}/${name}`;
  }
}

/** For members that keep everything in memory: the adopted backend is simply the next one. */
export class MemoryHome implements BackendHome {
  private readonly make: () => MemoryBackend;
  private kept: MemoryBackend | undefined;

  /** @param make an empty backend */
  constructor(make: () => MemoryBackend) {
    this.make = make;
  }

  /** Also what an earlier member of this home has closed: a restart finds its data again. */
  open(): Promise<Backend> {
    this.kept ??= this.make();
    this.kept.reopen();
    return Promise.resolve(this.kept);
  }

  openIncoming(): Promise<Backend> {
    return Promise.resolve(this.make());
  }

  syncNames(): Promise<void> {
    return Promise.resolve();
  }

  adopt(incoming: Backend): Promise<void> {
    assert(incoming instanceof MemoryBackend, 'a backend that was opened here');
    this.kept = incoming;
    return Promise.resolve();
  }

  async discard(backend: Backend): Promise<void> {
    assert(backend !== this.kept, 'the current backend is not discarded');
    await backend.close();
  }
}
