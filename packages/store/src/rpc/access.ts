/**
 * Who calls, and whether they may: the token or the certificate of a call becomes an identity, the policy of its method
 * is enforced, and a handler that should have asked and did not is refused its answer. Decisions themselves are made
 * by auth/authorize.ts; what is written is decided again where it is applied. Costs nothing while auth is off.
 */
import { assert } from '@keelson/base';
import { etcdserverpb } from '@keelson/proto';
import {
  MethodTable,
  type BidiHandler,
  type CallContext,
  type MethodDescriptor,
  type ServerStreamHandler,
  type UnaryHandler,
} from '@keelson/rpc';
import type { StateMachine } from '../apply/state-machine.ts';
import { authorize } from '../auth/authorize.ts';
import type { Identity } from '../auth/identity.ts';
import { keysNeeds, leaseNeeds, type Need } from '../auth/needs.ts';
import type { SignedTokens } from '../auth/secrets.ts';
import { indexOfToken } from '../auth/simple-tokens.ts';
import { StoreError } from '../errors.ts';
import { policyOf, type Policy } from './policies.ts';
import { messageOf } from './services.ts';
import { toRpcError } from './status.ts';

/** Metadata that carries the token: clients' own key, then the one of HTTP. */
const TOKEN_KEYS = ['token', 'authorization'] as const;
const BEARER = 'Bearer ';
/** Set by the JSON gateway on every call it makes; its own certificate is no caller's. */
const GATEWAY_KEY = 'grpcgateway-accept';

/** What access needs of the member; consensus/replica.ts. */
export interface AccessMember {
  readonly state: Pick<StateMachine, 'auth' | 'tokens' | 'lessor' | 'consistentIndex'>;
  linearizable(): Promise<void>;
}

export interface AccessOptions {
  /** --client-cert-auth: a verified certificate's common name is a user's name. */
  readonly clientCertAuth: boolean;
  /** --auth-token=jwt…; undefined for simple tokens. */
  readonly signed: SignedTokens | undefined;
  readonly monotonicMs: () => number;
}

/** Kept with a call once its caller was looked at. */
class Caller {
  readonly identity: Identity | undefined;

  constructor(identity: Identity | undefined) {
    this.identity = identity;
  }
}

export class Access {
  private readonly member: AccessMember;
  private readonly options: AccessOptions;
  /** Signed tokens of a revision below this are void: the user's password was changed then, or the user removed. */
  private readonly voidBelow = new Map<string, number>();

  constructor(member: AccessMember, options: AccessOptions) {
    this.member = member;
    this.options = options;
  }

  /** Whether anything is asked at all. */
  get on(): boolean {
    return this.member.state.auth.enabled;
  }

  get signed(): SignedTokens | undefined {
    return this.options.signed;
  }

  /** A user's credentials have changed, or the user is gone. */
  userInvalidated(name: string): void {
    if (this.options.signed !== undefined) this.voidBelow.set(name, this.member.state.auth.revision);
  }

  /**
   * Who calls; undefined for nobody, which the decision itself is to refuse.
   * @throws StoreError INVALID_AUTH_TOKEN, AUTH_REVISION_OLD
   */
  async caller(call: CallContext): Promise<Identity | undefined> {
    if (!this.on) return undefined;
    const identity = await this.identify(call);
    call.attachment = new Caller(identity);
    return identity;
  }

  /** In the handler of a method whose policy looked at the caller before it: who that was. */
  known(call: CallContext): Identity | undefined {
    return call.attachment instanceof Caller ? call.attachment.identity : undefined;
  }

  /**
   * Decides and reads in one step: nothing is applied between.
   * @throws StoreError as caller() and authorize(); AUTH_REVISION_OLD also for a token from an auth state that this
   *   member has not reached yet
   */
  async read<T>(
    call: CallContext,
    needs: () => readonly Need[],
    get: (identity: Identity | undefined) => T,
  ): Promise<T> {
    const identity = await this.caller(call);
    const { auth, lessor } = this.member.state;
    if (auth.enabled) {
      authorize(auth, lessor, identity, needs());
      if (identity !== undefined && identity.revision !== auth.revision)
        throw new StoreError('AUTH_REVISION_OLD');
    }
    return get(identity);
  }

  /** Whether a decision made for this user some time ago would be made again now. @throws StoreError */
  still(identity: Identity | undefined, needs: readonly Need[]): void {
    const { auth, lessor } = this.member.state;
    if (!auth.enabled) return;
    const now = identity === undefined ? undefined : { ...identity, revision: auth.revision };
    authorize(auth, lessor, now, needs);
  }

  /** @throws StoreError */
  async root(call: CallContext): Promise<void> {
    const identity = await this.caller(call);
    this.member.state.auth.checkRoot(identity);
  }

  /** @throws StoreError */
  async user(call: CallContext): Promise<Identity | undefined> {
    const identity = await this.caller(call);
    if (identity === undefined && this.on) throw new StoreError('USER_EMPTY');
    return identity;
  }

  /**
   * To be told of these keys: for root, and for whoever may read each of them.
   * @param keys asked for once the caller is known
   * @param get as for read()
   * @throws StoreError
   */
  async keys<T>(
    call: CallContext,
    keys: () => Iterable<string>,
    get: (identity: Identity | undefined) => T,
  ): Promise<T> {
    const identity = await this.user(call);
    const { auth, lessor } = this.member.state;
    if (!auth.isRoot(identity)) authorize(auth, lessor, identity, keysNeeds(keys()));
    return get(identity);
  }

  /** To keep a lease alive: for root, and for whoever may write each of its keys. @throws StoreError */
  async lease(call: CallContext, id: bigint): Promise<void> {
    const identity = await this.user(call);
    const { auth, lessor } = this.member.state;
    authorize(auth, lessor, identity, leaseNeeds(id));
  }

  /** Before the handler, as the policy says. @throws StoreError */
  async enter(policy: Policy, request: unknown, call: CallContext): Promise<void> {
    if (policy === 'root') await this.root(call);
    else if (policy === 'user') await this.user(call);
    else if (policy === 'token') await this.caller(call);
    else if (policy === 'request') {
      const alarm = messageOf(request);
      assert(alarm instanceof etcdserverpb.AlarmRequest, 'the request of a method with a policy by request');
      if (alarm.action === etcdserverpb.AlarmAction.GET) await this.user(call);
      else await this.root(call);
    }
  }

  private identify(call: CallContext): Identity | undefined | Promise<Identity | undefined> {
    const { metadata } = call;
    const key = TOKEN_KEYS.find((one) => metadata.has(one));
    if (key === undefined) return this.identityOfCertificate(call);
    const text = metadata.text(key) ?? '';
    const token = text.startsWith(BEARER) ? text.slice(BEARER.length) : text;
    return this.options.signed === undefined ? this.identityOfWord(token) : this.identityOfSigned(token);
  }

  private identityOfCertificate(call: CallContext): Identity | undefined {
    if (!this.options.clientCertAuth || call.peerCertificate === undefined) return undefined;
    if (call.metadata.has(GATEWAY_KEY)) return undefined;
    return { username: call.peerCertificate.commonName, revision: this.member.state.auth.revision };
  }

  private async identityOfWord(token: string): Promise<Identity> {
    const { state } = this.member;
    const index = indexOfToken(token);
    if (index === undefined) throw new StoreError('INVALID_AUTH_TOKEN');
    // Another member assigned it, and we may not have heard: whoever has it got it after the entry was committed.
    if (index > state.consistentIndex) await this.member.linearizable();
    const username = state.tokens.use(token, this.options.monotonicMs());
    if (username === undefined) throw new StoreError('INVALID_AUTH_TOKEN');
    return { username, revision: state.auth.revision };
  }

  private async identityOfSigned(token: string): Promise<Identity> {
    const identity = await this.options.signed?.identify(token);
    if (identity === undefined) throw new StoreError('INVALID_AUTH_TOKEN');
    // Where a revision is asked for it would be refused anyhow; root's commands ask for none.
    if (identity.revision < (this.voidBelow.get(identity.username) ?? 0))
      throw new StoreError('AUTH_REVISION_OLD');
    return identity;
  }
}

/** Stands around unary handlers, their guard included. */
export interface Interceptor {
  /** @returns the handler itself where there is nothing to do for its method */
  around<Req, Res>(path: string, handler: UnaryHandler<Req, Res>): UnaryHandler<Req, Res>;
}

/** A method table whose every method is entered by its policy. A method without one cannot be registered. */
export class GuardedTable extends MethodTable {
  private readonly access: Access;
  private readonly interceptor: Interceptor | undefined;

  constructor(access: Access, interceptor?: Interceptor) {
    super();
    this.access = access;
    this.interceptor = interceptor;
  }

  override unary<Req, Res>(descriptor: MethodDescriptor<Req, Res>, handler: UnaryHandler<Req, Res>): this {
    const policy = policyFor(descriptor.path);
    const entered: UnaryHandler<Req, Res> = isFree(policy)
      ? handler
      : (request, call) =>
          this.access.on
            ? this.guarded(policy, descriptor.path, request, call, () => handler(request, call))
            : handler(request, call);
    return super.unary(descriptor, this.interceptor?.around(descriptor.path, entered) ?? entered);
  }

  override serverStream<Req, Res>(
    descriptor: MethodDescriptor<Req, Res>,
    handler: ServerStreamHandler<Req, Res>,
  ): this {
    const policy = policyFor(descriptor.path);
    if (isFree(policy)) return super.serverStream(descriptor, handler);
    return super.serverStream(descriptor, (request, stream) =>
      this.access.on
        ? this.guarded(policy, descriptor.path, request, stream.call, () => handler(request, stream))
        : handler(request, stream),
    );
  }

  override bidi<Req, Res>(descriptor: MethodDescriptor<Req, Res>, handler: BidiHandler<Req, Res>): this {
    const policy = policyFor(descriptor.path);
    assert(policy === 'message' || isFree(policy), () => `${descriptor.path}: a stream is asked by message`);
    return super.bidi(descriptor, handler);
  }

  /** Every handler throws what the rooms below throw; this is where it gets gRPC's code and etcd's text. */
  override failureOf(reason: unknown): unknown {
    return toRpcError(reason);
  }

  private async guarded<T>(
    policy: Policy,
    path: string,
    request: unknown,
    call: CallContext,
    run: () => Promise<T> | T,
  ): Promise<T> {
    await this.access.enter(policy, request, call);
    const response = await run();
    // Nothing leaves that nobody decided about, whatever the handler forgot.
    assert(call.attachment instanceof Caller, () => `${path} was answered without a look at its caller`);
    return response;
  }
}

function policyFor(path: string): Policy {
  const policy = policyOf(path);
  assert(policy !== undefined, () => `${path} has no policy`);
  return policy;
}

function isFree(policy: Policy): boolean {
  return policy === 'open' || policy === 'composed';
}
