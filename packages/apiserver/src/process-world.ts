/** What a server takes from the process it lives in: files, dice, the network by which issuers of tokens are asked. */

import { randomInt, randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';

import { toError, type Clock } from '@keelson/base';

import type { KubeApiServerOptions } from './kube-apiserver.ts';
import { OidcProvider } from './assembly/oidc-provider.ts';

export type ProcessWorld = Pick<
  KubeApiServerOptions,
  'uuid' | 'random' | 'lookup' | 'readFile' | 'issuerKeys'
>;

export function processWorld(clock: Clock): ProcessWorld {
  return {
    uuid: randomUUID,
    random: (limit) => randomInt(limit),
    lookup: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
    readFile,
    issuerKeys: (source) => {
      const fetchJson = async (url: string, trusted: string | undefined): Promise<unknown> =>
        (await import('./assembly/fetch-json.ts')).fetchJson(url, trusted);
      const provider = new OidcProvider(source, fetchJson, clock);
      return (refresh) => provider.current(refresh);
    },
  };
}

const TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
};

/** A file's text. @throws Error with Go's words for what is wrong with the file */
export function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
    throw new Error(`open ${path}: ${TEXTS[code] ?? toError(error).message}`, { cause: error });
  }
}
