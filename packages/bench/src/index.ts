export { runBench, type BenchIo } from './bench.ts';
