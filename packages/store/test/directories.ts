/**
 * Directory backends for tests on a disk in memory: what is in a directory lives as long as the directory
 * does, so a home over them can be crashed at any operation. Batches are durable at once, as LevelDB's
 * synced ones are.
 */
import type { Disk } from '@keelson/base';
import type { Backend } from '../src/backend/backend.ts';
import { DirectoryHome } from '../src/backend/home.ts';
import { MemoryBackend } from '../src/backend/memory-backend.ts';

export class BackendDirectories {
  private readonly contents = new Map<string, MemoryBackend>();

  /** A home over `disk`, one life of it. */
  home(disk: Disk, parent: string): DirectoryHome {
    return new DirectoryHome(disk, parent, (path) => this.open(disk, path));
  }

  private async open(disk: Disk, path: string): Promise<Backend> {
    if (!(await disk.exists(path))) {
      await disk.makeDirectory(path);
      this.contents.set(path, new MemoryBackend());
    }
    const backend = this.contents.get(path)!;
    backend.reopen();
    return backend;
  }
}
