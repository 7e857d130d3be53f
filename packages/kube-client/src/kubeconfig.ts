/**
 * Kubeconfig files: several are joined into one as kubectl does, a context is chosen, and what it says of server and
 * credentials becomes a client's configuration. Files that it names are read through a function; a pod's own
 * configuration is found the same way.
 *
 * Modelled on client-go's tools/clientcmd. Credential plugins (`exec`) and the removed `auth-provider` are refused: this
 * client starts no programs.
 */

import { isRecord } from './objects.ts';

/** How a server is reached, and as whom. */
export interface ClientConfig {
  readonly server: string;
  /** Of the context; `default` where it says none. */
  readonly namespace: string;
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly serverName?: string;
    readonly insecure?: boolean;
  };
  /** The Authorization header of the next request; a token file is read anew each time. */
  readonly authorization?: () => Promise<string | undefined>;
}

export class KubeconfigError extends Error {}

export interface KubeconfigFile {
  /** Of the file, for the paths that are relative to it. */
  readonly folder: string;
  readonly text: string;
}

export type ReadFile = (path: string) => Promise<string>;

interface Named {
  readonly value: Readonly<Record<string, unknown>>;
  readonly folder: string;
}

interface Joined {
  readonly currentContext: string;
  readonly clusters: ReadonlyMap<string, Named>;
  readonly users: ReadonlyMap<string, Named>;
  readonly contexts: ReadonlyMap<string, Named>;
}

/**
 * The configuration of a context.
 *
 * @param files in order: the first that says something is believed
 * @param parse YAML, which JSON is as well
 * @param context the current one unless said
 * @throws KubeconfigError for what is missing or not supported
 */
export async function loadKubeconfig(
  files: readonly KubeconfigFile[],
  parse: (text: string) => unknown,
  readFile: ReadFile,
  context?: string,
): Promise<ClientConfig> {
  const joined = join(files, parse);
  const name = context ?? joined.currentContext;
  if (name === '') throw new KubeconfigError('no context is chosen: current-context is not set');
  const chosen = joined.contexts.get(name);
  if (chosen === undefined) throw new KubeconfigError(`context "${name}" does not exist`);
  const clusterName = textOf(chosen.value['cluster']);
  const cluster = joined.clusters.get(clusterName);
  if (cluster === undefined) throw new KubeconfigError(`cluster "${clusterName}" does not exist`);
  const userName = textOf(chosen.value['user']);
  const user = joined.users.get(userName);
  if (user === undefined && userName !== '')
    throw new KubeconfigError(`auth info "${userName}" does not exist`);
  const server = textOf(cluster.value['server']);
  if (server === '') throw new KubeconfigError(`cluster "${clusterName}" has no server`);
  const insecure = cluster.value['insecure-skip-tls-verify'] === true;
  const ca = await material(cluster, 'certificate-authority', readFile);
  if (insecure && ca !== undefined) {
    throw new KubeconfigError('specifying a root certificates file with the insecure flag is not allowed');
  }
  const cert = user === undefined ? undefined : await material(user, 'client-certificate', readFile);
  const key = user === undefined ? undefined : await material(user, 'client-key', readFile);
  const serverName = textOf(cluster.value['tls-server-name']);
  const authorization = user === undefined ? undefined : authorizationOf(user, userName, readFile);
  return {
    server,
    namespace: textOf(chosen.value['namespace']) || 'default',
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(serverName === '' ? {} : { serverName }),
      ...(insecure ? { insecure } : {}),
    },
    ...(authorization === undefined ? {} : { authorization }),
  };
}

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * What a pod knows of its cluster.
 *
 * @throws KubeconfigError outside of a cluster
 */
export async function inClusterConfig(
  environment: Readonly<Record<string, string | undefined>>,
  readFile: ReadFile,
): Promise<ClientConfig> {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '';
  if (host === '' || port === '') {
    throw new KubeconfigError(
      'unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined',
    );
  }
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: (await readFile(`${ACCOUNT}/namespace`)).trim(),
    tls: { ca: await readFile(`${ACCOUNT}/ca.crt`) },
    authorization: async () => `Bearer ${(await readFile(`${ACCOUNT}/token`)).trim()}`,
  };
}

function join(files: readonly KubeconfigFile[], parse: (text: string) => unknown): Joined {
  const joined = {
    currentContext: '',
    clusters: new Map<string, Named>(),
    users: new Map<string, Named>(),
    contexts: new Map<string, Named>(),
  };
  for (const { text, folder } of files) {
    const config = parse(text) ?? {};
    if (!isRecord(config)) throw new KubeconfigError('a kubeconfig is a map');
    joined.currentContext ||= textOf(config['current-context']);
    for (const [list, inner] of [
      ['clusters', 'cluster'],
      ['users', 'user'],
      ['contexts', 'context'],
    ] as const) {
      const entries: readonly unknown[] = Array.isArray(config[list]) ? config[list] : [];
      for (const entry of entries) {
        if (!isRecord(entry) || typeof entry['name'] !== 'string') {
          throw new KubeconfigError(`an entry of ${list} has no name`);
        }
        const value = isRecord(entry[inner]) ? entry[inner] : {};
        const { name } = entry;
        if (!joined[list].has(name)) joined[list].set(name, { value, folder });
      }
    }
  }
  return joined;
}

/** A certificate or key: given as data, which counts, or as a file. */
async function material(
  { value, folder }: Named,
  name: string,
  readFile: ReadFile,
): Promise<string | undefined> {
  const data = textOf(value[`${name}-data`]);
  if (data !== '') return Buffer.from(data, 'base64').toString('utf8');
  const path = textOf(value[name]);
  return path === '' ? undefined : await readFile(resolve(folder, path));
}

function authorizationOf(
  { value, folder }: Named,
  name: string,
  readFile: ReadFile,
): ClientConfig['authorization'] {
  if (value['exec'] !== undefined && value['exec'] !== null) {
    throw new KubeconfigError(`user "${name}" has a credential plugin (exec), which is not supported`);
  }
  if (value['auth-provider'] !== undefined && value['auth-provider'] !== null) {
    throw new KubeconfigError(`user "${name}" has an auth-provider, which is not supported`);
  }
  const token = textOf(value['token']);
  const tokenFile = textOf(value['tokenFile']);
  const username = textOf(value['username']);
  const password = textOf(value['password']);
  // A file goes before the token beside it, as in client-go.
  if (tokenFile !== '') {
    return async () => `Bearer ${(await readFile(resolve(folder, tokenFile))).trim()}`;
  }
  if (token !== '') return () => Promise.resolve(`Bearer ${token}`);
  if (username === '' && password === '') return undefined;
  const basic = Buffer.from(`${username}:${password}`).toString('base64');
  return () => Promise.resolve(`Basic ${basic}`);
}

function resolve(folder: string, path: string): string {
  return path.startsWith('/') || folder === '' ? path : `${folder}/${path}`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
