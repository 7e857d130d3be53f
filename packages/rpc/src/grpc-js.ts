/**
 * The library @grpc/grpc-js, loaded when the first channel or server over it is made: it is a third of the modules on
 * the way to a start (45 ms), and who speaks by our own HTTP/2, or inside the process, never needs it.
 */
import { createRequire } from 'node:module';

type Library = typeof import('@grpc/grpc-js');

const load = createRequire(import.meta.url);

/** Loaded once: require remembers. */
export function grpcJs(): Library {
  // oxlint-disable-next-line typescript/no-unsafe-return -- require knows no types
  return load('@grpc/grpc-js');
}
