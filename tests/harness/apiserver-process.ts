/**
 * One API server process before a store that somebody else keeps: start, kill, stop, start again on the same port and with
 * the same certificates. Several share a folder of certificates, so that one client's credentials are good for all.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { HopelessError, waitUntil } from './waiting.ts';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const START_MS = 120_000;

export interface ApiServerOptions {
  readonly name: string;
  readonly port: number;
  /** `http://127.0.0.1:2379` */
  readonly store: string;
  /** Where certificates lie. */
  readonly certificates: string;
  /** For its log. */
  readonly home: string;
  readonly flags?: readonly string[];
  /** Beside this process's own. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface AdminCredentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export class ApiServerProcess {
  readonly options: ApiServerOptions;
  readonly url: string;
  private readonly logFile: string;
  private child: ChildProcess | undefined;
  /** If this process dies first, the server is killed with it. */
  private readonly killAtExit = (): void => {
    if (this.running) this.child?.kill('SIGKILL');
  };

  constructor(options: ApiServerOptions) {
    this.options = options;
    this.url = `https://127.0.0.1:${options.port}`;
    this.logFile = path.join(options.home, `${options.name}.log`);
  }

  get running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  get pid(): number | undefined {
    return this.running ? this.child?.pid : undefined;
  }

  /** Spawns the process; waits for nothing. */
  start(): void {
    if (this.running) throw new Error(`${this.options.name} runs already`);
    const { port, store, certificates, flags = [], environment = {} } = this.options;
    const log = openSync(this.logFile, 'a', 0o600);
    const args = [
      'apiserver',
      `--etcd-servers=${store}`,
      `--cert-dir=${certificates}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      '--authorization-mode=Node,RBAC',
      ...flags,
    ];
    this.child = spawn(path.join(ROOT, 'bin', 'keelson'), args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...environment },
    });
    closeSync(log);
    process.off('exit', this.killAtExit);
    process.once('exit', this.killAtExit);
  }

  /** Resolves when /readyz is well. @throws HopelessError with the log when the process ends before */
  async ready(): Promise<void> {
    await waitUntil(`${this.options.name} is ready`, { timeoutMs: START_MS, everyMs: 20 }, async () => {
      if (!this.running) throw new HopelessError(`${this.options.name} ended\n${this.logTail()}`);
      return (await this.status('/readyz')) === 200 || undefined;
    });
  }

  /** Code of an answer to an anonymous request; 0 for none. */
  async status(target: string): Promise<number> {
    return (await this.ask(target))?.code ?? 0;
  }

  /** An anonymous request; undefined when no answer comes. */
  ask(target: string): Promise<{ code: number; retryAfter: string | undefined; text: string } | undefined> {
    return new Promise((resolve) => {
      const asked = request(
        `${this.url}${target}`,
        { rejectUnauthorized: false, agent: false, timeout: 5_000 },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8');
          answer.on('data', (chunk: string) => (text += chunk));
          answer.on('error', () => resolve(undefined));
          answer.on('end', () =>
            resolve({ code: answer.statusCode ?? 0, retryAfter: answer.headers['retry-after'], text }),
          );
        },
      );
      asked.on('error', () => resolve(undefined));
      asked.on('timeout', () => asked.destroy(new Error('no answer')));
      asked.end();
    });
  }

  /** The administrator's credentials, as the server wrote them. */
  credentials(): AdminCredentials {
    const file = readFileSync(path.join(this.options.certificates, 'admin.conf'), 'utf8');
    const data = (name: string): string => {
      const found = new RegExp(`${name}: *"?([A-Za-z0-9+/=]+)`).exec(file)?.[1];
      if (found === undefined) throw new Error(`admin.conf has no ${name}`);
      return Buffer.from(found, 'base64').toString('utf8');
    };
    return {
      ca: data('certificate-authority-data'),
      cert: data('client-certificate-data'),
      key: data('client-key-data'),
    };
  }

  /** kill -9; resolves when the process is gone. */
  kill(): Promise<void> {
    return this.end('SIGKILL');
  }

  /** Asks it to stop. @returns its exit code */
  async stop(): Promise<number | null> {
    await this.end('SIGTERM');
    return this.child?.exitCode ?? null;
  }

  logTail(lines = 30): string {
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  private end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    process.off('exit', this.killAtExit);
    if (child === undefined || !this.running) return Promise.resolve();
    return new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.kill(signal);
    });
  }
}
