/**
 * A kubeconfig file as an API server uses one: where another server is and how the server shows itself there, and, for
 * admission webhooks, which credentials belong to which of many. Reads what was parsed; files that it names are read, and
 * programs that make credentials run, by who is given.
 *
 * Modelled on client-go's clientcmd, and on apiserver's util/webhook for whose credentials go where.
 */

import { dirname, resolve } from 'node:path';

import { fieldsOf, listOf, textOf } from '../api/fields.ts';
import { NO_CREDENTIALS, type CallCredentials, type Shown } from './call-credentials.ts';
import { ExecCredentials, execProblems, type ProgramRunner } from './exec-credentials.ts';

/** A server that a kubeconfig names. */
export interface NamedServer {
  readonly url: string;
  /** PEM; empty: the system's authorities. */
  readonly caBundle: string;
  /** The name its certificate is for, where that is not the URL's. */
  readonly serverName?: string;
  /** insecure-skip-tls-verify. */
  readonly unverified?: boolean;
  readonly credentials: CallCredentials;
}

/** What a kubeconfig needs of the process it is read in. */
export interface KubeconfigWorld {
  /** A file's text. @throws with a message that names it */
  readonly readFile: (path: string) => string;
  readonly programs: ProgramRunner;
}

type Fields = Readonly<Record<string, unknown>>;

export class Kubeconfig {
  private readonly value: Fields;
  private readonly folder: string;
  private readonly world: KubeconfigWorld;
  /** A program's credentials are kept for all calls. */
  private readonly made = new Map<string, CallCredentials>();

  /**
   * @param value the file's content
   * @param path of the file: those that it names lie beside it
   */
  constructor(value: unknown, path: string, world: KubeconfigWorld) {
    this.value = fieldsOf(value);
    this.folder = dirname(resolve(path));
    this.world = world;
  }

  /** The server and the user of the current context. @throws Error naming what is missing or cannot be read */
  current(): NamedServer {
    const name = textOf(this.value['current-context']);
    const context = this.named('contexts', 'context', name);
    if (context === undefined) throw new Error(`context was not found for specified context: ${name}`);
    const cluster = this.named('clusters', 'cluster', textOf(context['cluster']));
    const url = textOf(cluster?.['server']);
    if (cluster === undefined || !URL.canParse(url)) {
      throw new Error(`invalid configuration: no server found for cluster ${quote(context['cluster'])}`);
    }
    const serverName = textOf(cluster['tls-server-name']);
    const user = textOf(context['user']);
    const caBundle = this.data(cluster, 'certificate-authority') ?? '';
    const unverified = cluster['insecure-skip-tls-verify'] === true;
    if (unverified && caBundle !== '') {
      throw new Error('specifying a root certificates file with the insecure flag is not allowed');
    }
    return {
      url,
      caBundle,
      ...(serverName === '' ? {} : { serverName }),
      ...(unverified ? { unverified: true } : {}),
      credentials: user === '' ? NO_CREDENTIALS : (this.user(user, cluster) ?? this.noUser(user)),
    };
  }

  /**
   * What a webhook is shown: the user named as its address is, `host:port`, or as one of `*.domain:port`; on port 443
   * also without it; else `*`, else the current context's user, else nothing.
   */
  credentialsFor(address: string): CallCredentials {
    for (const name of namesOf(address)) {
      const found = this.user(name);
      if (found !== undefined) return found;
    }
    const context = this.named('contexts', 'context', textOf(this.value['current-context']));
    return this.user('*') ?? this.user(textOf(context?.['user'])) ?? NO_CREDENTIALS;
  }

  /** @throws Error for one whose credentials cannot be used */
  checkUsers(): void {
    for (const entry of listOf(this.value['users'])) this.user(textOf(fieldsOf(entry)['name']));
  }

  private noUser(name: string): never {
    throw new Error(`invalid configuration: user ${quote(name)} was not found`);
  }

  private user(name: string, cluster: Fields = {}): CallCredentials | undefined {
    const known = this.made.get(name);
    if (known !== undefined) return known;
    const user = this.named('users', 'user', name);
    if (user === undefined) return undefined;
    const credentials = this.credentialsOf(name, user, cluster);
    this.made.set(name, credentials);
    return credentials;
  }

  private credentialsOf(name: string, user: Fields, cluster: Fields): CallCredentials {
    const problems = userProblems(name, user);
    if (problems.length > 0) {
      throw new Error(
        `invalid configuration: ${problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`}`,
      );
    }
    const given = (): Shown => this.shownOf(user);
    // What cannot be read is told when the file is, not at the first call.
    const { pair, authorization } = given();
    const { exec } = user;
    // A program is not asked where the file itself says who the server is.
    if (exec === undefined || exec === null || pair !== undefined || authorization !== undefined) {
      return {
        shown: () => {
          try {
            return Promise.resolve(given());
          } catch (error) {
            return Promise.reject(error instanceof Error ? error : new Error(String(error)));
          }
        },
        refused: () => undefined,
      };
    }
    const said = fieldsOf(exec);
    const command = textOf(said['command']);
    const settled = command.includes('/') ? resolve(this.folder, command) : command;
    return new ExecCredentials(said, settled, this.clusterInfo(cluster), this.world.programs);
  }

  private shownOf(user: Fields): Shown {
    const cert = this.data(user, 'client-certificate');
    const key = cert === undefined ? undefined : this.data(user, 'client-key');
    const authorization = this.authorization(user);
    return {
      ...(cert === undefined || key === undefined ? {} : { pair: { cert, key } }),
      ...(authorization === undefined ? {} : { authorization }),
    };
  }

  private authorization(user: Fields): string | undefined {
    const file = textOf(user['tokenFile']);
    const token = textOf(user['token']);
    if (file !== '') {
      try {
        return `Bearer ${this.world.readFile(resolve(this.folder, file)).trim()}`;
      } catch (error) {
        // A token in place stands in while there is no file.
        if (token === '') throw error;
      }
    }
    if (token !== '') return `Bearer ${token}`;
    const [name, password] = [textOf(user['username']), textOf(user['password'])];
    if (name === '' && password === '') return undefined;
    return `Basic ${Buffer.from(`${name}:${password}`, 'utf8').toString('base64')}`;
  }

  /** What a program is told of the server it makes credentials for. */
  private clusterInfo(cluster: Fields): Fields {
    const kept = [
      'server',
      'tls-server-name',
      'insecure-skip-tls-verify',
      'proxy-url',
      'disable-compression',
    ];
    const authority = this.data(cluster, 'certificate-authority');
    const extension = listOf(cluster['extensions'])
      .map((each) => fieldsOf(each))
      .find(({ name }) => name === `${EXEC_GROUP}/exec`);
    return {
      ...Object.fromEntries(
        kept.flatMap((name) => (cluster[name] === undefined ? [] : [[name, cluster[name]]])),
      ),
      ...(authority === undefined
        ? {}
        : { 'certificate-authority-data': Buffer.from(authority, 'utf8').toString('base64') }),
      ...(extension === undefined ? {} : { config: extension['extension'] }),
    };
  }

  /** `name-data`, in base64, or the text of the file that `name` says. */
  private data(of: Fields, name: string): string | undefined {
    const inline = textOf(of[`${name}-data`]);
    if (inline !== '') return Buffer.from(inline, 'base64').toString('utf8');
    const file = textOf(of[name]);
    return file === '' ? undefined : this.world.readFile(resolve(this.folder, file));
  }

  private named(list: string, member: string, name: string): Fields | undefined {
    if (name === '') return undefined;
    const found = listOf(this.value[list]).find((entry) => fieldsOf(entry)['name'] === name);
    return found === undefined ? undefined : fieldsOf(fieldsOf(found)[member]);
  }
}

const EXEC_GROUP = 'client.authentication.k8s.io';

/** What is wrong with a user, in clientcmd's words. */
function userProblems(name: string, user: Fields): string[] {
  const has = (member: string): boolean => textOf(user[member]) !== '';
  const problems: string[] = [];
  const methods = [
    ...(has('token') ? ['token'] : []),
    ...(has('username') || has('password') ? ['basicAuth'] : []),
  ];
  const cert = has('client-certificate') || has('client-certificate-data');
  if (cert && !has('client-key') && !has('client-key-data')) {
    problems.push(
      `client-key-data or client-key must be specified for ${name} to use the clientCert authentication method.`,
    );
  }
  const { exec, 'auth-provider': provider } = user;
  if (exec !== undefined && exec !== null) {
    if (provider !== undefined) {
      problems.push(`authProvider cannot be provided in combination with an exec plugin for ${name}`);
    }
    problems.push(...execProblems(fieldsOf(exec), name));
  } else if (provider !== undefined && provider !== null) {
    problems.push(`no Auth Provider found for name ${quote(fieldsOf(provider)['name'])}`);
  }
  if (methods.length > 1) {
    problems.push(
      `more than one authentication method found for ${name}; found [${methods.join(' ')}], only one is allowed`,
    );
  }
  return problems;
}

const HTTPS_PORT = ':443';

function namesOf(address: string): string[] {
  const exactAndStars = (text: string): string[] => {
    const steps = text.split('.');
    return [text, ...steps.slice(1).map((_step, index) => `*.${steps.slice(index + 1).join('.')}`)];
  };
  const plain = address.endsWith(HTTPS_PORT) ? exactAndStars(address.slice(0, -HTTPS_PORT.length)) : [];
  return [...exactAndStars(address), ...plain];
}

function quote(value: unknown): string {
  return JSON.stringify(textOf(value));
}
