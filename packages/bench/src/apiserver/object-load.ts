/**
 * Calls about objects: create, get, update and short lists of ConfigMaps or pods, closed or open loop, and the same bytes
 * against the echo. A create never meets a name twice, an update says which version it changes, and an answer that is no
 * object of the kind ends the run.
 */
import type { Call } from '../load.ts';
import { measureCalls, type Measured } from '../measured.ts';
import type { Settings } from '../options.ts';
import type { Progress } from '../progress.ts';
import type { Subject } from '../servers.ts';
import type { ApiClient } from './api-client.ts';
import { STAMP_MARK, stampOf, type ObjectMaker } from './objects.ts';

/** Objects that gets and updates are spread over; each client has its own among them. */
export const PRESENT = 1_000;

export interface ObjectLoad {
  readonly subject: Subject;
  readonly client: ApiClient;
  readonly settings: Settings;
  readonly maker: ObjectMaker;
  readonly namespace: string;
  readonly progress: Progress;
}

/** @param prefix of names that nobody used before */
export async function measureCreate(load: ObjectLoad, prefix: string): Promise<Measured> {
  const { client, maker, namespace } = load;
  const collection = maker.collection(namespace);
  const call: Call = async (index, sequence) => {
    const body = maker.body(namespace, `${prefix}-${sequence}`, stampOf(sequence));
    await client.call(index, { method: 'POST', path: collection, body });
  };
  return withShares(await measureCalls(load.subject, load.settings, call, load.progress));
}

/** Of the CPU of a write: what is the API server's, which is the first process, and what its store's. */
function withShares(measured: Measured): Measured {
  const { completed, servers, extra } = measured;
  if (completed === 0 || servers.length < 2) return measured;
  const [apiCpuUs, storeCpuUs] = servers.map(({ cpuSeconds }) => (cpuSeconds * 1e6) / completed);
  return { ...measured, extra: { ...extra, apiCpuUs, storeCpuUs } };
}

/** @param count objects named `present-N`, made if they are not there */
export async function makePresent(load: Omit<ObjectLoad, 'settings'>, count = PRESENT): Promise<void> {
  const { client, maker, namespace } = load;
  const path = maker.collection(namespace);
  let next = 0;
  const workers = Array.from({ length: Math.min(50, count) }, async (_, worker) => {
    for (let at = next++; at < count; at = next++) {
      const body = maker.body(namespace, presentName(at), stampOf(at));
      const { status, body: said } = await client.ask(worker, { method: 'POST', path, body });
      if (status !== 201 && status !== 409) throw new Error(`POST ${path}: ${said.toString('utf8')}`);
    }
  });
  await Promise.all(workers);
}

export function presentName(at: number): string {
  return `present-${at}`;
}

/** @param headers such as another form of answers */
export function measureGet(
  load: ObjectLoad,
  headers: Readonly<Record<string, string>> = {},
): Promise<Measured> {
  const { client, maker, namespace } = load;
  const collection = maker.collection(namespace);
  const call: Call = async (index, sequence) => {
    // 389 is prime to the count: names in no order that a cache could like.
    const name = presentName((sequence * 389) % PRESENT);
    const { body } = await client.call(index, { method: 'GET', path: `${collection}/${name}`, headers });
    if (!body.includes(name)) throw new Error(`GET ${name} answered another object`);
  };
  return measureCalls(load.subject, load.settings, call, load.progress);
}

/**
 * Objects as the server has them, to be sent back with another stamp: of a pod it filled in what may not change, so that
 * what was sent at first would be refused. Without a version: whoever writes last wins.
 */
export class Edited {
  private readonly texts: ReadonlyMap<string, Buffer>;

  private constructor(texts: ReadonlyMap<string, Buffer>) {
    this.texts = texts;
  }

  static async read(load: Omit<ObjectLoad, 'settings'>, names: readonly string[]): Promise<Edited> {
    const { client, maker, namespace } = load;
    const collection = maker.collection(namespace);
    const texts = new Map<string, Buffer>();
    await Promise.all(
      names.map(async (name, index) => {
        const { body } = await client.call(index, { method: 'GET', path: `${collection}/${name}` });
        const text = body.toString('utf8').replace(/"resourceVersion":"\d+",?/, '');
        texts.set(name, Buffer.from(text));
      }),
    );
    return new Edited(texts);
  }

  /** A copy with that stamp. */
  body(name: string, stamp: string): Buffer {
    const text = this.texts.get(name);
    if (text === undefined) throw new Error(`${name} was not read`);
    const body = Buffer.from(text);
    body.write(stamp, body.indexOf(STAMP_MARK) + STAMP_MARK.length, 'latin1');
    return body;
  }
}

/** Each client changes objects of its own, so that nobody meets another's change. */
export async function measureUpdate(load: ObjectLoad): Promise<Measured> {
  const { client, maker, namespace, settings } = load;
  const collection = maker.collection(namespace);
  const names = Array.from({ length: Math.min(settings.clients, PRESENT) }, (_, at) => presentName(at));
  const edited = await Edited.read(load, names);
  const call: Call = async (index, sequence) => {
    const name = presentName(index % PRESENT);
    const body = edited.body(name, stampOf(sequence));
    await client.call(index, { method: 'PUT', path: `${collection}/${name}`, body });
  };
  const plan = { ...settings, clients: Math.min(settings.clients, PRESENT) };
  return withShares(await measureCalls(load.subject, plan, call, load.progress));
}

/** Lists of a namespace from the cache. @param objects it holds */
export function measureShortList(load: ObjectLoad, objects: number): Promise<Measured> {
  const { client, maker, namespace } = load;
  const path = `${maker.collection(namespace)}?resourceVersion=0`;
  const last = presentName(objects - 1);
  const call: Call = async (index) => {
    const { body } = await client.call(index, { method: 'GET', path });
    if (!body.includes(last)) throw new Error('a list answered without all of its objects');
  };
  return measureCalls(load.subject, load.settings, call, load.progress);
}

/** The same bytes to the echo, which gives them back. */
export function measureEcho(load: ObjectLoad, method: 'POST' | 'GET', kept: Buffer): Promise<Measured> {
  const { client, maker, namespace } = load;
  const path = maker.collection(namespace);
  const call: Call = async (index, sequence) => {
    const body = method === 'GET' ? undefined : maker.body(namespace, `echo-${sequence}`, stampOf(sequence));
    const answer = await client.call(index, { method, path, ...(body !== undefined && { body }) });
    const wanted = body ?? kept;
    if (answer.body.length !== wanted.length) throw new Error('the echo answered something else');
  };
  return measureCalls(load.subject, load.settings, call, load.progress);
}
