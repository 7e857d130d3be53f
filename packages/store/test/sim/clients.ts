/**
 * All clients of a cluster, what they know together, and the one that does the upkeep: compacts, defragments, disarms
 * alarms, and, where a seed has users, gives them roles and takes them away again.
 */
import { Prng } from '@keelson/base';
import type { Beginning, Request, Response } from '@keelson/sim';
import { Client } from './client.ts';
import type { Show } from './show.ts';
import type { Life } from './life.ts';
import type { SimMember } from './member.ts';
import { ROOT } from './options.ts';
import { Requests } from './requests.ts';
import type { Names } from '../wire/calls.ts';
import { peerUrl, placeOfUrl } from './wires.ts';

const USERS = ['ann', 'bob', 'cid'] as const;
/** In one seed. */
const SAVES_MAX = 3;
/** Of the keeper's requests so many are for one of them. */
const SAVE_ONE_IN = 30;
const ROLES = ['r0', 'r1', 'r2'] as const;

export class Clients {
  readonly requests: Requests;
  readonly names: Names;
  private readonly cluster: Show;
  private readonly prng: Prng;
  private readonly clients: Client[] = [];
  /** Does the upkeep. */
  private readonly keeper: Client;
  /** Asks what the operator wants. */
  private readonly operator: Client;
  private readonly compactEveryMs: number;
  /** The last snapshot that a client saved. */
  saved: Buffer | undefined = undefined;
  private savesLeft = SAVES_MAX;

  constructor(cluster: Show, seed: number) {
    const { options } = cluster;
    this.cluster = cluster;
    this.prng = new Prng(seed ^ 0xc11e);
    this.requests = new Requests(options, cluster.origin === undefined ? 'v' : 'w');
    this.names = {
      idOf: (name) => cluster.members.findLast((member) => member.name === name)?.memberId ?? 1n,
      peerUrlOf: (name) => peerUrl(Number(name.slice(1))),
      nameOf: (id) => {
        const known = cluster.members.findLast((member) => member.memberId === id);
        if (known !== undefined) return known.name;
        const member = cluster.operator.truth()?.find((each) => each.id === id);
        return member === undefined ? id.toString(16) : `m${placeOfUrl(member.peerUrls)}`;
      },
      passwordOf: (user) => `pw-${user}`,
    };
    const root = options.auth ? ROOT : undefined;
    this.keeper = new Client(this, cluster, 0, seed, root);
    this.operator = new Client(this, cluster, 1, seed, root);
    this.operator.patient = true;
    for (let id = 2; id < options.clients + 2; id++) {
      const user = !options.auth || this.prng.chance(1, 2) ? root : this.prng.pick(USERS);
      const client = new Client(this, cluster, id, seed, user);
      this.clients.push(client);
      client.start(500 + this.prng.below(1500));
    }
    this.compactEveryMs = this.prng.pick([100, 300, 1000, 5000]);
    this.upkeep();
    if (options.auth) this.auth();
  }

  /** What a restored cluster holds is known to who restored it. */
  began({ revision = 1, leases = [] }: Partial<Beginning>): void {
    this.requests.began(revision);
    for (const { id } of leases) this.requests.learnLease(id);
  }

  // ---- told by the cluster ----------------------------------------------------------------------------

  ready(_member: SimMember): void {}

  /** A process ended: its connections break, soon or when its silence is noticed. */
  gone(life: Life): void {
    for (const client of [...this.clients, this.keeper, this.operator]) {
      const { connection } = client;
      if (connection === undefined || connection.life !== life) continue;
      const delay = this.prng.pick([1, 20, 500]);
      this.cluster.scheduler.later(delay, 'connection lost', client.place, () => connection.break());
    }
  }

  reset(prng: Prng): void {
    const client = prng.pick(this.clients);
    if (client.connection === undefined) return;
    this.cluster.happened('clientReset');
    client.connection.break();
  }

  slow(prng: Prng): void {
    this.cluster.happened('slowClient');
    const client = prng.pick(this.clients);
    client.slowness = client.slowness > 0 ? 0 : prng.between(20, 1500);
  }

  cutOff(prng: Prng): void {
    const { cluster } = this;
    const { place, connection } = prng.pick(this.clients);
    if (connection === undefined) return;
    const member = connection.member.place;
    const ways = [`${place}>${member}`, `${member}>${place}`];
    const cut = prng.chance(1, 2) ? ways : [prng.pick(ways)];
    for (const way of cut) cluster.wires.cutOff.add(way);
    cluster.scheduler.later(prng.between(200, 8000), 'client mended', place, () => {
      for (const way of cut) cluster.wires.cutOff.delete(way);
    });
  }

  learn(request: Request, response: Response): void {
    const { knowledge } = this.requests;
    knowledge.revision = Math.max(knowledge.revision, response.revision ?? 0);
    if (response.kind === 'leaseGrant') this.requests.learnLease(response.id);
    else if (response.kind === 'range')
      for (const { key, mod, value } of response.kvs ?? []) knowledge.seen.set(key, { mod, value });
    else if (request.kind === 'put' && response.revision !== undefined)
      knowledge.seen.set(request.key, { mod: response.revision, value: request.value });
  }

  // ---- the end ----------------------------------------------------------------------------------------

  finish(): void {
    for (const client of this.clients) client.finish();
  }

  get finished(): boolean {
    return this.clients.every((client) => client.finished);
  }

  describe(): string {
    return this.clients
      .filter((client) => !client.finished)
      .map((client) => client.describe())
      .join('; ');
  }

  // ---- upkeep -----------------------------------------------------------------------------------------

  /** One request of the operator's; undefined when it failed. */
  asRoot(request: Request, done: (response: Response | undefined) => void): void {
    this.askAs(this.operator, request, done);
  }

  private askAs(client: Client, request: Request, done: (response: Response | undefined) => void): void {
    if (client.connection?.open !== true && !client.connect()) {
      this.cluster.scheduler.later(500, 'no member', client.place, () => done(undefined));
      return;
    }
    client.withToken(() => {
      client.ask(request, (response) => {
        // Somebody else may know better.
        if (response === undefined && this.prng.chance(1, 2)) client.connection?.break();
        done(response);
      });
    });
  }

  private save(done: () => void): void {
    const { keeper } = this;
    if (keeper.connection?.open !== true && !keeper.connect()) {
      this.cluster.scheduler.later(500, 'no member', keeper.place, done);
      return;
    }
    keeper.withToken(() =>
      keeper.save((image) => {
        this.saved = image ?? this.saved;
        done();
      }),
    );
  }

  /** As etcdctl does: what is listed is disarmed, one by one; here one of them. */
  private disarm(done: () => void): void {
    this.askAs(this.keeper, { kind: 'alarm', action: 'get' }, (response) => {
      const names = response?.kind === 'alarm' ? (response.names ?? []) : [];
      const [member, alarm] = names.find((name) => name.endsWith(':NOSPACE'))?.split(':') ?? [];
      if (member === undefined || alarm === undefined) done();
      else this.askAs(this.keeper, { kind: 'alarm', action: 'deactivate', alarm, member }, done);
    });
  }

  private upkeep(): void {
    const { cluster, prng } = this;
    cluster.scheduler.later(1 + prng.below(2 * this.compactEveryMs), 'upkeep', 0, () => {
      if (cluster.healed) return;
      if (this.savesLeft > 0 && prng.chance(1, SAVE_ONE_IN)) {
        this.savesLeft--;
        this.save(() => this.upkeep());
        return;
      }
      const dice = prng.below(40);
      if (dice < 4) {
        this.disarm(() => this.upkeep());
        return;
      }
      const request: Request =
        dice === 4
          ? { kind: 'defragment' }
          : {
              kind: 'compact',
              revision: Math.max(1, this.requests.knowledge.revision - prng.pick([0, 1, 5, 50])),
              ...(prng.chance(1, 4) && { physical: true }),
            };
      this.askAs(this.keeper, request, () => this.upkeep());
    });
  }

  // ---- users ------------------------------------------------------------------------------------------

  private auth(): void {
    const founding: Request[] = [
      { kind: 'userAdd', user: ROOT },
      { kind: 'roleAdd', role: ROOT },
      { kind: 'userGrantRole', user: ROOT, role: ROOT },
      ...USERS.flatMap((user, i): Request[] => [
        { kind: 'userAdd', user },
        { kind: 'roleAdd', role: ROLES[i] },
        { kind: 'userGrantRole', user, role: ROLES[i] },
        { kind: 'roleGrantPermission', role: ROLES[i], permission: 'readwrite', key: 'k', end: 'l' },
      ]),
      { kind: 'authEnable' },
    ];
    let at = 0;
    const next = (): void => {
      this.cluster.scheduler.later(50 + this.prng.below(200), 'auth', 0, () => {
        if (this.cluster.over) return;
        const request = founding[at] ?? this.churn();
        if (this.cluster.healed && at >= founding.length) return;
        this.askAs(this.operator, request, (response) => {
          if (at >= founding.length) {
            this.cluster.scheduler.later(300, 'churn', 0, next);
            return;
          }
          // One that was refused because it is done already is done.
          if (response !== undefined || this.prng.chance(1, 3)) at++;
          next();
        });
      });
    };
    next();
  }

  private churn(): Request {
    const { prng, requests } = this;
    const role = prng.pick(ROLES);
    const user = prng.pick(USERS);
    const [key, end] = prng.chance(1, 2) ? ['k', 'l'] : [requests.key(prng), undefined];
    const span = { key, ...(end !== undefined && { end }) };
    switch (prng.below(12)) {
      case 0:
        return { kind: 'authDisable' };
      case 1:
      case 2:
        return { kind: 'authEnable' };
      case 3:
        return { kind: 'userRevokeRole', user, role };
      case 4:
      case 5:
        return { kind: 'userGrantRole', user, role };
      case 6:
        return { kind: 'roleRevokePermission', role, ...span };
      case 7:
      case 8:
        return {
          kind: 'roleGrantPermission',
          role,
          permission: prng.pick(['read', 'write', 'readwrite'] as const),
          ...span,
        };
      case 9:
        return { kind: 'userChangePassword', user };
      case 10:
        return prng.chance(1, 2) ? { kind: 'userDelete', user } : { kind: 'userAdd', user };
      default:
        return prng.chance(1, 2) ? { kind: 'roleDelete', role } : { kind: 'roleAdd', role };
    }
  }
}
