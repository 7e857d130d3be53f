export { run, usage } from './cli.ts';
export { processIo, type Io, type Input, type StopSignal } from './io.ts';
