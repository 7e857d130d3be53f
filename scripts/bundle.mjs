// Makes one file (and a few for what is loaded late) of each program that serves, out of what the build left in packages/*/dist,
// so that a start reads some files instead of a thousand. The executables in bin/ take a bundle only when it is newer than
// every build (bin/runtime.sh): it may be missing or stale at any time. Packages of others stay where they are.
//
//   node scripts/bundle.mjs [FOLDER]        etcd/, kube-apiserver/, keelson/ in the folder; dist/ unless told
import { createRequire } from 'node:module';
import { readFileSync, realpathSync, renameSync, rmSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const [asked = path.join(root, 'dist')] = process.argv.slice(2);
if (asked.startsWith('-')) {
  process.stderr.write('usage: node scripts/bundle.mjs [FOLDER]\n');
  process.exit(asked === '--help' ? 0 : 2);
}
const folder = path.resolve(asked);
const { build } = createRequire(path.join(root, 'packages/embed/package.json'))('esbuild');
const PROGRAMS = { etcd: 'store', 'kube-apiserver': 'apiserver', keelson: 'cli' };
const ENTRY = 'main.js';

/** Each module finds what lies beside it, and knows that it is not the program, as if it were alone in its file. */
function ownUrls(directory, entry) {
  return {
    name: 'own-urls',
    setup(bundling) {
      bundling.onLoad({ filter: /\/dist\/.*\.js$/ }, ({ path: file }) => {
        const text = readFileSync(file, 'utf8');
        if (file === entry || !text.includes('import.meta.url')) return undefined;
        const place = JSON.stringify(path.relative(directory, file));
        return { contents: text.replaceAll('import.meta.url', `new URL(${place}, import.meta.url).href`) };
      });
    },
  };
}

/** The package of ours that a directory belongs to. */
function packageOf(directory) {
  const [first, second] = path.relative(root, directory).split(path.sep);
  return path.join(root, first === 'packages' ? path.join(first, second) : first);
}

/** Others' packages are found from here as from the package of ours that needs them. */
function others(directory) {
  return {
    name: 'others',
    setup(bundling) {
      bundling.onResolve({ filter: /^[^./]/ }, async ({ path: wanted, kind, resolveDir, pluginData }) => {
        if (pluginData === 'asked' || kind === 'entry-point' || /^(node:|@keelson\/)/.test(wanted))
          return undefined;
        const found = await bundling.resolve(wanted, { kind, resolveDir, pluginData: 'asked' });
        if (found.errors.length > 0) return found;
        // By the link, which stays when another version is installed.
        const [scope, rest] = wanted.split('/');
        const link = path.join(
          packageOf(resolveDir),
          'node_modules',
          scope,
          scope.startsWith('@') ? rest : '',
        );
        const file = path.join(link, path.relative(realpathSync(link), found.path));
        return { path: path.relative(directory, file), external: true };
      });
    },
  };
}

const began = new Date();
for (const [program, name] of Object.entries(PROGRAMS)) {
  const entry = path.join(root, 'packages', name, 'dist', ENTRY);
  const target = path.join(folder, program);
  // Beside its place: what is read by a program that starts now stays whole until all of the next one is there.
  const fresh = `${target}.new`;
  rmSync(fresh, { recursive: true, force: true });
  await build({
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    splitting: true,
    outdir: fresh,
    legalComments: 'none',
    logLevel: 'warning',
    absWorkingDir: root,
    plugins: [ownUrls(target, entry), others(target)],
  });
  // As old as what was read: a build meanwhile is newer.
  utimesSync(path.join(fresh, ENTRY), began, began);
  rmSync(target, { recursive: true, force: true });
  renameSync(fresh, target);
}
