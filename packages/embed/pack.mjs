// Makes a package of ours stand alone, @keelson/embed unless told: what it is built of in one file each for import and for
// require, the types of all packages it is made of, and a manifest that names what it needs from elsewhere. Wants a build before it.
//
//   node packages/embed/pack.mjs FOLDER [embed|client]              the package's files, in a folder that is made anew
//   node packages/embed/pack.mjs --tarball [FOLDER [embed|client]]  keelson-NAME-VERSION.tgz there, for npm install (which would
//                                                                   only link a folder, without what it needs)
import { spawnSync } from 'node:child_process';
import { build } from 'esbuild';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
/** Major and minor of the oldest Node it runs on; as in scripts/bootstrap.mjs. */
const NODE_MIN = [22, 15];
const PACKAGES = ['embed', 'client'];
const words = process.argv.slice(2);
const tarball = words[0] === '--tarball';
const [folder = tarball ? '.' : undefined, packed = 'embed'] = tarball ? words.slice(1) : words;
if (folder === undefined || folder.startsWith('-') || !PACKAGES.includes(packed)) {
  process.stderr.write(
    `usage: node packages/embed/pack.mjs FOLDER [${PACKAGES.join('|')}] | --tarball [FOLDER [${PACKAGES.join('|')}]]\n`,
  );
  process.exit(2);
}
// Where npm was called, when npm calls this.
const asked = path.resolve(process.env['INIT_CWD'] ?? '.', folder);
const target = tarball ? mkdtempSync(path.join(tmpdir(), 'keelson-pack-')) : asked;
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

const { ours, others } = closure(packed);
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
const entry = path.join(folderOf(packed), 'dist', 'index.js');
/** Programs of threads, found beside the file that starts them. */
const threads =
  packed === 'embed'
    ? { 'yaml-thread': path.join(folderOf('apiserver'), 'dist', 'codec', 'yaml-thread.js') }
    : {};
/** Says what an older Node would say as a name that it does not know. */
const nodeCheck = `const [major, minor] = process.versions.node.split('.').map(Number);
if (major < ${NODE_MIN[0]} || (major === ${NODE_MIN[0]} && minor < ${NODE_MIN[1]}))
  throw new Error(\`@keelson/${packed} needs Node ${NODE_MIN.join('.')} or newer; this is \${process.versions.node}\`);
`;
const { metafile } = await build({
  ...shared,
  entryPoints: { main: entry, ...threads },
  format: 'esm',
  splitting: true,
  outdir: target,
  outExtension: { '.js': '.mjs' },
  metafile: true,
});
const [, { exports: names }] = Object.entries(metafile.outputs).find(([file]) => file.endsWith('/main.mjs'));
// An import that stands in the file itself would be looked at before anything is said.
writeFileSync(
  path.join(target, 'index.mjs'),
  `${nodeCheck}export const { ${names.toSorted().join(', ')} } = await import('./main.mjs');\n`,
);
const cjs = {
  ...shared,
  format: 'cjs',
  // A test runner that keeps modules of its own has no import() without a flag.
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'importMetaUrl' },
  banner: {
    js: `{\n${nodeCheck}}\nconst importMetaUrl = require('node:url').pathToFileURL(__filename).href;`,
  },
};
for (const [name, file] of Object.entries({ index: entry, ...threads }))
  await build({ ...cjs, entryPoints: [file], outfile: path.join(target, `${name}.cjs`) });

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

const { name, version, description, license } = manifestOf(packed);
const manifest = {
  name,
  version,
  description,
  license,
  type: 'module',
  engines: { node: `>=${NODE_MIN.join('.')}` },
  main: './index.cjs',
  types: `./types-cjs/${packed}/index.d.ts`,
  exports: {
    '.': {
      import: { types: `./types/${packed}/index.d.ts`, default: './index.mjs' },
      require: { types: `./types-cjs/${packed}/index.d.ts`, default: './index.cjs' },
    },
    './package.json': './package.json',
  },
  dependencies: Object.fromEntries([...others].toSorted(([a], [b]) => (a < b ? -1 : 1))),
};
writeFileSync(path.join(target, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
for (const file of ['LICENSE', `packages/${packed}/README.md`]) {
  cpSync(path.join(root, file), path.join(target, path.basename(file)));
}

if (tarball) {
  mkdirSync(asked, { recursive: true });
  // What npm would say of settings of the user's concerns other programs.
  const { status, stdout, stderr, error } = spawnSync(
    'npm',
    ['pack', '--json', '--loglevel=error', '--pack-destination', asked],
    { cwd: target, encoding: 'utf8' },
  );
  rmSync(target, { recursive: true, force: true });
  if (status !== 0) {
    process.stderr.write(`npm pack failed: ${error?.message ?? stderr}\n`);
    process.exit(1);
  }
  const [{ filename }] = JSON.parse(stdout);
  const file = path.join(asked, filename);
  process.stdout.write(
    `${file}\nIn your project: npm install ${packed === 'embed' ? '--save-dev ' : ''}${file}\n`,
  );
}
