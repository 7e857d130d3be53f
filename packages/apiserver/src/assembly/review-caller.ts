/**
 * Questions to a server that a kubeconfig names: a review is posted, the answered one comes back. An answer that says
 * "not now" is asked for again, a few times with growing pauses, within the time of the whole question.
 *
 * Modelled on apiserver's util/webhook GenericWebhook with its default retry.
 */

import { pause, type Clock } from '@keelson/base';

import type { Json } from '../api/json.ts';
import { readJson } from '../codec/json-reader.ts';
import { readYaml } from '../codec/yaml.ts';
import { CallError, type HttpsCaller } from '../outbound/https-caller.ts';
import { Kubeconfig, type KubeconfigWorld, type NamedServer } from '../outbound/kubeconfig.ts';
import { postShown } from '../outbound/post-shown.ts';

/** The original's default: five tries, the first pause 500 ms, each half as long again. */
const ATTEMPTS = 5;
const PAUSE_MS = 500;
const PAUSE_GROWTH = 1.5;

export interface ReviewCallerOptions {
  readonly caller: HttpsCaller;
  readonly clock: Clock;
  /** Of one try. */
  readonly timeoutMs: number;
  /** Ends all questions: the server stops. */
  readonly signal: AbortSignal;
}

export type PostJson = (review: object) => Promise<unknown>;

/** @throws Error for a file that is no kubeconfig, or whose server is not reached over TLS */
export function readKubeconfig(path: string, world: KubeconfigWorld): Kubeconfig {
  return new Kubeconfig(readYaml(world.readFile(path)), path, world);
}

/** @throws Error for a server that is not reached over TLS: what is asked would lie open */
export function reviewCaller(server: NamedServer, options: ReviewCallerOptions): PostJson {
  if (!server.url.startsWith('https://')) {
    throw new Error(`${JSON.stringify(server.url)}: a webhook must be reached over https`);
  }
  const { clock, signal } = options;
  return async (review) => {
    const body = Buffer.from(JSON.stringify(review));
    for (let attempt = 1, pauseMs = PAUSE_MS; ; attempt += 1, pauseMs *= PAUSE_GROWTH) {
      try {
        return await ask(server, body, options);
      } catch (error) {
        if (attempt === ATTEMPTS || signal.aborted || !isTransient(error)) throw error;
      }
      await pause(clock, pauseMs, signal);
    }
  };
}

/** An answer with a code that is none. */
class RefusedReview extends Error {
  override readonly name = 'RefusedReview';
  readonly code: number;

  constructor(url: string, code: number) {
    super(`Post ${JSON.stringify(url)}: the server answered ${code}`);
    this.code = code;
  }
}

async function ask(server: NamedServer, body: Buffer, options: ReviewCallerOptions): Promise<Json> {
  const { caller, timeoutMs, signal } = options;
  const { credentials, ...target } = server;
  const { code, body: bytes } = await postShown(caller, target, credentials, body, { timeoutMs, signal });
  if (code < 200 || code > 299) throw new RefusedReview(server.url, code);
  return readJson(bytes.toString('utf8'));
}

function isTransient(error: unknown): boolean {
  if (error instanceof RefusedReview) return error.code === 429 || error.code === 500;
  return error instanceof CallError && error.kind === 'transport' && error.message.endsWith('EOF');
}
