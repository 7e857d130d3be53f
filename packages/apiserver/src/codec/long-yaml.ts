/**
 * YAML that takes its reader longer than a turn of the event loop may last, of which other requests would have to wait for the end:
 * it is read on a thread beside the loop, which reads the JSON that comes of it in slices. What is JSON already never goes
 * there.
 *
 * The library can be put down nowhere, and takes some 2 ms a kB where maps are in blocks, 11 where a list is in brackets:
 * 3 MB of those take half a minute. A thread costs some 60 ms of another core, so short texts are read where they are.
 */

import { Worker } from 'node:worker_threads';

import type { Json } from '../api/json.ts';
import type { Slices } from '../api/sliced.ts';
import { JsonSyntaxError, readJsonInSlices } from './json-reader.ts';
import type { YamlOutcome } from './yaml-thread.ts';
import { readYaml, YamlError, type YamlReadOptions } from './yaml.ts';

/** Longer texts go to a thread: most manifests are shorter. */
const THREAD_BYTES = 4 * 1024;
/** Texts up to here wait for each other alone, not for those that may take half a minute. */
const SHORT_BYTES = 64 * 1024;
/** The most a thread may hold; 3 MB of brackets take two thirds of it. */
const HEAP_MB_MAX = 1_536;

/** Built as this file is. */
const THREAD = new URL(`./yaml-thread${/\.[^.]+$/.exec(import.meta.url)?.[0] ?? '.js'}`, import.meta.url);

export interface LongYamlOptions extends YamlReadOptions {
  /** Ends the reading where nobody waits for it any more. */
  readonly signal: AbortSignal;
  /** Asked for where the text is not read in one go. */
  readonly slices: () => Slices;
}

/** Two threads at most, one for what is long; whoever comes later waits. */
export class LongYaml {
  private short: Promise<unknown> = Promise.resolve();
  private long: Promise<unknown> = Promise.resolve();

  /** What readYaml() says of the text, without a long turn. @throws YamlError */
  async read(text: string, options: LongYamlOptions): Promise<Json> {
    if (text.length <= THREAD_BYTES) return readYaml(text, options);
    const slices = options.slices();
    const json = await jsonOf(text, slices);
    if (json !== undefined) return json;
    const outcome = await this.inTurn(text, options.signal);
    if (outcome.error !== undefined) throw new YamlError(outcome.error);
    if (outcome.repeated !== '') options.duplicates?.(outcome.repeated);
    return await slices.run(readJsonInSlices(outcome.json, {}, slices));
  }

  private inTurn(text: string, signal: AbortSignal): Promise<YamlOutcome> {
    const lane = text.length <= SHORT_BYTES ? 'short' : 'long';
    const outcome = this[lane].then(() => onThread(text, signal));
    this[lane] = outcome.catch(() => undefined);
    return outcome;
  }
}

/** JSON that repeats no key; undefined for what is to be read as YAML. */
async function jsonOf(text: string, slices: Slices): Promise<Json | undefined> {
  if (!/^\s*\{/.test(text)) return undefined;
  let repeated = false;
  try {
    const value = await slices.run(readJsonInSlices(text, { duplicate: () => (repeated = true) }, slices));
    return repeated ? undefined : value;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined;
    throw error;
  }
}

/** @throws the signal's reason; what went wrong on the thread, if anything did */
async function onThread(text: string, signal: AbortSignal): Promise<YamlOutcome> {
  signal.throwIfAborted();
  const worker = new Worker(THREAD, {
    workerData: text,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
  });
  let stop = (): void => {};
  try {
    return await new Promise<YamlOutcome>((resolve, reject) => {
      stop = () => reject(signal.reason instanceof Error ? signal.reason : new Error('the request ended'));
      signal.addEventListener('abort', stop, { once: true });
      worker.once('message', resolve);
      worker.once('error', (error) => reject(isOutOfMemory(error) ? new YamlError(TOO_LARGE) : error));
      worker.once('exit', () => reject(new Error('the thread that reads YAML ended without an answer')));
    });
  } finally {
    signal.removeEventListener('abort', stop);
    await worker.terminate();
  }
}

/** There is no such bound in the original, whose reader takes a tenth of the memory. */
const TOO_LARGE = 'yaml: document is too large';

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
}
