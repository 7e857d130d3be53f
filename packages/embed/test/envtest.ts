/**
 * Clusters for tests written with a client library: a control plane in this process, and bin/kube-apiserver as Go's envtest
 * starts it, with its flags, certificates of its own making and an etcd beside it, which can be started again.
 */
import { CertificateAuthority } from '@keelson/apiserver';
import { KubeConfig } from '@kubernetes/client-node';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../base/test/free-ports.ts';
import { startControlPlane } from '../src/index.ts';
import { kubeConfigOf } from '../src/kube-config.ts';

export interface Cluster {
  readonly config: KubeConfig;
  /** Ends the server and starts it again on what it has stored; undefined where a test does not. */
  readonly restart?: () => Promise<void>;
  stop(): Promise<void>;
}

export function load(config: object): KubeConfig {
  const made = new KubeConfig();
  made.loadFromString(JSON.stringify(config));
  return made;
}

export async function embedded(): Promise<Cluster> {
  const plane = await startControlPlane({ readyTimeoutMs: 150_000 });
  return { config: load(plane.kubeConfig()), stop: () => plane.stop() };
}

const ROOT = path.resolve(import.meta.dirname, '../../..');
export const APISERVER = path.join(ROOT, 'bin/kube-apiserver');
const ETCD = path.join(ROOT, 'bin/etcd');
export const built =
  existsSync(path.join(ROOT, 'packages/apiserver/dist/main.js')) &&
  existsSync(path.join(ROOT, 'packages/store/dist/main.js')) &&
  existsSync(path.join(ROOT, 'node_modules/.keelson-node'));

function statusOf(url: string): Promise<number> {
  return new Promise((resolve) => {
    request(url, { rejectUnauthorized: false, agent: false }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode ?? 0));
      answer.on('error', () => resolve(0));
    })
      .on('error', () => resolve(0))
      .end();
  });
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}

export async function asEnvtest(): Promise<Cluster> {
  const folder = mkdtempSync(path.join(tmpdir(), 'keelson-envtest-'));
  const file = (name: string, text: string): string => {
    const at = path.join(folder, name);
    writeFileSync(at, text);
    return at;
  };
  const now = Date.now();
  const serving = CertificateAuthority.create('serving', now);
  const users = CertificateAuthority.create('users', now);
  const signer = serving.server('sa-signer', ['sa-signer'], now);
  const own = serving.server('apiserver', ['127.0.0.1', 'localhost'], now);
  file('apiserver.crt', own.certificate);
  file('apiserver.key', own.key);
  const [client, peer, port] = await freePorts(3);
  const store = spawn(
    ETCD,
    [
      `--data-dir=${folder}/etcd`,
      `--listen-client-urls=http://127.0.0.1:${client}`,
      `--advertise-client-urls=http://127.0.0.1:${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      '--unsafe-no-fsync',
    ],
    { stdio: 'ignore' },
  );
  const args = [
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--cert-dir=${folder}`,
    `--etcd-servers=http://127.0.0.1:${client}`,
    `--secure-port=${port}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    '--allow-privileged=true',
    '--disable-admission-plugins=ServiceAccount',
    '--authorization-mode=RBAC',
    `--client-ca-file=${file('client-cert-auth-ca.crt', users.certificate)}`,
    `--service-account-issuer=https://127.0.0.1:${port}/`,
    `--service-account-key-file=${file('sa-signer.crt', signer.certificate)}`,
    `--service-account-signing-key-file=${file('sa-signer.key', signer.key)}`,
  ];
  const url = `https://127.0.0.1:${port}`;
  let said = '';
  const begin = async (): Promise<ChildProcess> => {
    const server = spawn(APISERVER, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    server.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
    // As envtest: without credentials, until it is well.
    for (let count = 0; (await statusOf(`${url}/healthz`)) !== 200; count += 1) {
      if (server.exitCode !== null || count > 1_200) {
        store.kill('SIGKILL');
        server.kill('SIGKILL');
        throw new Error(`kube-apiserver is not well: ${said}`);
      }
      await sleep(100);
    }
    return server;
  };
  let running = await begin();
  const end = async (): Promise<void> => {
    running.kill('SIGTERM');
    const code = await ended(running);
    if (code !== 0) throw new Error(`kube-apiserver ended with ${String(code)}: ${said}`);
  };
  const restart = async (): Promise<void> => {
    await end();
    running = await begin();
  };
  const stop = async (): Promise<void> => {
    try {
      await end();
    } finally {
      store.kill('SIGTERM');
      await ended(store);
      rmSync(folder, { recursive: true, force: true });
    }
  };
  const admin = users.client({ commonName: 'admin', organizations: ['system:masters'] }, now);
  return { config: load(kubeConfigOf(url, serving.certificate, admin)), restart, stop };
}

/** Until it is so; bounded, as everything that is waited for. */
export async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let count = 0; count < 2_000; count += 1) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(25);
  }
  throw new Error('waited for in vain');
}
