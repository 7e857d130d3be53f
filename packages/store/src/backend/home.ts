/**
 * Where a member's backend lives, and how a whole new one takes its place: filled aside, then swapped in.
 * At every moment a crash leaves either the old content or the new one, never a mix (N1).
 */
import type { Disk } from '@keelson/base';
import type { Backend } from './backend.ts';

export interface BackendHome {
  /** Opens what is there, or an empty backend. First it finishes or undoes a swap that a crash cut short. */
  open(): Promise<Backend>;
  /** An empty backend beside the current one; anything an earlier attempt left there is gone. */
  openIncoming(): Promise<Backend>;
  /** Closes both, puts the incoming one in the place of the current and opens it. */
  swap(current: Backend, incoming: Backend): Promise<Backend>;
}

/** Opens the backend in a directory, making it when absent; backend/level-backend.ts in production. */
export type OpenBackend = (directory: string) => Promise<Backend>;

/**
 * Three directories: `db.level` is current, `db.level.incoming` is being filled, `db.level.old` is what a
 * swap has put aside. A swap renames current to old, then incoming to current; so without a current one
 * the incoming one is complete, since nothing else ever takes the current one away.
 */
export class DirectoryHome implements BackendHome {
  private readonly disk: Disk;
  private readonly parent: string;
  private readonly current: string;
  private readonly incoming: string;
  private readonly old: string;
  private readonly openBackend: OpenBackend;

  /** @param parent the member's snap directory, which must exist */
  constructor(disk: Disk, parent: string, openBackend: OpenBackend) {
    this.disk = disk;
    this.parent = parent;
    this.current = `${parent}/db.level`;
    this.incoming = `${parent}/db.level.incoming`;
    this.old = `${parent}/db.level.old`;
    this.openBackend = openBackend;
  }

  async open(): Promise<Backend> {
    if (!(await this.disk.exists(this.current)) && (await this.disk.exists(this.old))) {
      await this.disk.rename(this.incoming, this.current);
      await this.disk.syncDirectory(this.parent);
    }
    // The lock comes with opening: only its holder may clean up.
    const backend = await this.openBackend(this.current);
    await this.disk.removeAll(this.old);
    await this.disk.removeAll(this.incoming);
    return backend;
  }

  async openIncoming(): Promise<Backend> {
    await this.disk.removeAll(this.incoming);
    return this.openBackend(this.incoming);
  }

  async swap(current: Backend, incoming: Backend): Promise<Backend> {
    await incoming.close();
    await current.close();
    await this.disk.removeAll(this.old);
    await this.disk.rename(this.current, this.old);
    await this.disk.rename(this.incoming, this.current);
    await this.disk.syncDirectory(this.parent);
    const backend = await this.openBackend(this.current);
    await this.disk.removeAll(this.old);
    return backend;
  }
}

/** For members that keep everything in memory: the new backend is simply the next one. */
export class MemoryHome implements BackendHome {
  private readonly make: () => Backend;
  private kept: Backend | undefined;

  /** @param make an empty backend */
  constructor(make: () => Backend) {
    this.make = make;
  }

  open(): Promise<Backend> {
    this.kept ??= this.make();
    return Promise.resolve(this.kept);
  }

  openIncoming(): Promise<Backend> {
    return Promise.resolve(this.make());
  }

  async swap(current: Backend, incoming: Backend): Promise<Backend> {
    await current.close();
    this.kept = incoming;
    return incoming;
  }
}
