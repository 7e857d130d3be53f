/**
 * kubernetes-fluent-client against a control plane in this process: apply, get, list, patch, a kind of one's own with a status,
 * and a watch. Its installation is a hundred megabytes, so it is none of ours: npm puts it into a folder that goes with the test, or
 * KEELSON_FLUENT_CLIENT names one with node_modules that has it. Skipped, by a name that says why, where npm cannot.
 */
import { afterAll, expect, test } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startControlPlane } from '../src/index.ts';

const LIMIT_MS = 180_000;
/** 15 s with an empty cache; a registry that hangs is given up. */
const INSTALL_MS = 90_000;
const CLIENT = {
  private: true,
  dependencies: { 'kubernetes-fluent-client': '3.11.11' },
  // What it asks for (25.0.0) registries do not have; only its generator of types uses it.
  overrides: { 'quicktype-core': '25.1.0' },
};

const home = mkdtempSync(path.join(tmpdir(), 'keelson-fluent-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Installed {
  readonly folder: string;
  /** Why it is not there. */
  readonly missing?: string;
}

function install(): Installed {
  const { KEELSON_FLUENT_CLIENT: given } = process.env;
  if (given !== undefined) return { folder: given };
  const folder = path.join(home, 'client');
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(CLIENT));
  const { status, stderr, error } = spawnSync(
    'npm',
    [
      'install',
      // Not where npm runs these tests from.
      `--prefix=${folder}`,
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--no-package-lock',
      '--loglevel=error',
      '--fetch-retries=1',
      '--fetch-timeout=20000',
    ],
    { cwd: folder, timeout: INSTALL_MS, killSignal: 'SIGKILL', encoding: 'utf8' },
  );
  if (status === 0) return { folder };
  const [words] = /(?<=npm error ).+/.exec(stderr) ?? [];
  return { folder, missing: `npm: ${error?.message ?? words ?? `ended with ${String(status)}`}` };
}

const { folder, missing } = install();

/** Runs where the client is installed; each line of its output is an answer. */
const PROGRAM = `
const { K8s, kind, GenericKind, RegisterKind } = await import('kubernetes-fluent-client');
const at = { name: 'a', namespace: 'default' };
const say = (value) => console.log(JSON.stringify(value));
await K8s(kind.ConfigMap).Create({ metadata: at, data: { k: '1' } });
await K8s(kind.ConfigMap).Apply({ metadata: at, data: { k: '2' } }, { force: true });
await K8s(kind.ConfigMap, at).Patch([{ op: 'add', path: '/data/l', value: '3' }]);
say((await K8s(kind.ConfigMap).InNamespace('default').Get('a')).data);
const schema = { type: 'object', properties: {
  spec: { type: 'object', properties: { n: { type: 'integer' } } },
  status: { type: 'object', properties: { phase: { type: 'string' } } },
} };
await K8s(kind.CustomResourceDefinition).Apply({ metadata: { name: 'beds.garden.example.com' }, spec: {
  group: 'garden.example.com', scope: 'Namespaced', names: { plural: 'beds', singular: 'bed', kind: 'Bed' },
  versions: [{ name: 'v1', served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema: schema } }],
} });
class Bed extends GenericKind {}
RegisterKind(Bed, { group: 'garden.example.com', version: 'v1', kind: 'Bed', plural: 'beds' });
const bed = (n) => K8s(Bed).Apply({ metadata: at, spec: { n } });
for (let tries = 0; ; tries += 1) {
  try { await bed(1); break; } catch (error) { if (tries > 500) throw error; await new Promise((done) => setTimeout(done, 20)); }
}
await K8s(Bed).PatchStatus({ metadata: at, spec: { n: 1 }, status: { phase: 'Planted' } });
const seen = [];
let over;
const deleted = new Promise((done) => { over = done; });
const watch = K8s(Bed).InNamespace('default').Watch((object, phase) => {
  seen.push(phase + ' ' + object.spec.n + ' ' + object.status.phase);
  if (seen.length === 1) void bed(2);
  if (phase === 'MODIFIED') void K8s(Bed).InNamespace('default').Delete('a');
  if (phase === 'DELETED') over();
});
await watch.start();
await deleted;
say(seen);
process.exit(0);
`;

(missing === undefined ? test : test.skip)(
  missing === undefined ? 'kubernetes-fluent-client' : `kubernetes-fluent-client (skipped: ${missing})`,
  async () => {
    const plane = await startControlPlane({ readyTimeoutMs: 150_000 });
    try {
      const config = path.join(home, 'config');
      writeFileSync(config, JSON.stringify(plane.kubeConfig()), { mode: 0o600 });
      const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
        cwd: folder,
        // Nothing of where the tests run: neither its cluster nor its settings of node.
        env: { PATH: process.env['PATH'], HOME: home, KUBECONFIG: config },
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: LIMIT_MS - 20_000,
      });
      let out = '';
      let err = '';
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
      const code = await new Promise((resolve) => child.once('close', resolve));
      const answers = out.split('\n').filter((line) => line.startsWith('{') || line.startsWith('['));
      // What node warns of is no failure, and tells why where there is one.
      expect([code, answers, code === 0 ? '' : err]).toEqual([
        0,
        ['{"k":"2","l":"3"}', '["ADDED 1 Planted","MODIFIED 2 Planted","DELETED 2 Planted"]'],
        '',
      ]);
    } finally {
      await plane.stop();
    }
  },
  LIMIT_MS,
);
