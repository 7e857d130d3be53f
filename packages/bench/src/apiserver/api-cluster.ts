/**
 * What the benchmark of the API server runs against: a member of the store and a kube-apiserver, each a process, and
 * beside them the echo on the same port's code. Data, keys and logs lie in one directory that is removed at the end.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { DialTlsOptions } from '@keelson/rpc';
import { makeCertificate } from '@keelson/store';
import { Cluster, freePorts, type ServerUsage, type Subject } from '../servers.ts';
import { ApiClient } from './api-client.ts';
import { ApiProcess, ROOT } from './api-process.ts';

export interface ApiClusterOptions {
  readonly directory: string;
  /** Of the store's member. */
  readonly program: string;
  /** Control loops in the API server's process. */
  readonly loops: boolean;
  readonly flags: readonly string[];
  readonly profiled: boolean;
}

const HOUR_MS = 3_600_000;
const NAMESPACE_PATH = '/api/v1/namespaces';
/** Where everything is made that is measured. */
export const NAMESPACE = 'bench';

/** An API server with its store. */
export class ApiCluster implements Subject {
  readonly label = 'keelson';
  readonly addresses: readonly string[];
  gone = false;
  /** From the start of the process until /readyz was well. */
  readyMs = 0;
  readonly home: string;
  private readonly store: Cluster;
  private readonly options: ApiClusterOptions;
  private process: ApiProcess | undefined = undefined;

  private constructor(options: ApiClusterOptions, store: Cluster, port: number, home: string) {
    this.options = options;
    this.store = store;
    this.addresses = [`127.0.0.1:${port}`];
    this.home = home;
  }

  /** @param made told at once, so that it can be disposed of */
  static async start(options: ApiClusterOptions, made: (cluster: ApiCluster) => void): Promise<ApiCluster> {
    const { directory, program } = options;
    const home = mkdtempSync(path.join(directory, 'keelson-bench-'));
    let store: Cluster | undefined;
    const common = { members: 1, directory: home, flags: [], tls: false, profiled: options.profiled };
    try {
      store = await Cluster.start({ ...common, label: 'store', program, transport: 'native' }, (one) => {
        store = one;
      });
    } catch (error) {
      await store?.dispose();
      rmSync(home, { recursive: true, force: true });
      throw error;
    }
    const [port] = await freePorts(1);
    const cluster = new ApiCluster(options, store, port, home);
    made(cluster);
    await cluster.startServer();
    return cluster;
  }

  get server(): ApiProcess {
    if (this.process === undefined) throw new Error('the API server is not running');
    return this.process;
  }

  get storeMember(): Cluster {
    return this.store;
  }

  /** The administrator's, which the server made at its first start. */
  get tls(): DialTlsOptions {
    const read = (name: string): Buffer => readFileSync(path.join(this.certificates, name));
    return { ca: [read('ca.crt')], cert: read('admin.crt'), key: read('admin.key') };
  }

  private get certificates(): string {
    return path.join(this.home, 'apiserver');
  }

  /** Resolves when /readyz is well; `readyMs` says after how long. */
  async startServer(): Promise<void> {
    const { flags, loops, profiled } = this.options;
    const common = [
      `--etcd-servers=${this.store.addresses.map((address) => `http://${address}`).join(',')}`,
      `--cert-dir=${this.certificates}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${this.addresses[0].split(':')[1]}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      ...flags,
    ];
    const started = new ApiProcess({
      name: 'kube-apiserver',
      program: path.join(ROOT, 'bin', loops ? 'keelson' : 'kube-apiserver'),
      args: loops ? ['apiserver', ...common, '--controllers=*'] : common,
      log: path.join(this.home, 'apiserver.log'),
      profiles: profiled ? this.profiles : undefined,
    });
    this.process = started;
    this.readyMs = await started.until(() => this.isReady());
  }

  /** Where a profiled server leaves its profile. */
  get profiles(): string {
    return path.join(this.home, 'apiserver.profiles');
  }

  async stopServer(): Promise<void> {
    await this.process?.stop();
    this.process = undefined;
  }

  /** Its clients are asked for so many connections; whoever opens it closes it. */
  client(connections: number): Promise<ApiClient> {
    return ApiClient.open(this.addresses[0], this.tls, connections);
  }

  /** A namespace, and the service account that pods in it run as; nothing if it is there. */
  async makeNamespace(client: ApiClient, name: string): Promise<void> {
    const make = async (collection: string, object: object): Promise<void> => {
      const body = Buffer.from(JSON.stringify(object));
      const { status, body: said } = await client.ask(0, { method: 'POST', path: collection, body });
      if (status !== 201 && status !== 409) throw new Error(`POST ${collection}: ${said.toString('utf8')}`);
    };
    await make(NAMESPACE_PATH, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    await make(`${NAMESPACE_PATH}/${name}/serviceaccounts`, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default' },
    });
  }

  usage(): ServerUsage[] {
    return [...(this.process?.usage() ?? []), ...this.store.usage()];
  }

  async dispose(): Promise<void> {
    this.gone = true;
    await this.process?.stop('SIGKILL');
    await this.store.dispose();
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  }

  private async isReady(): Promise<boolean> {
    if (!existsSync(path.join(this.certificates, 'admin.key'))) return false;
    let client: ApiClient | undefined;
    try {
      client = await this.client(1);
      for (;;) {
        const { status } = await client.ask(0, { method: 'GET', path: '/readyz' });
        if (status === 200) return true;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    } catch {
      return false; // Nobody listens yet, or a file is half written.
    } finally {
      client?.close();
    }
  }
}

/** The same port with an echo behind it. */
export class Echo implements Subject {
  readonly label = 'echo';
  readonly addresses: readonly string[];
  readonly tls: DialTlsOptions;
  gone = false;
  private readonly process: ApiProcess;

  private constructor(address: string, tls: DialTlsOptions, started: ApiProcess) {
    this.addresses = [address];
    this.tls = tls;
    this.process = started;
  }

  /** @param home exists; removed by its owner */
  static async start(home: string, made: (echo: Echo) => void): Promise<Echo> {
    const [port] = await freePorts(1);
    const folder = path.join(home, 'echo');
    mkdirSync(folder);
    const nowMs = Date.now();
    const valid = { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + 24 * HOUR_MS };
    const authority = makeCertificate({ commonName: 'bench', ...valid, usages: [], authority: true });
    const pair = makeCertificate(
      { commonName: 'echo', ipAddresses: ['127.0.0.1'], ...valid, usages: ['server', 'client'] },
      authority,
    );
    const write = (name: string, text: string): string => {
      const file = path.join(folder, name);
      writeFileSync(file, text, { mode: 0o600 });
      return file;
    };
    const ca = write('ca.crt', authority.certificate);
    const cert = write('pair.crt', pair.certificate);
    const key = write('pair.key', pair.key);
    const started = new ApiProcess({
      name: 'echo',
      program: { own: 'echo' },
      args: [String(port), cert, key, ca],
      log: path.join(folder, 'log'),
    });
    const tls = { ca: [readFileSync(ca)], cert: readFileSync(cert), key: readFileSync(key) };
    const echo = new Echo(`127.0.0.1:${port}`, tls, started);
    made(echo);
    await started.until(async () => {
      try {
        (await echo.client(1)).close();
        return true;
      } catch {
        return false; // Nobody listens yet.
      }
    });
    return echo;
  }

  client(connections: number): Promise<ApiClient> {
    return ApiClient.open(this.addresses[0], this.tls, connections);
  }

  usage(): ServerUsage[] {
    return this.process.usage();
  }

  async dispose(): Promise<void> {
    this.gone = true;
    await this.process.stop('SIGKILL');
  }
}
