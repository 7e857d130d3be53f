/**
 * One client: asks, waits, asks again, of one member or of any; keeps leases alive; watches. It never repeats a write. What
 * it asks and what it is told goes into the history; what an answer shows is known to all clients.
 */
import { Prng } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { statusName, type RpcError } from '@keelson/rpc';
import type { PendingOperation, Request, Response } from '@keelson/sim';
import { isStreamable, rangeInParts, snapshotInParts } from './in-parts.ts';
import { Locks } from './locks.ts';
import type { Requests } from './requests.ts';
import type { Show } from './show.ts';
import { Connection, type SimStream } from './connection.ts';
import { goalOfAnswer, goalOfFailure } from './goal-watch.ts';
import { ROOT } from './options.ts';
import { Watching, type Watcher } from './watching.ts';
import { keepAliveRequest, keepAliveResponse, wireCall, type Names } from '../wire/calls.ts';
import { rangeRequest } from '../wire/values.ts';

const RETRY_MS = 300;
/** After a name was refused one asks without for so long. */
const NAMELESS_MS = 1500;

/** What clients have together. */
export interface Together {
  readonly requests: Requests;
  readonly names: Names;
  learn(request: Request, response: Response): void;
}

export class Client implements Watcher {
  readonly id: number;
  connection: Connection | undefined = undefined;
  /** As whom it asks; undefined: without a name. */
  user: string | undefined;
  token: string | undefined = undefined;
  /** Ms it takes for a message of a watch. */
  slowness = 0;
  /** It waits for its answers. */
  patient = false;
  /** Asked and not yet answered. */
  pending = 0;
  readonly cluster: Show;
  readonly prng: Prng;
  readonly clients: Together;
  /** The place it always asks; undefined: any. */
  private readonly pinned: number | undefined;
  private readonly watching: Watching;
  private readonly locks: Locks;
  private keepAlive: KeepAlive | undefined;
  private finalsLeft = 0;
  /** Simulated ms until which it asks without a name. */
  private nameless = 0;

  constructor(clients: Together, cluster: Show, id: number, seed: number, user: string | undefined) {
    this.clients = clients;
    this.cluster = cluster;
    this.id = id;
    this.user = user;
    this.prng = new Prng(seed ^ Math.imul(id + 1, 0x51ed));
    this.pinned = this.prng.chance(1, 2) ? 1 + (id % cluster.options.members) : undefined;
    this.watching = new Watching(this);
    this.locks = new Locks(this);
  }

  get place(): number {
    return 100 + this.id;
  }

  get asker(): { readonly client: number; readonly member?: string; readonly user?: string } {
    return {
      client: this.id,
      ...(this.connection !== undefined && { member: this.connection.member.name }),
      ...(this.user !== undefined && this.token !== undefined && { user: this.user }),
    };
  }

  start(delayMs: number): void {
    this.cluster.scheduler.later(delayMs, 'client', this.place, () => this.act());
  }

  private next(): void {
    const { cluster, prng } = this;
    const pause = cluster.healed ? 200 : cluster.options.thinkMax;
    this.start(1 + prng.below(pause));
  }

  private act(): void {
    const { cluster, prng } = this;
    if (cluster.over) return;
    if (this.connection?.open !== true && !this.connect()) {
      this.start(RETRY_MS + prng.below(RETRY_MS));
      return;
    }
    if (cluster.healed && this.finalsLeft <= 0) return;
    const dice = prng.below(100);
    if (!cluster.healed && this.pinned === undefined && dice === 0) this.connection?.break();
    else if (!cluster.healed && dice < 9) this.watching.act();
    else if (!cluster.healed && dice < 12) this.locks.act();
    if (this.connection?.open !== true) {
      this.start(RETRY_MS);
      return;
    }
    this.withToken(() => {
      if (cluster.healed) this.askLast();
      else this.ask(this.clients.requests.any(prng), () => this.next());
    });
  }

  private askLast(): void {
    const key = `final${this.id}`;
    const request: Request =
      this.finalsLeft === 1 ? { kind: 'range', key } : { kind: 'put', key, value: `f${this.id}` };
    this.ask(request, (response, error) => {
      // A full backend says so; that is an answer.
      const full = error?.message === 'etcdserver: mvcc: database space exceeded';
      if (response !== undefined || full) this.finalsLeft--;
      this.next();
    });
  }

  /** With the token of its user, where there are users; without, if there are none yet. */
  withToken(then: () => void): void {
    const { cluster } = this;
    const known = this.token !== undefined || this.nameless > cluster.scheduler.now;
    if (!cluster.options.auth || this.user === undefined || known) then();
    else this.authenticate(then);
  }

  /** The faults are over: a few last requests, which must be answered. */
  finish(): void {
    this.finalsLeft = 3;
    this.slowness = 0;
    if (this.user !== undefined && this.user !== ROOT) {
      this.user = ROOT;
      this.token = undefined;
    }
  }

  get finished(): boolean {
    return this.finalsLeft <= 0;
  }

  describe(): string {
    return `client ${this.id} at ${this.connection?.member.name}: ${this.finalsLeft} last requests left`;
  }

  /** To the one it is pinned to, or to any that serves. */
  connect(): boolean {
    const { cluster, prng } = this;
    const serving = cluster.members.filter((member) => member.phase === 'ready' && !member.retired);
    const pinned = serving.find((member) => member.place === this.pinned);
    const member = pinned ?? (serving.length === 0 ? undefined : prng.pick(serving));
    if (member === undefined) return false;
    const connection = new Connection(cluster, cluster.wires, member, this.place);
    this.connection = connection;
    connection.broken = () => {
      if (this.connection !== connection) return;
      this.connection = undefined;
      this.keepAlive = undefined;
    };
    return true;
  }

  /** @param done with the answer; undefined when there was none, or a refusal */
  ask(request: Request, done: (response: Response | undefined, error?: RpcError) => void): void {
    const { connection, cluster, prng } = this;
    if (connection === undefined || !connection.open) {
      done(undefined);
      return;
    }
    if (request.kind === 'leaseKeepAlive') {
      this.renew(request, connection);
      done(undefined);
      return;
    }
    const operation = cluster.recorder.call(this.asker, request);
    const { method, message, read } = wireCall(request, this.clients.names);
    this.pending++;
    cluster.count('asked');
    const timeoutMs = cluster.healed || this.patient ? 20_000 : prng.pick([300, 2000, 10_000]);
    const answered = (answer: unknown, error: RpcError | undefined): void => {
      this.pending--;
      if (error !== undefined) {
        this.refused(operation, request, error);
        done(undefined, error);
        return;
      }
      const response = read(answer);
      operation.ok(response);
      cluster.count('answered');
      this.clients.learn(request, response);
      const goal = goalOfAnswer(request, response, connection.member);
      if (goal !== undefined) cluster.reach(goal);
      done(response);
    };
    if (request.kind === 'range' && isStreamable(request) && prng.chance(1, 6)) {
      const patience = { token: this.token, timeoutMs, pace: () => this.slowness };
      rangeInParts(cluster, connection, rangeRequest(request), patience, (answer, error) => {
        if (error === undefined) cluster.reach('range told in a stream');
        answered(answer, error);
      });
      return;
    }
    connection.call(
      method,
      message,
      {
        token: this.token,
        timeoutMs,
        tellsTimeout: prng.chance(1, 2),
        cancelAfterMs: !cluster.healed && !this.patient && prng.chance(1, 60) ? prng.below(50) : undefined,
      },
      answered,
    );
  }

  /** Saves a snapshot of the member it is connected to. @param done with its bytes; undefined when there were none */
  save(done: (image: Buffer | undefined) => void): void {
    const { connection, cluster } = this;
    if (connection?.open !== true) {
      done(undefined);
      return;
    }
    const operation = cluster.recorder.call(this.asker, { kind: 'snapshot' });
    const patience = { token: this.token, timeoutMs: 20_000, pace: () => 0 };
    snapshotInParts(cluster, connection, patience, (image, error) => {
      if (error !== undefined) this.refused(operation, { kind: 'snapshot' }, error);
      else {
        operation.ok({ kind: 'snapshot' });
        cluster.reach('snapshot saved by a client');
      }
      done(image);
    });
  }

  private refused(operation: PendingOperation, request: Request, error: RpcError): void {
    const { cluster } = this;
    operation.failed(statusName(error.code), error.message, error.unsent);
    cluster.count(`error:${error.message.slice(0, 60)}`);
    const goal = goalOfFailure(request, error.message);
    if (goal !== undefined) cluster.reach(goal);
    if (
      error.message === 'etcdserver: invalid auth token' ||
      error.message === 'etcdserver: revision of auth store is old'
    )
      this.token = undefined;
  }

  private authenticate(then: () => void): void {
    const { connection, cluster, user = '' } = this;
    if (connection === undefined) {
      then();
      return;
    }
    const asker = { client: this.id, member: connection.member.name };
    const operation = cluster.recorder.call(asker, { kind: 'authenticate', user });
    this.pending++;
    connection.call(
      services.Auth.methods.authenticate,
      new etcdserverpb.AuthenticateRequest({ name: user, password: this.clients.names.passwordOf(user) }),
      { token: undefined, timeoutMs: 5000, tellsTimeout: false, cancelAfterMs: undefined },
      (answer, error) => {
        this.pending--;
        if (answer !== undefined) {
          // It may have become another meanwhile.
          if (this.user === user) this.token = answer.token;
          operation.ok({ kind: 'authenticate' });
        } else if (error !== undefined) {
          operation.failed(statusName(error.code), error.message, error.unsent);
          // Auth is off, or the user is gone: names are of no use for now.
          this.nameless = cluster.scheduler.now + NAMELESS_MS;
        }
        then();
      },
    );
  }

  /** One stream carries all renewals; each is answered in its turn. */
  private renew(request: Request & { readonly kind: 'leaseKeepAlive' }, connection: Connection): void {
    const { cluster } = this;
    if (this.keepAlive === undefined) {
      const waiting: PendingOperation[] = [];
      const stream: KeepAliveStream = connection.stream(services.Lease.methods.leaseKeepAlive, this.token, {
        pace: () => 0,
        message: (answer) => {
          waiting.shift()?.ok(keepAliveResponse(answer));
          if (answer.TTL > 0) {
            if (connection.member.server?.replica.isLeader === false)
              cluster.reach('lease renewed through a follower');
          } else cluster.reach('renewal of an ended lease refused');
        },
        end: (error) => {
          for (const operation of waiting.splice(0))
            operation.failed(statusName(error?.code ?? 0), error?.message ?? 'the stream ended');
          if (this.keepAlive?.stream === stream) this.keepAlive = undefined;
        },
      });
      this.keepAlive = { stream, waiting, asker: this.asker };
    }
    this.keepAlive.waiting.push(cluster.recorder.call(this.keepAlive.asker, request));
    this.keepAlive.stream.write(keepAliveRequest(request.id));
  }
}

interface KeepAlive {
  readonly stream: KeepAliveStream;
  readonly waiting: PendingOperation[];
  /** As whom it was opened. */
  readonly asker: Client['asker'];
}

type KeepAliveStream = SimStream<etcdserverpb.LeaseKeepAliveRequest, etcdserverpb.LeaseKeepAliveResponse>;
