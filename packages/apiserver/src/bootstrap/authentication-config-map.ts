/**
 * kube-system/extension-apiserver-authentication: by whose certificates this server knows its clients and its front
 * proxies, for servers that leave authentication to it (start-cluster-authentication-info-controller). Several
 * servers write there: what they say is joined, never taken away while it is good.
 *
 * Modelled on kubernetes' clusterauthenticationtrust controller.
 */

import { X509Certificate } from 'node:crypto';

import type { KubeObject } from '../api/meta.ts';
import { textMap } from '../validation/value.ts';
import { ensure, storeOf } from './ensure.ts';
import type { PostStartHook } from './post-start-hooks.ts';

/** What a server takes from front proxies; header names as they were configured. */
export interface RequestHeaderFacts {
  /** PEM. */
  readonly clientCA: string;
  readonly allowedNames: readonly string[];
  readonly usernameHeaders: readonly string[];
  readonly uidHeaders?: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraHeaderPrefixes: readonly string[];
}

export interface AuthenticationFacts {
  /** PEM of the authorities that sign clients' certificates. */
  readonly clientCA?: string;
  readonly requestHeader?: RequestHeaderFacts;
}

const NAMESPACE = 'kube-system';
const NAME = 'extension-apiserver-authentication';
const EVERY_MS = 60_000;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export function authenticationConfigMap(facts: AuthenticationFacts, nowMs: () => number): PostStartHook {
  return {
    name: 'start-cluster-authentication-info-controller',
    everyMs: EVERY_MS,
    async run(stores) {
      await ensure(storeOf(stores, { group: '', resource: 'namespaces' }), {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: NAMESPACE },
      });
      const own = dataOf(facts);
      const map: KubeObject = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: NAME, namespace: NAMESPACE },
        data: joined(own, {}, nowMs()),
      };
      await ensure(storeOf(stores, { group: '', resource: 'configmaps' }), map, (stored) => {
        const before = textMap(stored, 'data');
        const data = joined(own, before, nowMs());
        return sameTexts(before, data) ? stored : { ...stored, data };
      });
    },
  };
}

function dataOf({ clientCA, requestHeader }: AuthenticationFacts): Record<string, string> {
  const data: Record<string, string> = {};
  if (clientCA !== undefined) data['client-ca-file'] = clientCA;
  if (requestHeader === undefined) return data;
  data['requestheader-client-ca-file'] = requestHeader.clientCA;
  for (const [key, values] of listsOf(requestHeader)) data[key] = JSON.stringify(values);
  return data;
}

function listsOf(facts: RequestHeaderFacts): [string, readonly string[]][] {
  return [
    ['requestheader-allowed-names', facts.allowedNames],
    ['requestheader-extra-headers-prefix', facts.extraHeaderPrefixes],
    ['requestheader-group-headers', facts.groupHeaders],
    ['requestheader-uid-headers', facts.uidHeaders ?? []],
    ['requestheader-username-headers', facts.usernameHeaders],
  ];
}

/** What is there with what this server says; members nobody here knows stay. */
function joined(
  own: Readonly<Record<string, string>>,
  before: Readonly<Record<string, string>>,
  nowMs: number,
): Record<string, string> {
  const data: Record<string, string> = { ...before };
  for (const [key, value] of Object.entries(own)) {
    const there = before[key] ?? '';
    data[key] = key.endsWith('-file') ? joinCertificates(there, value, nowMs) : joinLists(there, value);
  }
  return data;
}

/** Certificates of both, each once, those that ended left out. */
function joinCertificates(there: string, own: string, nowMs: number): string {
  const kept = new Map<string, string>();
  for (const [pem] of [...there.matchAll(PEM), ...own.matchAll(PEM)]) {
    try {
      const certificate = new X509Certificate(pem);
      if (Date.parse(certificate.validTo) > nowMs) kept.set(certificate.fingerprint256, pem);
    } catch {
      // What is no certificate says nothing to anybody.
    }
  }
  return [...kept.values()].map((pem) => `${pem}\n`).join('');
}

function joinLists(there: string, own: string): string {
  const values = new Set([...listOfText(there), ...listOfText(own)]);
  return JSON.stringify([...values]);
}

function listOfText(text: string): string[] {
  if (text === '') return [];
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

function sameTexts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
