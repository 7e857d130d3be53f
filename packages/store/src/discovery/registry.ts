/**
 * --discovery-token: the founders of a cluster find each other in another etcd. Under /_etcd/registry/TOKEN lie the
 * number of members, which an operator has put there, and a key for each member that has come, whose value is its
 * part of --initial-cluster. Who came first counts; who comes after enough have come is turned away. The protocol is
 * etcd's (v3discovery), so founders of both kinds meet in one registry.
 *
 * It waits for the others by asking again, where etcd watches: so a registry that fails meanwhile costs a question.
 */
import { hexId, toError, type Clock, type Logger } from '@keelson/base';
import { FatalError } from '../errors.ts';

export interface RegistryPair {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
}

/** The other etcd; registry-client.ts in production. Rejects when it does not answer, in its own time. */
export interface Registry {
  /** Pairs under a prefix. */
  list(prefix: string): Promise<readonly RegistryPair[]>;
  put(key: string, value: string): Promise<void>;
}

export interface Founder {
  readonly token: string;
  readonly memberId: bigint;
  /** "name=url,name=url" of this member. */
  readonly registration: string;
}

const REGISTRY = '/_etcd/registry';
/** Between two looks at who has come. */
const LOOK_MS = 500;
/** Between two attempts at a registry that does not answer: doubled to the second. */
const RETRY_MS = 250;
const RETRY_MS_MAX = 8_000;

/**
 * Registers this member, and waits until as many have come as the cluster is to have.
 * @returns the text --initial-cluster would have
 * @throws FatalError when the cluster is full, or its size is not there
 */
export async function joinByRegistry(
  founder: Founder,
  registry: Registry,
  clock: Clock,
  logger: Logger,
): Promise<string> {
  const root = `${REGISTRY}/${founder.token}`;
  const self = `${root}/members/${hexId(founder.memberId)}`;
  const asked = <T>(question: () => Promise<T>): Promise<T> => insist(question, clock, logger);

  const size = sizeOf(await asked(() => registry.list(`${root}/_config/size`)), `${root}/_config/size`);
  const members = async (): Promise<readonly RegistryPair[]> =>
    [...(await asked(() => registry.list(`${root}/members/`)))].sort(
      (a, b) => a.createRevision - b.createRevision,
    );
  refuseWhenFull(await members(), self, size);
  await asked(() => registry.put(self, founder.registration));
  let told = -1;
  for (;;) {
    const come = await members();
    // Others may have come between the look and the entry.
    refuseWhenFull(come, self, size);
    if (come.length >= size) return clusterOf(come.slice(0, size));
    if (come.length !== told) {
      told = come.length;
      logger.info('waiting for peers from discovery service', {
        'already-registered-peers': come.map(({ key }) => key),
        'expected-size': size,
      });
    }
    await delay(clock, LOOK_MS);
  }
}

function sizeOf(pairs: readonly RegistryPair[], key: string): number {
  const found = pairs.find((pair) => pair.key === key);
  if (found === undefined) throw new FatalError('discovery: size key not found');
  if (!/^[1-9]\d*$/.test(found.value.trim())) throw new FatalError('discovery: size key is bad');
  return Number(found.value);
}

function refuseWhenFull(come: readonly RegistryPair[], self: string, size: number): void {
  const place = come.findIndex(({ key }) => key === self);
  if ((place < 0 ? come.length : place) >= size) throw new FatalError('discovery: cluster is full');
}

function clusterOf(members: readonly RegistryPair[]): string {
  const pairs = members.flatMap(({ value }) => value.trim().split(','));
  if (pairs.some((pair) => !/^[^=]*=[^=]+$/.test(pair))) throw new FatalError('discovery: invalid peer URL');
  return pairs.join(',');
}

async function insist<T>(question: () => Promise<T>, clock: Clock, logger: Logger): Promise<T> {
  for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)) {
    try {
      return await question();
    } catch (error) {
      if (error instanceof FatalError) throw error;
      logger.warn('discovery service does not answer; retrying', {
        error: toError(error).message,
        'retry-ms': pauseMs,
      });
    }
    await delay(clock, pauseMs);
  }
}

function delay(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.setTimer(ms, resolve));
}
