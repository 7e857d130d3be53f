/** An API server in memory with control loops on it, for tests that look at what becomes of objects. */

import { Prng, silentLogger, systemClock, type Clock } from '@keelson/base';
import {
  isKubeObject,
  isRecord,
  type CallAnswer,
  type CallOptions,
  type KubeObject,
} from '@keelson/kube-client';

import { smallServer, type Answer, type SmallServer } from '../../apiserver/test/small-server.ts';
import { until } from '../../base/test/until.ts';
import {
  startControllers,
  type ControllersOptions,
  type RunningControllers,
} from '../src/start-controllers.ts';

export interface Cluster {
  readonly small: SmallServer;
  readonly controllers: RunningControllers;
  /** @returns the object made. @throws Error when it is refused */
  readonly create: (path: string, object: unknown) => Promise<KubeObject>;
  readonly get: (path: string) => Promise<KubeObject | undefined>;
  /** Names of what a list has, sorted. */
  readonly names: (path: string) => Promise<string[]>;
  readonly delete: (path: string, query?: string) => Promise<Answer>;
  /** Further loops on the same server, begun now and stopped by whoever asked. */
  readonly more: (options: Partial<ControllersOptions>) => Promise<RunningControllers>;
  /** Resolves when the loops have caught up and have nothing to do. */
  readonly calm: () => Promise<void>;
  stop(): Promise<void>;
}

type Options = Partial<ControllersOptions> & {
  readonly server?: Parameters<typeof smallServer>[0];
  /** What the loops' requests meet instead of the server; undefined: the server itself. */
  readonly instead?: (target: string, options: CallOptions) => Promise<CallAnswer> | undefined;
};

export async function cluster({ server, instead, ...options }: Options = {}): Promise<Cluster> {
  const small = smallServer({ resources: 'built-in', ...server });
  const common = {
    transport: {
      call: (target: string, call: CallOptions = {}) =>
        instead?.(target, call) ?? small.server.call(target, call),
    },
    clock: systemClock,
    prng: new Prng(1),
    logger: silentLogger,
    namespace: { graceMs: 0 },
  };
  const begin = async (own: Partial<ControllersOptions>): Promise<RunningControllers> => {
    const begun = startControllers({
      ...common,
      ...own,
    });
    await until(() => begun.unsynced().length === 0, 'the loops have seen all there is');
    return begun;
  };
  const controllers = await begin(options);
  const names = async (path: string): Promise<string[]> => {
    const { json } = await small.ask('GET', path);
    const items: unknown = json['items'];
    return Array.isArray(items) ? items.map((item: KubeObject) => item.metadata.name ?? '').toSorted() : [];
  };
  return {
    small,
    controllers,
    names,
    more: begin,
    async create(path, object) {
      const { code, json, text } = await small.ask('POST', path, object);
      if (code !== 201 || !isKubeObject(json)) throw new Error(`not created: ${text}`);
      return json;
    },
    async get(path) {
      const { code, json } = await small.ask('GET', path);
      return code === 404 ? undefined : json;
    },
    delete: (path, query = '') => small.ask('DELETE', `${path}${query}`),
    calm: () => until(() => controllers.quiet(), 'the loops have nothing to do'),
    async stop() {
      await controllers.stop();
      await small.stop();
    },
  };
}

/** The machine's clock, with a wall that a test sets. */
export function shiftedClock(): Clock & { shiftMs: number } {
  const clock = {
    shiftMs: 0,
    nowMs: () => systemClock.nowMs() + clock.shiftMs,
    monotonicMs: () => systemClock.monotonicMs(),
    setTimer: (delayMs: number, task: () => void) => systemClock.setTimer(delayMs, task),
  };
  return clock;
}

/** A reference to what was made. */
export function ownedBy(owner: KubeObject, more: object = {}): unknown {
  const { apiVersion, kind, metadata } = owner;
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid, ...more };
}

/** A condition of a status. */
export function conditionOf(object: KubeObject | undefined, type: string): Readonly<Record<string, unknown>> {
  const status = isRecord(object?.['status']) ? object['status'] : {};
  const conditions: unknown = status['conditions'];
  const found: unknown = Array.isArray(conditions)
    ? conditions.find((one: unknown) => isRecord(one) && one['type'] === type)
    : undefined;
  return isRecord(found) ? found : {};
}

export { until };

/** A refusal as the server words them. */
export function refusal(code: number, reason: string): Promise<CallAnswer> {
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: reason,
    reason,
    code,
  };
  return Promise.resolve(answerOf(code, status));
}

/** An answer with JSON. */
export function answerOf(code: number, json: unknown): CallAnswer {
  const bytes = Buffer.from(JSON.stringify(json));
  return {
    code,
    headers: new Map([['content-type', ['application/json']]]),
    chunks: (async function* chunks() {
      yield await Promise.resolve(bytes);
    })(),
    bytes: () => Promise.resolve(bytes),
  };
}
