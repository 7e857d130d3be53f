/**
 * One YAML text read on a thread of its own (long-yaml.ts starts it): what it says goes back as JSON, which the event loop
 * can read in slices. Ends with its answer.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { writeJson } from './json-writer.ts';
import { readYaml, YamlError } from './yaml.ts';

/** What the thread says of its text. */
export type YamlOutcome =
  | { readonly json: string; readonly repeated: string; readonly error?: undefined }
  | { readonly error: string };

function outcomeOf(text: string): YamlOutcome {
  let repeated = '';
  try {
    const value = readYaml(text, { duplicates: (told) => (repeated = told) });
    return { json: writeJson(value), repeated };
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    return { error: error.message };
  }
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
parentPort?.postMessage(outcomeOf(String(workerData)));
