/**
 * Tokens with which a new node joins (`abcdef.0123456789abcdef`), each a Secret `bootstrap-token-ID` in
 * kube-system. Modelled on kubernetes' bootstrap token authenticator; the Secret is looked up by the caller.
 */

import { timingSafeEqual } from 'node:crypto';

import { fieldsOf, textOf } from '../api/fields.ts';
import type { KubeObject } from '../api/meta.ts';
import type { Authenticated, TokenAuthenticator } from './authenticator.ts';

const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const TYPE = 'bootstrap.kubernetes.io/token';
const GROUP = 'system:bootstrappers';
const EXTRA_GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

export class BootstrapTokens implements TokenAuthenticator {
  private readonly secret: (name: string) => Promise<KubeObject | undefined>;
  private readonly nowMs: () => number;

  /** @param secret looks a Secret of kube-system up */
  constructor(secret: (name: string) => Promise<KubeObject | undefined>, nowMs: () => number) {
    this.secret = secret;
    this.nowMs = nowMs;
  }

  async authenticateToken(token: string): Promise<Authenticated | undefined> {
    const match = TOKEN.exec(token);
    if (match === null) return undefined;
    const [, id, shown] = match;
    const secret = await this.secret(`bootstrap-token-${id}`);
    if (secret === undefined || secret.type !== TYPE) return undefined;
    if ((secret.metadata.deletionTimestamp ?? null) !== null) return undefined;
    const data = fieldsOf(secret.data);
    const read = (name: string): string => Buffer.from(textOf(data[name]), 'base64').toString('utf8');
    if (read('token-id') !== id || !same(read('token-secret'), shown)) return undefined;
    const expiration = read('expiration');
    if (expiration !== '') {
      const atMs = Date.parse(expiration);
      if (Number.isNaN(atMs) || atMs <= this.nowMs()) return undefined;
    }
    if (read('usage-bootstrap-authentication') !== 'true') return undefined;
    const others = read('auth-extra-groups')
      .split(',')
      .filter((group) => group !== '');
    if (!others.every((group) => EXTRA_GROUP.test(group))) return undefined;
    return {
      user: {
        name: `system:bootstrap:${id}`,
        uid: '',
        groups: [...new Set([GROUP, ...others])].toSorted(),
        extra: {},
      },
    };
  }
}

/** Compares in a time that does not depend on where the texts differ. */
function same(a: string, b: string): boolean {
  const left = Buffer.from(a, 'utf8');
  const right = Buffer.from(b, 'utf8');
  return left.length === right.length && timingSafeEqual(left, right);
}
