// Makes @keelson/embed a package that stands alone: what it is built of in one file each for import and for require, the
// types of all packages it is made of, and a manifest that names what it needs from elsewhere. Wants a build before it.
//
//   node packages/embed/pack.mjs FOLDER      then `npm pack FOLDER`, or a dependency "file:FOLDER"
import { build } from 'esbuild';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write('usage: node packages/embed/pack.mjs FOLDER\n');
  process.exit(2);
}
const target = path.resolve(folder);
const manifestOf = (name) => JSON.parse(readFileSync(path.join(folderOf(name), 'package.json'), 'utf8'));

/** Of a package of ours. */
function folderOf(name) {
  return path.join(root, name === 'proto' ? name : `packages/${name}`);
}

/** Our packages that one needs, itself among them, and what they need of others', with its version. */
function closure(name, ours = new Set(), others = new Map()) {
  ours.add(name);
  for (const [needed, version] of Object.entries(manifestOf(name).dependencies ?? {})) {
    if (!needed.startsWith('@keelson/')) others.set(needed, version);
    else if (!ours.has(needed.slice('@keelson/'.length)))
      closure(needed.slice('@keelson/'.length), ours, others);
  }
  return { ours, others };
}

const { ours, others } = closure('embed');
rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });

// A module of ours does nothing when it is loaded but say what it has: what nobody uses may be left out.
const withoutEffects = {
  name: 'without-effects',
  setup(bundling) {
    bundling.onResolve(
      { filter: /^(\.|@keelson\/)/ },
      async ({ path: wanted, kind, importer, resolveDir, pluginData }) => {
        if (pluginData === 'asked' || kind === 'entry-point') return undefined;
        const found = await bundling.resolve(wanted, { kind, importer, resolveDir, pluginData: 'asked' });
        return { ...found, sideEffects: false };
      },
    );
  },
};
const shared = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  external: [...others.keys()],
  legalComments: 'none',
  logLevel: 'warning',
  plugins: [withoutEffects],
  absWorkingDir: root,
};
const entry = path.join(folderOf('embed'), 'dist', 'index.js');
await build({
  ...shared,
  entryPoints: [entry],
  format: 'esm',
  splitting: true,
  outdir: target,
  outExtension: { '.js': '.mjs' },
});
await build({
  ...shared,
  entryPoints: [entry],
  format: 'cjs',
  outfile: path.join(target, 'index.cjs'),
  // A test runner that keeps modules of its own has no import() without a flag.
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'importMetaUrl' },
  banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
});

/** The declarations of a package, their imports of our packages led to their copies. */
function copyTypes(name) {
  const from = path.join(folderOf(name), 'dist');
  const to = path.join(target, 'types', name);
  for (const file of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.d.ts') || !statSync(path.join(from, file)).isFile()) continue;
    const text = readFileSync(path.join(from, file), 'utf8')
      .replace(/\n\/\/# sourceMappingURL=.*/, '')
      .replace(/(from |import\()'(\.[^']*)\.ts'/g, "$1'$2.js'")
      .replace(/(from |import\()'@keelson\/([a-z-]+)'/g, (_all, before, needed) => {
        const door = path.join(target, 'types', needed, needed === 'proto' ? 'gen/index.js' : 'index.js');
        const relative = path.relative(path.dirname(path.join(to, file)), door);
        return `${before}'${relative.startsWith('.') ? relative : `./${relative}`}'`;
      });
    mkdirSync(path.dirname(path.join(to, file)), { recursive: true });
    writeFileSync(path.join(to, file), text);
  }
}
for (const name of ours) copyTypes(name);
// The same declarations for require: a file is read as what the manifest beside it says.
cpSync(path.join(target, 'types'), path.join(target, 'types-cjs'), { recursive: true });
writeFileSync(path.join(target, 'types-cjs', 'package.json'), '{ "type": "commonjs" }\n');

const { name, version, description, license } = manifestOf('embed');
const manifest = {
  name,
  version,
  description,
  license,
  type: 'module',
  engines: { node: '>=22' },
  main: './index.cjs',
  types: './types-cjs/embed/index.d.ts',
  exports: {
    '.': {
      import: { types: './types/embed/index.d.ts', default: './index.mjs' },
      require: { types: './types-cjs/embed/index.d.ts', default: './index.cjs' },
    },
    './package.json': './package.json',
  },
  dependencies: Object.fromEntries([...others].toSorted(([a], [b]) => (a < b ? -1 : 1))),
};
writeFileSync(path.join(target, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
for (const file of ['LICENSE', 'packages/embed/README.md']) {
  cpSync(path.join(root, file), path.join(target, path.basename(file)));
}
