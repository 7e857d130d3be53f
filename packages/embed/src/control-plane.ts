/**
 * A control plane inside this process: a member of the store and a kube-apiserver, joined by a channel without a socket;
 * clients come over TLS on a port of the loopback, or in process. Several live side by side, they share nothing; after
 * `stop` nothing of one is left.
 */
import { randomInt } from 'node:crypto';
import { join, resolve } from 'node:path';
import {
  CredentialFolder,
  CredentialMemory,
  gatherCredentials,
  KubeApiServer,
  parseConfig,
  processWorld,
  quotaAccounts,
  readFile,
  requestSigners,
  servingNames,
  type AdmissionFunction,
  type CallAnswer,
  type CallOptions,
  type ServerCredentials,
  type ServerConfig,
} from '@keelson/apiserver';
import { Prng, silentLogger, systemClock, type Clock, type Logger } from '@keelson/base';
import type { Client } from '@keelson/client';
import { startControllers, type RunningControllers } from '@keelson/controllers';
import { kubeConfigOf, type KubeConfig } from './kube-config.ts';
import { StoreMember } from './store-member.ts';

export interface ControlPlaneOptions {
  /** Members of the store. A process is one point of failure whatever it holds: one is all there can be. */
  readonly nodes?: 1;
  /** `memory`, the default: gone with the process. A folder: found again by the next start. */
  readonly disk?: 'memory' | { readonly path: string };
  /** Of the loopback; the system chooses unless said. */
  readonly port?: number;
  /** Flags of kube-apiserver beside those that follow from the other options; files that they name are read at the start. */
  readonly flags?: readonly string[];
  /**
   * Functions that writes have to pass, of this control plane alone: they change objects by what they return, warn,
   * annotate and refuse.
   */
  readonly admission?: readonly AdmissionFunction[];
  /** Control loops, as kube-controller-manager's --controllers says them: all (`*`) unless said, none with []. */
  readonly controllers?: readonly string[];
  /** Nothing is logged unless said. */
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** How long to wait for /readyz, ms; a minute unless said. */
  readonly readyTimeoutMs?: number;
}

export interface ControlPlane {
  /** `https://127.0.0.1:39123`. */
  readonly url: string;
  /** Talks to the store as any client of etcd does. */
  readonly etcd: Client;
  /** The administrator's credentials. JSON.stringify makes a kubeconfig file of it. */
  kubeConfig(): KubeConfig;
  /** A request without a socket, as the server itself. */
  call(target: string, options?: CallOptions): Promise<CallAnswer>;
  /** Ends everything; calling it again waits for the same end. */
  stop(): Promise<void>;
}

const POLICY_VERSION = 'admissionregistration.k8s.io/v1';
const HOST = '127.0.0.1';
/** Unless said. */
export const READY_TIMEOUT_MS = 60_000;

/**
 * Starts one; resolves when it is ready.
 *
 * @throws Error for options and flags that cannot be, a folder in use, or when it is not ready in time; nothing is left then
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  checkOptions(options);
  const { disk = 'memory', clock = systemClock, logger = silentLogger } = options;
  const folder = disk === 'memory' ? undefined : resolve(disk.path);
  const config = configOf(options);
  const machine = { hostname: 'localhost', addresses: [] };
  const credentials = gatherCredentials({
    config,
    store: folder === undefined ? new CredentialMemory() : new CredentialFolder(join(folder, 'apiserver')),
    readFile,
    names: servingNames(config, machine, ''),
    nowMs: clock.nowMs(),
  });
  await othersTurn();
  const member = await StoreMember.start({
    folder: folder === undefined ? undefined : join(folder, 'store'),
    clock,
    logger,
  });
  let server: KubeApiServer;
  try {
    server = new KubeApiServer({
      config,
      credentials,
      client: member.client,
      clock,
      logger,
      ...processWorld(clock),
      machine,
      admission: options.admission ?? [],
      build: { commit: '', date: '1970-01-01T00:00:00Z', platform: `${process.platform}/${process.arch}` },
    });
  } catch (error) {
    await member.stop();
    throw error;
  }
  const plane = new EmbeddedControlPlane(member, server, credentials);
  try {
    await othersTurn();
    await plane.begin(options.readyTimeoutMs ?? READY_TIMEOUT_MS);
    const { controllers = ['*'] } = options;
    await othersTurn();
    if (controllers.length > 0) plane.startControllers(controllers, clock, logger);
    return plane;
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

/** Between steps of a start that take a while each: what else the process does is not held up by all of them at once. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

class EmbeddedControlPlane implements ControlPlane {
  private readonly member: StoreMember;
  private readonly server: KubeApiServer;
  private readonly credentials: ServerCredentials;
  private controllers: RunningControllers | undefined = undefined;
  private stopped: Promise<void> | undefined = undefined;

  constructor(member: StoreMember, server: KubeApiServer, credentials: ServerCredentials) {
    this.member = member;
    this.server = server;
    this.credentials = credentials;
  }

  get url(): string {
    return `https://${HOST}:${this.server.securePort}`;
  }

  get etcd(): Client {
    return this.member.client;
  }

  async begin(readyTimeoutMs: number): Promise<void> {
    await this.server.start();
    await this.server.untilReady(AbortSignal.timeout(readyTimeoutMs));
  }

  startControllers(controllers: readonly string[], clock: Clock, logger: Logger): void {
    const { rootCertificate, clientAuthority: authority } = this.credentials;
    const prng = new Prng(randomInt(2 ** 32));
    const transport = this.server;
    const running = startControllers({
      transport,
      clock,
      prng,
      logger,
      controllers,
      rootCertificate,
      quotaAccounts,
      policyWarnings: (policy) =>
        transport.policyWarnings({
          apiVersion: POLICY_VERSION,
          kind: 'ValidatingAdmissionPolicy',
          ...policy,
        }),
      certificates: requestSigners(
        authority === undefined
          ? {}
          : {
              'kubelet-serving': authority,
              'kubelet-client': authority,
              'kube-apiserver-client': authority,
              'legacy-unknown': authority,
            },
        () => clock.nowMs(),
      ),
      signSecretToken: (account, secretName) =>
        transport.secretToken({ apiVersion: 'v1', kind: 'ServiceAccount', ...account }, secretName),
    });
    transport.metrics.add({ name: 'workqueue', text: () => running.metrics.text() });
    this.controllers = running;
  }

  kubeConfig(): KubeConfig {
    const { admin, rootCertificate } = this.credentials;
    if (admin === undefined) throw new Error('--client-ca-file leaves certificates of users to others');
    return kubeConfigOf(this.url, rootCertificate, admin);
  }

  call(target: string, options?: CallOptions): Promise<CallAnswer> {
    return this.server.call(target, options);
  }

  stop(): Promise<void> {
    this.stopped ??= this.end();
    return this.stopped;
  }

  /** What waits for an answer is not waited for: who stops a control plane is done with it. */
  private async end(): Promise<void> {
    await this.controllers?.stop();
    await this.server.stop(true);
    await this.member.stop();
  }
}

/** Every option there is: a record, so that none can be forgotten. */
const OPTIONS: Readonly<Record<keyof ControlPlaneOptions, true>> = {
  nodes: true,
  disk: true,
  port: true,
  flags: true,
  admission: true,
  controllers: true,
  logger: true,
  clock: true,
  readyTimeoutMs: true,
};

/** Flags that say what other options say, or what is so: the store is in the process. */
const TAKEN = /^--?(etcd-servers|cert-dir)(=|$)/;

/**
 * What a compiler refuses, for those who have none: an option that nobody reads is a wish that nobody hears.
 * @throws Error
 */
function checkOptions(options: ControlPlaneOptions): void {
  const refuse = (words: string): never => {
    throw new Error(`startControlPlane: ${words}`);
  };
  for (const name of Object.keys(options))
    if (!Object.hasOwn(OPTIONS, name))
      refuse(`there is no option ${JSON.stringify(name)}; there are ${Object.keys(OPTIONS).join(', ')}`);
  const {
    nodes = 1,
    disk = 'memory',
    flags = [],
  }: { nodes?: number } & Omit<ControlPlaneOptions, 'nodes'> = options;
  if (nodes !== 1)
    refuse(`nodes is 1 in a process, not ${nodes}: "keelson up" starts three members as processes`);
  if (disk !== 'memory' && (typeof disk !== 'object' || typeof disk.path !== 'string'))
    refuse(`disk is 'memory' or { path: FOLDER }, not ${JSON.stringify(disk)}`);
  if (!Array.isArray(flags) || flags.some((flag) => typeof flag !== 'string'))
    refuse(`flags is a list of texts such as '--v=4', not ${JSON.stringify(flags)}`);
  for (const flag of flags)
    if (TAKEN.test(flag))
      refuse(`${flag} cannot be: the store is in the process, and disk says where it keeps`);
}

/** @throws Error with the text the command would print */
function configOf({ port = 0, flags = [] }: ControlPlaneOptions): ServerConfig {
  const parsed = parseConfig(
    [
      '--etcd-servers=http://in-process',
      `--bind-address=${HOST}`,
      `--secure-port=${port}`,
      ...(flags.some((flag) => /^--authorization-(mode|config)\b/.test(flag))
        ? []
        : ['--authorization-mode=Node,RBAC']),
      '--allow-privileged=true',
      '--enable-bootstrap-token-auth',
      '--enable-admission-plugins=NodeRestriction',
      ...flags,
    ],
    'startControlPlane',
  );
  if (parsed.kind === 'config') return parsed.config;
  throw new Error(parsed.kind === 'invalid' ? parsed.message : 'no flags');
}
