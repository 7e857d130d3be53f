/**
 * A client's watches: a few streams with a few watches each, of every shape, cancelled and asked for their progress now
 * and then. Every response is written into the history as it came.
 */
import { etcdserverpb, services } from '@keelson/proto';
import { statusName } from '@keelson/rpc';
import { law, LawBroken, type Asker } from '@keelson/sim';
import type { Prng } from '@keelson/base';
import { authorize } from '../../src/auth/authorize.ts';
import type { Connection, SimWatchStream } from './connection.ts';
import type { Requests } from './requests.ts';
import type { Show } from './show.ts';
import { bytes, eventOf } from '../wire/values.ts';

const STREAMS_MAX = 2;
const WATCHES_MAX = 4;
/** Within this time of losing a permission a watch ends. */
const REVOKED_MS = 1000;
const { FilterType } = etcdserverpb;

/** Whose watches they are. */
export interface Watcher {
  readonly cluster: Show;
  readonly prng: Prng;
  readonly connection: Connection | undefined;
  readonly token: string | undefined;
  /** Ms it takes for a message. */
  readonly slowness: number;
  readonly asker: Asker;
  readonly clients: { readonly requests: Requests };
}

interface Shape {
  readonly key: string;
  readonly end?: string;
}

interface OpenStream {
  readonly stream: SimWatchStream;
  readonly number: number;
  /** As whom, and where, it was opened: its token is the stream's for good. */
  readonly asker: Asker;
  /** Asked for and not yet created, in order. */
  readonly asked: { readonly watch: number | undefined; readonly start: number }[];
  /** The same as the member sees it, which is sooner. */
  readonly asking: Shape[];
  readonly shapes: Map<bigint, Shape>;
  /** By the id the member gave. */
  readonly watches: Map<bigint, number>;
  progressAsked: boolean;
}

export class Watching {
  private readonly client: Watcher;
  private readonly streams = new Set<OpenStream>();

  constructor(client: Watcher) {
    this.client = client;
  }

  act(): void {
    const { client } = this;
    const { prng, cluster, connection } = client;
    if (connection?.open !== true) return;
    const streams = [...this.streams];
    const dice = prng.below(20);
    if (streams.length < STREAMS_MAX && (streams.length === 0 || dice === 0)) streams.push(this.open());
    const chosen = prng.pick(streams);
    const size = chosen.watches.size + chosen.asked.length;
    if (dice < 12 && size < WATCHES_MAX) this.create(chosen);
    else if (dice < 16) {
      chosen.progressAsked = true;
      chosen.stream.write(
        new etcdserverpb.WatchRequest({ progressRequest: new etcdserverpb.WatchProgressRequest() }),
      );
    } else if (dice < 19 && chosen.watches.size > 0) {
      const [id, watch] = prng.pick([...chosen.watches]);
      cluster.recorder.watchCancel(watch);
      chosen.stream.write(
        new etcdserverpb.WatchRequest({
          cancelRequest: new etcdserverpb.WatchCancelRequest({ watchId: id }),
        }),
      );
    } else if (prng.chance(1, 4)) chosen.stream.cancel();
  }

  private open(): OpenStream {
    const { client } = this;
    const { cluster, connection } = client;
    if (connection === undefined) throw new Error('a client without a connection watches');
    const number = cluster.recorder.stream();
    const opened: OpenStream = {
      number,
      asker: client.asker,
      asked: [],
      asking: [],
      shapes: new Map(),
      watches: new Map(),
      progressAsked: false,
      stream: connection.stream(services.Watch.methods.watch, client.token, {
        pace: () => client.slowness,
        said: (response, late) => this.said(opened, connection, response, late),
        message: (response) => this.told(opened, response),
        end: (error) => {
          this.streams.delete(opened);
          cluster.recorder.streamEnd(
            number,
            error === undefined ? 'OK' : statusName(error.code),
            error?.message ?? '',
          );
        },
      }),
    };
    this.streams.add(opened);
    return opened;
  }

  private create(opened: OpenStream): void {
    const { client } = this;
    const { prng, cluster } = client;
    const { requests } = client.clients;
    const shape = prng.chance(1, 2) ? { key: requests.key(prng) } : requests.span(prng);
    const some = (): boolean => prng.chance(1, 3);
    const start = some() ? requests.around(prng) : some() ? requests.past(prng) : 0;
    const flags = {
      ...(start > 0 && { start }),
      ...(prng.chance(1, 6) && { noPut: true }),
      ...(prng.chance(1, 6) && { noDelete: true }),
      ...(some() && { prevKv: true }),
      ...(some() && { progressNotify: true }),
      ...(some() && { fragment: true }),
    };
    // A negative start is refused; no law of a history knows of it.
    const negative = start === 0 && prng.chance(1, 12);
    const watch = negative
      ? undefined
      : cluster.recorder.watch(opened.asker, opened.number, { ...shape, ...flags });
    opened.asked.push({ watch, start });
    opened.asking.push(shape);
    if (start > requests.knowledge.revision) cluster.reach('watch begun in the future');
    const filters: number[] = [];
    if ('noPut' in flags) filters.push(FilterType.NOPUT);
    if ('noDelete' in flags) filters.push(FilterType.NODELETE);
    opened.stream.write(
      new etcdserverpb.WatchRequest({
        createRequest: new etcdserverpb.WatchCreateRequest({
          key: bytes(shape.key),
          rangeEnd: bytes('end' in shape ? shape.end : ''),
          startRevision: negative ? -1 - prng.below(1000) : start,
          filters,
          prevKv: 'prevKv' in flags,
          progressNotify: 'progressNotify' in flags,
          fragment: 'fragment' in flags,
          // One's own number, now and then.
          watchId: watch !== undefined && prng.chance(1, 5) ? BigInt(1000 + watch) : 0n,
        }),
      }),
    );
  }

  /** What the member says, when it says it: nothing of what the user lost the permission for a second ago (W14). */
  private said(
    opened: OpenStream,
    { member }: Connection,
    response: etcdserverpb.WatchResponse,
    late: boolean,
  ): void {
    const { watchId, created, canceled, events } = response;
    if (created) {
      const shape = opened.asking.shift();
      if (shape !== undefined && !canceled) opened.shapes.set(watchId, shape);
    }
    const state = member.server?.replica.state;
    const shape = opened.shapes.get(watchId);
    if (late || events.length === 0 || shape === undefined || state?.auth.enabled !== true) return;
    const { cluster } = this.client;
    if (cluster.scheduler.now - cluster.authSince(member) <= REVOKED_MS) return;
    const { user } = opened.asker;
    const identity = user === undefined ? undefined : { username: user, revision: state.auth.revision };
    try {
      authorize(state.auth, state.lessor, identity, [{ kind: 'read', key: shape.key, end: shape.end ?? '' }]);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const what = `${member.name} told user ${user} of ${shape.key} more than ${REVOKED_MS} ms after: ${text}`;
      cluster.broken(new LawBroken('W14', what));
    }
  }

  private told(opened: OpenStream, response: etcdserverpb.WatchResponse): void {
    const { cluster, clients, slowness } = this.client;
    const { created, canceled, watchId, compactRevision, cancelReason, fragment } = response;
    const revision = response.header?.revision ?? 0;
    let watch = opened.watches.get(watchId);
    if (created) {
      const asked = opened.asked.shift();
      watch = asked?.watch;
      if (asked !== undefined && watch === undefined) {
        law('W11', canceled && watchId === -1n, () => 'a watch with a negative start was created');
        cluster.reach('watch with a negative start');
        return;
      }
      if (watch !== undefined && !canceled) opened.watches.set(watchId, watch);
    }
    if (canceled && !created) opened.watches.delete(watchId);
    const events = response.events.map(eventOf);
    cluster.recorder.watchResponse({
      ...(watch !== undefined && { watch }),
      stream: opened.number,
      revision,
      ...(created && { created }),
      ...(canceled && { canceled }),
      ...(compactRevision !== 0 && { compactRevision }),
      ...(cancelReason !== '' && { reason: cancelReason }),
      ...(fragment && { fragment }),
      ...(events.length > 0 && { events }),
    });
    cluster.count('watchEvents', events.length);
    clients.requests.knowledge.revision = Math.max(clients.requests.knowledge.revision, revision);
    const [first] = events;
    if (first !== undefined && revision > first.kv.mod + 1) cluster.reach('watch caught up from the past');
    if (compactRevision !== 0) cluster.reach('watch cancelled by compaction');
    if (cancelReason.includes('permission denied')) cluster.reach('watch ended by a lost permission');
    if (fragment) cluster.reach('watch response in fragments');
    if (slowness > 0 && events.length > 0) cluster.reach('watch behind a slow client');
    if (watchId === -1n && !created && opened.progressAsked) cluster.reach('progress told on request');
  }
}
