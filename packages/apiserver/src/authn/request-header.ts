/**
 * Users as a front proxy names them in headers: believed only from a peer whose certificate is of the proxies'
 * own authority and, where names are given, carries one of them. Modelled on apiserver's headerrequest.
 */

import type { ApiRequest, Headers } from '../api/exchange.ts';
import { commonNameOf, readNames } from '../pki/certificate-reader.ts';
import { AuthenticationError, type Authenticated, type RequestAuthenticator } from './authenticator.ts';
import type { CertificateChain } from './certificate-chain.ts';

/** Headers in any case, as the flags --requestheader-* name them. */
export interface RequestHeaderOptions {
  readonly usernameHeaders: readonly string[];
  readonly uidHeaders?: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraHeaderPrefixes: readonly string[];
  /** Common names of proxies; empty: every certificate of the authority. */
  readonly allowedNames: readonly string[];
}

export class RequestHeaderUsers implements RequestAuthenticator {
  private readonly options: RequestHeaderOptions;
  private readonly chain: CertificateChain;
  private readonly nowMs: () => number;

  constructor(options: RequestHeaderOptions, chain: CertificateChain, nowMs: () => number) {
    this.options = options;
    this.chain = chain;
    this.nowMs = nowMs;
  }

  async authenticate(request: ApiRequest): Promise<Authenticated | undefined> {
    const { certificates } = request.peer;
    if (certificates.length === 0) return undefined;
    this.chain.verify(certificates, this.nowMs());
    const { allowedNames, usernameHeaders, uidHeaders = [], groupHeaders } = this.options;
    const proxy = commonNameOf(readNames(certificates[0]).subject);
    if (allowedNames.length > 0 && !allowedNames.includes(proxy)) {
      throw new AuthenticationError(`x509: subject with cn=${proxy} is not in the allowed list`);
    }
    const { headers } = request;
    const name = firstOf(headers, usernameHeaders);
    if (name === '') return undefined;
    return {
      user: {
        name,
        uid: firstOf(headers, uidHeaders),
        groups: groupHeaders.flatMap((header) => headers.get(header.toLowerCase()) ?? []),
        extra: this.extraOf(headers),
      },
    };
  }

  private extraOf(headers: Headers): Record<string, readonly string[]> {
    const extra = new Map<string, readonly string[]>();
    for (const prefix of this.options.extraHeaderPrefixes.map((one) => one.toLowerCase())) {
      for (const [name, values] of headers) {
        if (!name.startsWith(prefix)) continue;
        const key = unescapeKey(name.slice(prefix.length)).toLowerCase();
        extra.set(key, [...(extra.get(key) ?? []), ...values]);
      }
    }
    return Object.fromEntries(extra);
  }
}

/** Names and prefixes that the filter removes behind authentication. */
export function proxyHeaders(options: RequestHeaderOptions): string[] {
  const { usernameHeaders, uidHeaders = [], groupHeaders, extraHeaderPrefixes } = options;
  return [...usernameHeaders, ...uidHeaders, ...groupHeaders, ...extraHeaderPrefixes].map((one) =>
    one.toLowerCase(),
  );
}

function firstOf(headers: Headers, names: readonly string[]): string {
  for (const name of names) {
    const value = headers.get(name.toLowerCase())?.[0] ?? '';
    if (value !== '') return value;
  }
  return '';
}

function unescapeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
