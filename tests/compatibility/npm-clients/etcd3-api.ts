/**
 * The public face of the npm client `etcd3` as far as our session drives it: shapes alone, since the package is no
 * dependency of ours and is loaded from where it was put. Answers stay `unknown`: they are written down, not used.
 */
import { createRequire } from 'node:module';
import path from 'node:path';

type Key = string | Buffer;
type Revision = number | string;
/** Fields of a request or an answer, as in etcd's .proto files. */
export type Fields = Readonly<Record<string, unknown>>;
export type Rangable =
  Key | RangeShape | { readonly start: Key; readonly end: Key } | { readonly prefix: Key };

export interface RangeShape {
  readonly start: Buffer;
  readonly end: Buffer;
  includes(value: Key): boolean;
  compare(other: RangeShape): number;
}

export interface Operation {
  op(): Promise<Fields>;
}

interface RangeBuilder<T> extends Operation, PromiseLike<T> {
  revision(revision: Revision): this;
  serializable(serializable: boolean): this;
  minModRevision(revision: Revision): this;
  maxModRevision(revision: Revision): this;
  minCreateRevision(revision: Revision): this;
  maxCreateRevision(revision: Revision): this;
  options(options: Fields | undefined): this;
  json(): Promise<unknown>;
  exec(): Promise<Fields>;
}

export interface SingleRange extends RangeBuilder<string | null> {
  string(encoding?: string): Promise<string | null>;
  number(): Promise<number | null>;
  buffer(): Promise<Buffer | null>;
  exists(): Promise<boolean>;
}

export interface MultiRange extends RangeBuilder<Fields> {
  prefix(prefix: Key): this;
  inRange(range: Rangable): this;
  all(): this;
  limit(count: number): this;
  sort(target: string, order: string): this;
  count(): Promise<number>;
  keys(encoding?: string): Promise<string[]>;
  keyBuffers(): Promise<Buffer[]>;
  strings(encoding?: string): Promise<Fields>;
  numbers(): Promise<Fields>;
  buffers(): Promise<Fields>;
}

export interface Deletion extends Operation, PromiseLike<Fields> {
  key(key: Key): this;
  prefix(prefix: Key): this;
  range(range: RangeShape): this;
  all(): this;
  inRange(range: Rangable): this;
  getPrevious(): Promise<unknown>;
  options(options: Fields | undefined): this;
  exec(): Promise<Fields>;
}

export interface Put extends Operation, PromiseLike<Fields> {
  value(value: Key | number): this;
  lease(lease: Revision | Promise<Revision>): this;
  ignoreLease(): this;
  options(options: Fields | undefined): this;
  getPrevious(): Promise<unknown>;
  touch(): Promise<Fields>;
  exec(): Promise<Fields>;
}

export interface Comparator {
  options(options: Fields | undefined): this;
  and(key: Key, column: string, comparison: string, value: Key | number): this;
  then(...clauses: (Fields | Operation)[]): this;
  else(...clauses: (Fields | Operation)[]): this;
  commit(): Promise<Fields>;
  mapOperations(operations: (Fields | Operation)[]): Promise<Fields>[];
}

export interface Emitter {
  on(event: string, handler: (...values: unknown[]) => void): this;
}

export interface Lease extends Emitter {
  readonly state: number;
  grant(): Promise<string>;
  revoke(options?: Fields): Promise<void>;
  release(): void;
  put(key: Key): Put;
  keepaliveOnce(options?: Fields): Promise<Fields>;
  revoked(): boolean;
}

export interface Lock {
  ttl(seconds: number): this;
  options(options: Fields): this;
  acquire(): Promise<Lock>;
  leaseId(): Promise<string | null>;
  release(): Promise<void>;
  do<T>(body: () => T | Promise<T>): Promise<T>;
}

export interface Campaign extends Emitter {
  wait(): Promise<unknown>;
  proclaim(value: Key): Promise<void>;
  getCampaignKey(): Promise<string>;
  resign(): Promise<void>;
}

export interface Observer extends Emitter {
  readonly hasLeader: boolean;
  leader(encoding?: string): string | Buffer | undefined;
  cancel(): Promise<void>;
}

export interface Election {
  campaign(value: string): Campaign;
  leader(encoding?: string): Promise<string | Buffer | undefined>;
  observe(): Promise<Observer>;
}

export interface Watcher extends Emitter {
  readonly id: string | null;
  lastRevision(): Revision | null;
  cancel(): Promise<void>;
}

export interface WatchBuilder {
  key(key: Key): this;
  prefix(prefix: Key): this;
  inRange(range: Rangable): this;
  ignore(...operations: string[]): this;
  only(...operations: string[]): this;
  withPreviousKV(): this;
  startRevision(revision: string): this;
  watcher(): Watcher;
  create(): Promise<Watcher>;
}

export interface Transaction {
  transact<T>(body: (transaction: Transaction) => T | PromiseLike<T>): Promise<T>;
  get(key: string): SingleRange;
  put(key: Key): Put;
  delete(): Deletion;
}

export interface Namespace {
  get(key: Key): SingleRange;
  getAll(): MultiRange;
  put(key: Key): Put;
  delete(): Deletion;
  lease(ttl: number, options?: Fields): Lease;
  lock(key: Key): Lock;
  stm(options?: Fields): Transaction;
  if(key: Key, column: string, comparison: string, value: Key | number): Comparator;
  watch(): WatchBuilder;
  range(range: Rangable): RangeShape;
  namespace(prefix: Key): Namespace;
  election(name: string, ttl?: number): Election;
}

export type Permission = { readonly permission: string } & (
  { readonly range: RangeShape } | { readonly key: Key }
);

export interface Role {
  readonly name: string;
  create(): Promise<Role>;
  delete(): Promise<Role>;
  grant(permission: Permission | Permission[]): Promise<Role>;
  revoke(permission: Permission | Permission[]): Promise<Role>;
  permissions(): Promise<readonly { readonly permission: string; readonly range: RangeShape }[]>;
  addUser(user: string | User): Promise<Role>;
  removeUser(user: string | User): Promise<Role>;
}

export interface User {
  readonly name: string;
  create(password: string): Promise<User>;
  setPassword(password: string): Promise<User>;
  delete(): Promise<User>;
  roles(): Promise<readonly Role[]>;
  addRole(role: string | Role): Promise<User>;
  removeRole(role: string | Role): Promise<User>;
}

/** A client of one service: a method for each RPC, by its name in lower camel case. */
export type RawClient = Readonly<Record<string, (request?: Fields) => Promise<Fields>>>;

export interface Duplex extends Emitter {
  write(message: Fields): void;
  end(): void;
  cancel(): void;
}

export interface Etcd3 extends Namespace {
  readonly kv: RawClient;
  readonly leaseClient: RawClient;
  readonly watchClient: RawClient;
  readonly auth: RawClient;
  readonly maintenance: RawClient;
  readonly cluster: RawClient;
  getRoles(): Promise<readonly Role[]>;
  getUsers(): Promise<readonly User[]>;
  role(name: string): Role;
  user(name: string): User;
  mock<T>(callable: T): T;
  unmock(): void;
  close(): void;
}

export interface Etcd3Module {
  readonly Etcd3: new (options: Fields) => Etcd3;
  readonly Range: (new (start: Key, end?: Key) => RangeShape) & {
    from(range: Rangable): RangeShape;
    prefix(prefix: Key): RangeShape;
  };
  readonly [name: string]: unknown;
}

/** @param directory the package's */
export function loadEtcd3(directory: string): Etcd3Module {
  return createRequire(path.join(directory, 'package.json'))(directory) as Etcd3Module;
}
