/** The disk in memory keeps the contract of a real one. */
import { diskContract } from '../../store/test/contract/disk.ts';
import { MemoryDisk } from './memory-disk.ts';

diskContract('in memory, for an embedded member', async () => {
  const disk = new MemoryDisk();
  await disk.makeDirectory('/here');
  return { disk, directory: '/here', dispose: () => Promise.resolve() };
});
