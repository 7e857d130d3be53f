/**
 * By which right a user may be another one. There are five: the constrained ones (a service account as the node it runs
 * on, any node, a service account, somebody else), each of which asks for the verb `impersonate-on:MODE:VERB` on what the
 * request itself is about, then for `impersonate:MODE` on who is wanted; and the old one, `impersonate`, for whatever the
 * request is about. The first that holds counts. Which one held last for a requestor is tried first.
 *
 * Modelled on apiserver's impersonation modes (ConstrainedImpersonation, KEP 5284), texts included. Answers are not kept here.
 */

import { assert, goQuote } from '@keelson/base';

import { ApiError } from '../api/status.ts';
import {
  ANONYMOUS,
  GROUP_AUTHENTICATED,
  GROUP_MASTERS,
  GROUP_NODES,
  GROUP_SERVICE_ACCOUNTS,
  GROUP_UNAUTHENTICATED,
  type AuthorizationAttributes,
  type Authorizer,
  type UserInfo,
} from '../api/user-info.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { checkDomainPath, dnsLabelErrors, dnsSubdomainErrors } from '../validation/names.ts';
import { resourceAttributes } from './attributes.ts';
import { forbiddenRequest } from './forbidden.ts';

const AUTHENTICATION_GROUP = 'authentication.k8s.io';
const NODE_PREFIX = 'system:node:';
const NODE_NAME_KEY = 'authentication.kubernetes.io/node-name';
const NODE_KEYS_KEY = 'authentication.kubernetes.io/associated-node-keys';
/** From so many groups or values on, the right to all of them is asked for first. */
const MANY = 4;
/** Requestors whose way is remembered. */
const REMEMBERED_MAX = 10_000;

/** Who is wanted, as the headers say; a user has a name. */
export interface Wanted {
  readonly name: string;
  readonly groups: readonly string[];
  readonly uid: string;
  readonly extra: ReadonlyMap<string, readonly string[]>;
}

/** Who the request goes on as. */
export interface Impersonated {
  readonly user: UserInfo;
  /** The verb by which he may be; empty for the old right. */
  readonly constraint: string;
}

interface Mode {
  /** Empty for the old right. */
  readonly name: string;
  applies(wanted: Wanted, requestor: UserInfo): boolean;
}

const CONSTRAINED: readonly Mode[] = [
  {
    name: 'associated-node',
    applies: (wanted, requestor) =>
      nameAlone(wanted) &&
      serviceAccountOf(requestor.name) !== undefined &&
      nodeOf(wanted.name) !== undefined &&
      onlyOf(requestor.extra[NODE_NAME_KEY]) === nodeOf(wanted.name),
  },
  { name: 'arbitrary-node', applies: (wanted) => nameAlone(wanted) && nodeOf(wanted.name) !== undefined },
  {
    name: 'serviceaccount',
    applies: (wanted) => nameAlone(wanted) && serviceAccountOf(wanted.name) !== undefined,
  },
  {
    name: 'user-info',
    applies: ({ name }) => nodeOf(name) === undefined && serviceAccountOf(name) === undefined,
  },
];
const OLD: Mode = { name: '', applies: () => true };
const MODES: readonly Mode[] = [...CONSTRAINED, OLD];

/** Finds the right by which requestors are others. */
export class ImpersonationModes {
  private readonly authorizer: Authorizer;
  private readonly last = new Map<string, Mode>();

  constructor(authorizer: Authorizer) {
    this.authorizer = authorizer;
  }

  /**
   * @param request what the requestor asks for as somebody else, under his own name
   * @throws ApiError Forbidden with what the first mode that applies lacks
   */
  async impersonated(wanted: Wanted, request: AuthorizationAttributes): Promise<Impersonated> {
    const { name } = request.user;
    const last = this.last.get(name);
    const order = last === undefined ? MODES : [last, ...MODES.filter((mode) => mode !== last)];
    let refused: ApiError | undefined;
    for (const mode of order) {
      if (!mode.applies(wanted, request.user)) continue;
      try {
        const user = await new Check(this.authorizer, mode, request).user(wanted);
        this.remember(name, mode);
        return { user, constraint: mode.name === '' ? '' : `impersonate:${mode.name}` };
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        refused ??= error;
      }
    }
    assert(refused !== undefined, 'the old right to impersonate was not asked for');
    throw refused;
  }

  private remember(requestor: string, mode: Mode): void {
    this.last.delete(requestor);
    this.last.set(requestor, mode);
    if (this.last.size <= REMEMBERED_MAX) return;
    for (const oldest of this.last.keys()) {
      this.last.delete(oldest);
      break;
    }
  }
}

/** The questions of one mode about one request. */
class Check {
  private readonly authorizer: Authorizer;
  private readonly mode: Mode;
  private readonly request: AuthorizationAttributes;
  private readonly requestor: UserInfo;
  private readonly constrained: boolean;
  private readonly verb: string;

  constructor(authorizer: Authorizer, mode: Mode, request: AuthorizationAttributes) {
    this.authorizer = authorizer;
    this.mode = mode;
    this.constrained = mode.name !== '';
    this.verb = this.constrained ? `impersonate:${mode.name}` : 'impersonate';
    // The right to be one's own node is the same on every node: values that tell nodes apart do not count.
    this.requestor =
      mode.name === 'associated-node'
        ? { ...request.user, extra: { [NODE_KEYS_KEY]: Object.keys(request.user.extra).toSorted() } }
        : request.user;
    this.request = request;
  }

  async user(wanted: Wanted): Promise<UserInfo> {
    if (this.constrained) {
      const verb = `impersonate-on:${this.mode.name}:${this.request.verb}`;
      await this.allowed({ ...this.request, user: this.requestor, verb });
    }
    const groups = await this.name(wanted);
    if (wanted.uid !== '') await this.may({ ...this.about(true), resource: 'uids', name: wanted.uid });
    await this.groups(wanted.groups);
    await this.extra(wanted.extra);
    const { name, uid, extra } = wanted;
    const more =
      name === ANONYMOUS
        ? GROUP_UNAUTHENTICATED
        : groups.includes(GROUP_UNAUTHENTICATED)
          ? undefined
          : GROUP_AUTHENTICATED;
    return {
      name,
      uid,
      groups: more === undefined || groups.includes(more) ? groups : [...groups, more],
      extra: Object.fromEntries(extra),
    };
  }

  /** @returns the groups that the user has then */
  private async name({ name, groups }: Wanted): Promise<readonly string[]> {
    const node = this.constrained ? nodeOf(name) : undefined;
    if (node !== undefined) {
      const asked = this.mode.name === 'associated-node' ? '*' : node;
      await this.may({ ...this.about(this.constrained), resource: 'nodes', name: asked });
      return [GROUP_NODES];
    }
    const account = serviceAccountOf(name);
    if (account === undefined) {
      await this.may({ ...this.about(this.constrained), resource: 'users', name });
      return groups;
    }
    await this.may({ ...this.about(this.constrained), resource: 'serviceaccounts', ...account });
    // Who names no groups for an account means those every account has.
    if (groups.length > 0) return groups;
    return [GROUP_SERVICE_ACCOUNTS, `${GROUP_SERVICE_ACCOUNTS}:${account.namespace}`];
  }

  private async groups(groups: readonly string[]): Promise<void> {
    if (groups.length === 0) return;
    const about = { ...this.about(this.constrained), resource: 'groups' };
    if (this.constrained) {
      if (groups.includes('')) {
        throw this.refusal(about, 'impersonating the empty string group is not allowed');
      }
      if (groups.includes(GROUP_MASTERS)) {
        const masters = { ...about, name: GROUP_MASTERS };
        throw this.refusal(masters, 'impersonating the system:masters group is not allowed');
      }
      if (groups.length >= MANY && (await this.holds({ ...about, name: '*' }))) return;
    }
    for (const name of groups) await this.may({ ...about, name });
  }

  private async extra(extra: ReadonlyMap<string, readonly string[]>): Promise<void> {
    if (extra.size === 0) return;
    const about = { ...this.about(true), resource: 'userextras' };
    if (this.constrained) {
      for (const [key, values] of extra) {
        const wrong = extraWrong(key, values);
        if (wrong !== undefined) throw this.refusal(about, wrong);
      }
      let count = 0;
      for (const values of extra.values()) count += values.length;
      const large = extra.size >= MANY || count >= MANY;
      if (large && (await this.holds({ ...about, subresource: '*', name: '*' }))) return;
    }
    for (const [subresource, values] of extra) {
      for (const name of values) await this.may({ ...about, subresource, name });
    }
  }

  /** @param inGroup whether it is asked in the group of authentication; the old right to users and groups is in the core */
  private about(inGroup: boolean): Named {
    return inGroup ? { group: AUTHENTICATION_GROUP, version: 'v1' } : { version: 'v1' };
  }

  private may(named: Named): Promise<void> {
    return this.allowed(resourceAttributes(this.requestor, this.verb, named));
  }

  private async holds(named: Named): Promise<boolean> {
    const attributes = resourceAttributes(this.requestor, this.verb, named);
    return (await this.authorizer.authorize(attributes)).kind === 'allow';
  }

  private async allowed(attributes: AuthorizationAttributes): Promise<void> {
    const { kind, reason, error } = await this.authorizer.authorize(attributes);
    if (kind === 'allow') return;
    throw forbiddenRequest(
      attributes,
      error === undefined ? reason : reason === '' ? error : `${error}: ${reason}`,
    );
  }

  private refusal(named: Named, why: string): ApiError {
    return forbiddenRequest(resourceAttributes(this.requestor, this.verb, named), why);
  }
}

type Named = Parameters<typeof resourceAttributes>[2];

/** Namespace and name of a service account's user name; undefined for another user's. */
function serviceAccountOf(name: string): { readonly namespace: string; readonly name: string } | undefined {
  const parts = name.split(':');
  if (parts.length !== 4 || parts[0] !== 'system' || parts[1] !== 'serviceaccount') return undefined;
  const [, , namespace, account] = parts;
  const valid = dnsLabelErrors(namespace).length === 0 && dnsSubdomainErrors(account).length === 0;
  return valid ? { namespace, name: account } : undefined;
}

/** The node of a node's user name; undefined for another user's. */
function nodeOf(name: string): string | undefined {
  if (!name.startsWith(NODE_PREFIX)) return undefined;
  const node = name.slice(NODE_PREFIX.length);
  return dnsSubdomainErrors(node).length === 0 ? node : undefined;
}

function nameAlone({ groups, uid, extra }: Wanted): boolean {
  return groups.length === 0 && uid === '' && extra.size === 0;
}

function onlyOf(values: readonly string[] = []): string {
  return values.length === 1 ? values[0] : '';
}

function extraWrong(key: string, values: readonly string[]): string | undefined {
  if (key === '') return 'impersonating the empty string key in extra is not allowed';
  const errors = new FieldErrors();
  checkDomainPath(errors, FieldPath.of('extra', 'key'), key);
  if (errors.size > 0) {
    const told = errors.list.map(({ field, body }) => `${field}: ${body}`);
    return `impersonating an invalid key in extra is not allowed: ${told.length === 1 ? told[0] : `[${told.join(', ')}]`}`;
  }
  if (key !== key.toLowerCase()) {
    return `impersonating a non-lowercase key in extra is not allowed: ${goQuote(key)}`;
  }
  if (values.length === 0) return 'impersonating empty values in extra is not allowed';
  if (values.includes('')) return 'impersonating the empty string value in extra is not allowed';
  return undefined;
}
