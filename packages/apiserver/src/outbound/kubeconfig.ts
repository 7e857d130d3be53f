/**
 * A kubeconfig file as an API server uses one: where another server is and how the server shows itself there, and, for
 * admission webhooks, which credentials belong to which of many. Reads what was parsed; files that it names are read by
 * who is given. Programs that make credentials (exec) are refused: nobody would watch them here.
 *
 * Modelled on client-go's clientcmd, and on apiserver's util/webhook for whose credentials go where.
 */

import { dirname, resolve } from 'node:path';

import { fieldsOf, listOf, textOf } from '../api/fields.ts';

/** How a server shows itself to another. */
export interface CallCredentials {
  /** PEM. */
  readonly pair?: { readonly cert: string; readonly key: string };
  /** The Authorization header, made at each call: a token's file may be written anew. */
  readonly authorization?: () => string;
}

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

/** The credentials as a call takes them, now. */
export function shownBy({ pair, authorization }: CallCredentials): {
  readonly pair?: { readonly cert: string; readonly key: string };
  readonly authorization?: string;
} {
  return {
    ...(pair === undefined ? {} : { pair }),
    ...(authorization === undefined ? {} : { authorization: authorization() }),
  };
}

type Fields = Readonly<Record<string, unknown>>;
type ReadFile = (path: string) => string;

export class Kubeconfig {
  private readonly value: Fields;
  private readonly folder: string;
  private readonly readFile: ReadFile;

  /**
   * @param value the file's content
   * @param path of the file: those that it names lie beside it
   */
  constructor(value: unknown, path: string, readFile: ReadFile) {
    this.value = fieldsOf(value);
    this.folder = dirname(resolve(path));
    this.readFile = readFile;
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
    return {
      url,
      caBundle: this.data(cluster, 'certificate-authority') ?? '',
      ...(serverName === '' ? {} : { serverName }),
      ...(cluster['insecure-skip-tls-verify'] === true ? { unverified: true } : {}),
      credentials: user === '' ? {} : (this.user(user) ?? this.noUser(user)),
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
    return this.user('*') ?? this.user(textOf(context?.['user'])) ?? {};
  }

  /** @throws Error for one whose credentials cannot be used */
  checkUsers(): void {
    for (const entry of listOf(this.value['users'])) this.user(textOf(fieldsOf(entry)['name']));
  }

  private noUser(name: string): never {
    throw new Error(`invalid configuration: user ${quote(name)} was not found`);
  }

  private user(name: string): CallCredentials | undefined {
    const user = this.named('users', 'user', name);
    if (user === undefined) return undefined;
    if (user['exec'] !== undefined || user['auth-provider'] !== undefined) {
      throw new Error(`user ${quote(name)}: credentials made by a program are not supported`);
    }
    const cert = this.data(user, 'client-certificate');
    const key = this.data(user, 'client-key');
    if ((cert === undefined) !== (key === undefined)) {
      throw new Error(`user ${quote(name)}: client-certificate and client-key must be specified together`);
    }
    const authorization = this.authorization(user);
    return {
      ...(cert === undefined || key === undefined ? {} : { pair: { cert, key } }),
      ...(authorization === undefined ? {} : { authorization }),
    };
  }

  private authorization(user: Fields): (() => string) | undefined {
    const file = textOf(user['tokenFile']);
    if (file !== '') {
      const path = resolve(this.folder, file);
      return () => `Bearer ${this.readFile(path).trim()}`;
    }
    const token = textOf(user['token']);
    if (token !== '') return () => `Bearer ${token}`;
    const [name, password] = [textOf(user['username']), textOf(user['password'])];
    if (name === '' && password === '') return undefined;
    const pair = Buffer.from(`${name}:${password}`, 'utf8').toString('base64');
    return () => `Basic ${pair}`;
  }

  /** `name-data`, in base64, or the text of the file that `name` says. */
  private data(of: Fields, name: string): string | undefined {
    const inline = textOf(of[`${name}-data`]);
    if (inline !== '') return Buffer.from(inline, 'base64').toString('utf8');
    const file = textOf(of[name]);
    return file === '' ? undefined : this.readFile(resolve(this.folder, file));
  }

  private named(list: string, member: string, name: string): Fields | undefined {
    if (name === '') return undefined;
    const found = listOf(this.value[list]).find((entry) => fieldsOf(entry)['name'] === name);
    return found === undefined ? undefined : fieldsOf(fieldsOf(found)[member]);
  }
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
