/**
 * bootstrap-signer-controller: the ConfigMap kube-public/cluster-info carries, for each bootstrap token that may sign, a
 * signature of the kubeconfig in it, by which who has the token and nothing else knows it is the right one. Off by
 * default, as in the original.
 *
 * Modelled on kubernetes' pkg/controller/bootstrap; signatures are detached JWS (RFC 7515, HS256).
 */

import { createHmac } from 'node:crypto';

import { hasReason, isDeleting, isRecord, type KubeObject, type Outcome } from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { CONFIG_MAPS, SECRETS } from '../resources.ts';
import { SimpleLoop } from '../simple-loop.ts';
import { BOOTSTRAP_TOKEN_TYPE } from './token-cleaner.ts';

const NAMESPACE = 'kube-public';
const NAME = 'cluster-info';
const KEY = `${NAMESPACE}/${NAME}`;
const KUBECONFIG = 'kubeconfig';
const SIGNATURE_PREFIX = 'jws-kubeconfig-';
const ID = /^[a-z0-9]{6}$/;
const SECRET = /^[a-z0-9]{16}$/;

export function bootstrapSigner(parts: ControllerParts): Controller {
  const { client, clock, informers } = parts;
  const maps = informers.informer(CONFIG_MAPS, {
    namespace: NAMESPACE,
    fieldSelector: `metadata.name=${NAME}`,
  });
  const secrets = informers.informer(SECRETS, {
    namespace: 'kube-system',
    fieldSelector: `type=${BOOTSTRAP_TOKEN_TYPE}`,
    purpose: 'signing',
  });
  const work = async (_key: string, signal: AbortSignal): Promise<Outcome> => {
    const map = maps.get(KEY);
    const data = map === undefined ? undefined : dataOf(map);
    const content = data?.[KUBECONFIG];
    if (map === undefined || data === undefined || content === undefined) return 'done';
    const nowMs = clock.nowMs();
    const wanted: Record<string, string> = {};
    for (const [name, value] of Object.entries(data))
      if (!name.startsWith(SIGNATURE_PREFIX)) wanted[name] = value;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const secret of secrets.list()) {
      const token = tokenOf(secret, nowMs);
      if (token === undefined) continue;
      wanted[`${SIGNATURE_PREFIX}${token.id}`] = signatureOf(content, token.id, token.secret);
      nextMs = Math.min(nextMs, token.endsMs - nowMs);
    }
    if (!sameTexts(data, wanted)) {
      try {
        await client.update(CONFIG_MAPS, NAMESPACE, { ...map, data: wanted }, { signal });
      } catch (error) {
        // Gone, or another one by now, which the watch shows.
        if (!hasReason(error, 'NotFound', 'Conflict')) throw error;
      }
    }
    return Number.isFinite(nextMs) ? { afterMs: nextMs } : 'done';
  };
  const loop = new SimpleLoop(parts, { name: 'bootstrap_signer_queue', informers: [maps, secrets], work });
  const look = (): void => loop.queue.add(KEY);
  maps.handle({ added: look, updated: look });
  secrets.handle({ added: look, updated: look, deleted: look });
  return loop;
}

function dataOf({ data }: KubeObject): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(isRecord(data) ? data : {}))
    if (typeof value === 'string') found[name] = value;
  return found;
}

interface Token {
  readonly id: string;
  readonly secret: string;
  readonly endsMs: number;
}

/** The token of a Secret that may sign now. */
function tokenOf(object: KubeObject, nowMs: number): Token | undefined {
  const text = (name: string): string => Buffer.from(dataOf(object)[name] ?? '', 'base64').toString('utf8');
  const id = text('token-id');
  const secret = text('token-secret');
  const expiration = text('expiration');
  const endsMs = expiration === '' ? Number.POSITIVE_INFINITY : Date.parse(expiration);
  const fits =
    !isDeleting(object) &&
    object.metadata.name === `bootstrap-token-${id}` &&
    ID.test(id) &&
    SECRET.test(secret) &&
    text('usage-bootstrap-signing') === 'true' &&
    endsMs > nowMs;
  return fits ? { id, secret, endsMs } : undefined;
}

/** `header..signature`: whoever verifies has the content. */
export function signatureOf(content: string, id: string, secret: string): string {
  const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: id })).toString('base64url');
  const payload = Buffer.from(content).toString('base64url');
  const signature = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url');
  return `${header}..${signature}`;
}

function sameTexts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
