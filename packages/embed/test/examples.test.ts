/** What lies in examples/ works: the operator's tests pass, rules refuse what they are said to, the cluster comes and goes. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { startControlPlane } from '../src/index.ts';
import { until } from '../../base/test/until.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const EXAMPLES = path.join(ROOT, 'examples');
const built = existsSync(path.join(ROOT, 'packages/embed/dist/index.js'));
const folder = mkdtempSync(path.join(tmpdir(), 'keelson-examples-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

(built ? describe : describe.skip)('examples (skipped where nothing is built)', () => {
  test('operator', async () => {
    const copy = path.join(folder, 'operator');
    cpSync(path.join(EXAMPLES, 'operator'), copy, { recursive: true });
    const modules: Record<string, string> = {
      jest: 'node_modules/jest',
      '@jest/globals': 'node_modules/@jest/globals',
      '@keelson/embed': 'packages/embed',
      '@kubernetes/client-node': 'packages/embed/node_modules/@kubernetes/client-node',
    };
    for (const [name, at] of Object.entries(modules)) {
      const link = path.join(copy, 'node_modules', name);
      mkdirSync(path.dirname(link), { recursive: true });
      symlinkSync(realpathSync(path.join(ROOT, at)), link);
    }
    const env = { PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}` };
    const ran = await promisify(execFile)('npm', ['test'], { cwd: copy, env });
    expect(ran.stderr).toContain('4 passed, 4 total');
  });

  test('three members', async () => {
    const port = await freePorts();
    const data = path.join(folder, 'three');
    const env = { ...process.env, PORT: String(port), DATA: data };
    const script = spawn(path.join(EXAMPLES, 'three-members/start.sh'), {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      expect(await linesUntil(script, 'export KUBECONFIG')).toEqual([
        'ready; Ctrl-C ends it',
        `export ETCDCTL_ENDPOINTS=${[0, 10, 20].map((more) => `http://127.0.0.1:${port + more}`).join(',')}`,
        `export KUBECONFIG=${data}/pki/admin.conf`,
      ]);
      const health = ['endpoint', 'health', '--cluster', `--endpoints=http://127.0.0.1:${port}`];
      const { stdout } = await promisify(execFile)(path.join(ROOT, 'bin/etcdctl'), health);
      expect(stdout.match(/is healthy/g)).toHaveLength(3);
    } finally {
      script.kill('SIGTERM');
      if (script.exitCode === null && script.signalCode === null) await once(script, 'exit');
    }
    expect(script.exitCode).toBe(0);
  });
});

test('cel-rules', async () => {
  const plane = await startControlPlane({ controllers: [] });
  try {
    const at = path.join(EXAMPLES, 'cel-rules');
    const send = async (target: string, file: string): Promise<{ code: number; message: string }> => {
      const answer = await plane.call(`${target}?fieldManager=test&force=true`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/apply-patch+yaml' },
        body: readFileSync(path.join(at, file)),
      });
      const { message = '' } = JSON.parse((await answer.bytes()).toString()) as { message?: string };
      return { code: answer.code, message };
    };
    const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    const defined = await send(`${definitions}/volumes.example.com`, 'definition.yaml');
    expect(defined).toEqual({ code: 201, message: '' });
    const volumes = '/apis/example.com/v1/namespaces/default/volumes';
    await until(async () => (await plane.call(volumes)).code === 200, 'the kind is served');
    const files = readdirSync(at).filter((name) => /^\d/.test(name));
    expect(files).toHaveLength(7);
    for (const file of files.toSorted()) {
      const text = readFileSync(path.join(at, file), 'utf8');
      const name = /name: (\w+)/.exec(text)?.[1] ?? '';
      const refused = /^# refused: (.*)$/m.exec(text)?.[1];
      const { code, message } = await send(`${volumes}/${name}`, file);
      if (refused === undefined) expect([file, code < 300, message]).toEqual([file, true, '']);
      else expect([file, code, message]).toEqual([file, 422, expect.stringContaining(refused)]);
    }
  } finally {
    await plane.stop();
  }
});

/** @returns the first of 31 ports of which those that the script takes were free a moment ago */
async function freePorts(): Promise<number> {
  for (;;) {
    const first = await listening(0);
    const others = await Promise.all(
      [1, 10, 11, 20, 21, 30].map((more) => listening(first.port + more).catch(() => undefined)),
    );
    for (const each of [first, ...others]) each?.close();
    if (others.every((each) => each !== undefined)) return first.port;
  }
}

async function listening(port: number): Promise<{ readonly port: number; close(): void }> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, close: () => void server.close() };
}

async function linesUntil(child: ChildProcess, last: string): Promise<string[]> {
  const lines: string[] = [];
  if (child.stdout === null) throw new Error('no output');
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line.startsWith(last)) break;
  }
  return lines;
}
