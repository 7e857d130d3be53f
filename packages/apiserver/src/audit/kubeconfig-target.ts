/**
 * The server a kubeconfig names, and what it is shown: for backends that an operator points at a server with such a file.
 * Only what is in the file or in files it names; no commands are run for credentials.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { readYaml } from '../codec/yaml.ts';
import { flag, part, parts, text } from '../validation/value.ts';

export interface KubeconfigTarget {
  /** https, with its path. */
  readonly url: string;
  /** PEM; empty: the system's authorities. */
  readonly caBundle: string;
  /** Value of the Authorization header; empty without. */
  readonly authorization: string;
  /** PEM of what the client shows. */
  readonly pair: { readonly cert: string; readonly key: string } | undefined;
}

/**
 * @param file its text
 * @param readFile a file that it names
 * @throws Error for a file that names no server, or what is not supported
 */
export function kubeconfigTarget(file: string, readFile: (path: string) => string): KubeconfigTarget {
  const value = readYaml(file);
  if (!isJsonObject(value)) throw new Error('invalid configuration: no configuration has been provided');
  const context = named(value, 'contexts', 'context', text(value, 'current-context'));
  const cluster = named(value, 'clusters', 'cluster', text(context, 'cluster'));
  const user = named(value, 'users', 'user', text(context, 'user'));
  const server = text(cluster, 'server');
  if (!URL.canParse(server)) throw new Error('invalid configuration: no server found for the cluster');
  if (flag(cluster, 'insecure-skip-tls-verify')) {
    throw new Error('insecure-skip-tls-verify is not supported: name the authority of the server');
  }
  if (isJsonObject(user['exec']) || isJsonObject(user['auth-provider'])) {
    throw new Error('credentials of a command are not supported');
  }
  const given = (of: JsonObject, name: string): string => {
    const data = text(of, `${name}-data`);
    if (data !== '') return Buffer.from(data, 'base64').toString('utf8');
    const path = text(of, name);
    return path === '' ? '' : readFile(path);
  };
  const cert = given(user, 'client-certificate');
  const key = given(user, 'client-key');
  const tokenFile = text(user, 'tokenFile');
  const token = tokenFile === '' ? text(user, 'token') : readFile(tokenFile).trim();
  const name = text(user, 'username');
  const basic =
    name === '' ? '' : `Basic ${Buffer.from(`${name}:${text(user, 'password')}`).toString('base64')}`;
  return {
    url: server,
    caBundle: given(cluster, 'certificate-authority'),
    authorization: token === '' ? basic : `Bearer ${token}`,
    pair: cert === '' || key === '' ? undefined : { cert, key },
  };
}

/** The entry of that name; the only one where none is said. */
function named(value: JsonObject, list: string, member: string, name: string): JsonObject {
  const entries = parts(value, list);
  const entry = entries.find((one: JsonObject) => text(one, 'name') === name) ?? only(entries);
  return entry === undefined ? {} : part(entry, member);
}

function only(entries: readonly JsonObject[]): JsonObject | undefined {
  const [first]: readonly (Json | undefined)[] = entries;
  return entries.length === 1 && isJsonObject(first) ? first : undefined;
}
