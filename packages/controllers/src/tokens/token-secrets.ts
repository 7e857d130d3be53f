/**
 * serviceaccount-token-controller: a Secret of type kubernetes.io/service-account-token gets the token of the account it
 * names, the certificate and the namespace; when the account goes, the Secret goes. Nobody but who asks for such a Secret
 * gets one.
 *
 * Modelled on kubernetes' tokens controller.
 */

import {
  hasReason,
  isRecord,
  keyOf,
  splitKey,
  type Informer,
  type KubeObject,
  type Outcome,
} from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { SECRETS, SERVICE_ACCOUNTS } from '../resources.ts';
import { SimpleLoop } from '../simple-loop.ts';

export interface TokenSecretsOptions {
  /** Signs the token of an account that lives in a Secret: no audience, no end. */
  readonly sign: (account: KubeObject, secretName: string) => string;
  /** PEM; without it Secrets have none. */
  readonly rootCertificate?: string;
}

const TYPE = 'kubernetes.io/service-account-token';
const NAME_KEY = 'kubernetes.io/service-account.name';
const UID_KEY = 'kubernetes.io/service-account.uid';

export function tokenSecrets(parts: ControllerParts, options: TokenSecretsOptions): Controller {
  const { client, informers } = parts;
  const accounts = informers.informer(SERVICE_ACCOUNTS, { metadataOnly: true });
  const secrets = informers.informer(SECRETS, {
    fieldSelector: `type=${TYPE}`,
    purpose: 'account',
    indexers: {
      account: ({ metadata }) => [`${metadata.namespace}/${metadata.annotations?.[NAME_KEY] ?? ''}`],
    },
    // The tokens themselves are not kept.
    transform: (secret) => ({ metadata: secret.metadata, complete: isComplete(secret, options) }),
  });
  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const kept = secrets.get(key);
    if (kept === undefined) return 'done';
    const { namespace, name } = splitKey(key);
    const account = await accountOf(parts, accounts, namespace, kept, signal);
    if (account !== undefined && kept['complete'] === true) return 'done';
    try {
      if (account === undefined) {
        const { uid, resourceVersion } = kept.metadata;
        const preconditions = {
          ...(uid === undefined ? {} : { uid }),
          ...(resourceVersion === undefined ? {} : { resourceVersion }),
        };
        await client.delete(SECRETS, namespace, name, { preconditions }, signal);
        return 'done';
      }
      const secret = await client.get(SECRETS, namespace, name, { signal });
      if (secret.metadata.uid !== kept.metadata.uid || isComplete(secret, options)) return 'done';
      await client.update(SECRETS, namespace, completed(secret, account, options), { signal });
    } catch (error) {
      if (hasReason(error, 'NotFound')) return 'done';
      if (hasReason(error, 'Conflict')) return 'retry';
      throw error;
    }
    return 'done';
  };
  const loop = new SimpleLoop(parts, {
    name: 'serviceaccount_tokens_secret',
    informers: [secrets, accounts],
    work,
  });
  const look = (secret: KubeObject): void => loop.queue.add(keyOf(secret));
  secrets.handle({ added: look, updated: look });
  const lookAtSecretsOf = (account: KubeObject): void => {
    for (const secret of secrets.byIndex('account', keyOf(account))) look(secret);
  };
  accounts.handle({ added: lookAtSecretsOf, deleted: lookAtSecretsOf });
  return loop;
}

/** The account the Secret is of; undefined when there is none of that name and, where it says one, uid. */
async function accountOf(
  { client }: ControllerParts,
  accounts: Informer,
  namespace: string,
  { metadata }: KubeObject,
  signal: AbortSignal,
): Promise<KubeObject | undefined> {
  const name = metadata.annotations?.[NAME_KEY] ?? '';
  const uid = metadata.annotations?.[UID_KEY] ?? '';
  const fits = (account: KubeObject): boolean => uid === '' || account.metadata.uid === uid;
  const kept = accounts.get(`${namespace}/${name}`);
  if (kept !== undefined && fits(kept)) return kept;
  // Nothing is deleted for want of news.
  try {
    const account = await client.get(SERVICE_ACCOUNTS, namespace, name, { metadataOnly: true, signal });
    return fits(account) ? account : undefined;
  } catch (error) {
    if (hasReason(error, 'NotFound')) return undefined;
    throw error;
  }
}

function isComplete({ metadata, data }: KubeObject, { rootCertificate }: TokenSecretsOptions): boolean {
  const found = isRecord(data) ? data : {};
  return (
    (found['token'] ?? '') !== '' &&
    (found['namespace'] ?? '') !== '' &&
    (rootCertificate === undefined || found['ca.crt'] === base64(rootCertificate)) &&
    (metadata.annotations?.[UID_KEY] ?? '') !== ''
  );
}

function completed(
  secret: KubeObject,
  account: KubeObject,
  { sign, rootCertificate }: TokenSecretsOptions,
): KubeObject {
  const { metadata } = secret;
  const data = isRecord(secret['data']) ? secret['data'] : {};
  const present = (name: string): boolean => (data[name] ?? '') !== '';
  return {
    ...secret,
    metadata: {
      ...metadata,
      annotations: {
        ...metadata.annotations,
        [NAME_KEY]: account.metadata.name ?? '',
        [UID_KEY]: account.metadata.uid ?? '',
      },
    },
    data: {
      ...data,
      ...(rootCertificate === undefined ? {} : { 'ca.crt': base64(rootCertificate) }),
      ...(present('namespace') ? {} : { namespace: base64(metadata.namespace ?? '') }),
      ...(present('token') ? {} : { token: base64(sign(account, metadata.name ?? '')) }),
    },
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
