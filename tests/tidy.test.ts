/**
 * Guards the plan of the house: doors between packages, ranks of folders, cycles, dead files, bans in the
 * rooms that only compute, names, sizes. The rules as data are in tidy/plan.ts. Each rule is first shown at
 * work on a made-up file, then run on the repository.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import {
  checkAmbient,
  checkCycles,
  checkDeadFiles,
  checkDoors,
  checkLoose,
  checkManifests,
  checkModuleState,
  checkNames,
  checkOutside,
  checkRanks,
  checkShape,
  checkSynchronous,
  type Manifest,
} from './tidy/checks.ts';
import { DOORS } from './tidy/plan.ts';
import { listFiles, readSource, readSources, type Source } from './tidy/sources.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

type Files = Readonly<Record<string, string>>;
/** The part of package.json and tsconfig.build.json that matters here. */
interface Json {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly references?: readonly { readonly path: string }[];
}
type Check = (sources: readonly Source[]) => string[];

function made(files: Files): Source[] {
  return Object.entries(files).map(([file, text]) => readSource(file, text));
}

const ranks: Check = (sources) => checkRanks(sources, []);
const ambient: Check = (sources) => checkAmbient(sources, []);
const STORE = 'packages/store/src';
/** In two halves: this file is checked as well. */
const LATER = ['TO', 'DO'].join('');

describe('a rule finds', () => {
  test.each<[string, Check, Files, string[]]>([
    [
      'a package that is not on the list',
      checkDoors,
      { 'packages/raft/src/a.ts': "import type { X } from '@keelson/proto';" },
      ['packages/raft/src/a.ts may not import @keelson/proto'],
    ],
    [
      'a dynamic import of a package that is not on the list',
      checkDoors,
      { 'packages/client/src/a.ts': "export const x = () => import('@keelson/store');" },
      ['packages/client/src/a.ts may not import @keelson/store'],
    ],
    [
      'an import type of a package that is not on the list',
      checkDoors,
      { 'packages/base/src/a.ts': "export type X = import('@keelson/raft').RawNode;" },
      ['packages/base/src/a.ts may not import @keelson/raft'],
    ],
    [
      'a way past a door, also in a test',
      checkDoors,
      { 'packages/raft/test/a.ts': "export * from '@keelson/base/dist/heap.js';" },
      ['packages/raft/test/a.ts goes past a door: @keelson/base/dist/heap.js'],
    ],
    [
      'a way around the door',
      checkDoors,
      { 'packages/store/test/a.ts': "import '../../raft/src/log.ts';" },
      ['packages/store/test/a.ts reaches into another package: ../../raft/src/log.ts'],
    ],
    [
      'a higher rank',
      ranks,
      { [`${STORE}/mvcc/a.ts`]: "import type { H } from '../watch/hub.ts';" },
      [`${STORE}/mvcc/a.ts [2] may not import ${STORE}/watch/hub.ts [3]`],
    ],
    [
      'another room of the same rank',
      ranks,
      { [`${STORE}/lease/a.ts`]: "export { x } from '../mvcc/store.ts';" },
      [`${STORE}/lease/a.ts [2] may not import ${STORE}/mvcc/store.ts [2]`],
    ],
    [
      'a file without a room',
      ranks,
      { [`${STORE}/attic/a.ts`]: '' },
      [`${STORE}/attic/a.ts has no room in the plan`],
    ],
    [
      'nothing in a lower rank or its own room',
      ranks,
      { [`${STORE}/apply/a.ts`]: "import '../mvcc/b.ts'; import './c.ts';" },
      [],
    ],
    [
      'a circle of types',
      checkCycles,
      {
        'packages/raft/src/a.ts': "import type { B } from './b.ts';",
        'packages/raft/src/b.ts': "import { C } from './c.ts';",
        'packages/raft/src/c.ts': "export type A = import('./a.ts').A;",
        'packages/raft/src/d.ts': "import './a.ts';",
      },
      ['cycle: packages/raft/src/a.ts <-> packages/raft/src/b.ts <-> packages/raft/src/c.ts'],
    ],
    [
      'files that nothing, or only a test, leads to',
      checkDeadFiles,
      {
        'packages/raft/src/index.ts': "export * from './a.ts';",
        'packages/raft/src/a.ts': "new Worker(new URL('./worker.ts', import.meta.url));",
        'packages/raft/src/worker.ts': '',
        'packages/raft/src/dead.ts': '',
        'packages/raft/src/tested.ts': '',
        'packages/raft/src/tested.test.ts': "import './tested.ts'; import '../test/stage.ts';",
        'packages/raft/test/stage.ts': "import './gone.ts';",
        'packages/raft/test/unused.ts': '',
      },
      [
        'packages/raft/src/dead.ts is dead: nothing leads to it',
        'packages/raft/src/tested.ts is used by tests alone: no door leads to it',
        'packages/raft/test/stage.ts imports packages/raft/test/gone.ts, which is not there',
        'packages/raft/test/unused.ts is dead: no test or script uses it',
      ],
    ],
    [
      "Node's modules and packages out of place",
      checkOutside,
      { [`${STORE}/mvcc/a.ts`]: "import 'node:fs'; import { ClassicLevel } from 'classic-level';" },
      [`${STORE}/mvcc/a.ts may not import node:fs`, `${STORE}/mvcc/a.ts may not import classic-level`],
    ],
    [
      'clocks, dice, timers and the process',
      ambient,
      {
        [`${STORE}/lease/a.ts`]:
          'const t = Date.now(), d = new Date(), r = Math.random; setTimeout(f, process.pid); globalThis.x;',
      },
      ['Date.now', 'new Date()', 'Math.random', 'setTimeout', 'process', 'globalThis'].map(
        (name) => `${STORE}/lease/a.ts uses ${name}`,
      ),
    ],
    [
      'no clock in a comment, a string, a key, an argument of the same name',
      ambient,
      {
        [`${STORE}/lease/a.ts`]:
          "// Date.now()\nconst s = 'Date.now()'; o.process; f({ setTimeout: 1 }); const g = (performance: P) => performance.x; new Date(nowMs);",
      },
      [],
    ],
    [
      'a clock outside the store',
      ambient,
      { 'packages/rpc/src/a.ts': 'export const now = performance.now();' },
      ['packages/rpc/src/a.ts uses performance'],
    ],
    [
      'async, await and for await in apply',
      checkSynchronous,
      {
        [`${STORE}/apply/a.ts`]: 'export async function f() {}',
        [`${STORE}/apply/b.ts`]: 'export class B { async f() {} }',
        [`${STORE}/apply/c.ts`]: 'export const c = await x;',
        [`${STORE}/apply/d.ts`]: 'export const d = { async d() {} };',
        [`${STORE}/apply/e.ts`]: 'for await (const e of f) e();',
        [`${STORE}/apply/f.ts`]: 'export const f = () => 1;',
      },
      ['a', 'b', 'c', 'd', 'e'].map((name) => `${STORE}/apply/${name}.ts is asynchronous`),
    ],
    [
      'state at module level',
      checkModuleState,
      {
        'packages/base/src/a.ts': [
          'let count = 0;',
          'export const seen = new Map<string, number>();',
          'const list: number[] = [];',
          'const table = Buffer.alloc(4); table[0] = 1;',
          'const box = { n: 0 }; export function f() { box.n += 1; table[1] = 2; names.push(3); box.n++; }',
          'const names: readonly number[] = [1]; const words = [1] as const;',
          'const fixed: ReadonlySet<number> = new Set([1]); const frozen = Object.freeze([1]);',
          'export class A { static total = 0; static readonly MAX = 1; own = 2; }',
        ].join('\n'),
      },
      [
        'let count',
        'const seen, a collection that is not typed as readonly',
        'const list, a collection that is not typed as readonly',
        'box, assigned to in a function',
        'table, assigned to in a function',
        'names, changed by push() in a function',
        'box, counted in a function',
        'static total, not readonly',
      ].map((what) => `packages/base/src/a.ts: ${what}`),
    ],
    [
      'names',
      checkNames,
      {
        'packages/base/src/fooBar.ts': '',
        'packages/base/src/string-utils.ts': '',
        'packages/store/src/mvcc/index.ts': '',
        'packages/base/src/key-index.test.ts': '',
      },
      [
        'packages/base/src/fooBar.ts is not in kebab-case',
        'packages/base/src/string-utils.ts is named after no noun',
        "packages/store/src/mvcc/index.ts: index.ts stands only at a package's door",
      ],
    ],
    [
      'a file without an opening, and one that is too long',
      checkShape,
      {
        'packages/base/src/a.ts': '/** Short. */\nexport {};\n',
        'packages/base/src/b.ts': `// What this file is for, in one line.\n${'\n'.repeat(700)}`,
        'packages/base/src/index.ts': '\n',
      },
      ['packages/base/src/a.ts does not open with what it is for', 'packages/base/src/b.ts has 701 lines'],
    ],
    [
      'loose ends',
      checkLoose,
      {
        'packages/base/src/a.ts': `// ${LATER}: tomorrow`,
        'packages/base/src/b.ts': `// ${LATER}(#12): when the issue is done`,
        'packages/base/src/c.test.ts': "test.only('x', f);",
        'packages/base/src/d.test.ts': "const t = x ? test : test.skip; t('y', f);",
        'packages/base/src/e.test.ts': "test.skip('needs etcd', f); reader.skip();",
        'packages/base/src/f.test.ts': 'test.skip(`x: ${missing}`, f);',
      },
      [
        'packages/base/src/a.ts leaves something for later without naming an issue',
        "packages/base/src/c.test.ts: .only without a reason in a test's name",
        "packages/base/src/d.test.ts: .skip without a reason in a test's name",
      ],
    ],
  ])('%s', (_name, check, files, want) => {
    expect(check(made(files))).toEqual(want);
  });

  test('an exception that nothing needs', () => {
    const exception = { from: `${STORE}/peer/`, to: `${STORE}/wal/entry-codec.ts`, reason: 'shared' };
    const using = made({ [`${STORE}/peer/a.ts`]: "import '../wal/entry-codec.ts';" });
    expect(checkRanks(using, [exception])).toEqual([]);
    expect(checkRanks([], [exception])).toEqual([
      `exception not needed: ${exception.from} -> ${exception.to}`,
    ]);
  });

  test('a manifest that says more or less than the sources', () => {
    const sources = made({
      'packages/rpc/src/a.ts': "import '@keelson/base'; import '@grpc/grpc-js'; import 'ws';",
    });
    const manifest: Manifest = {
      package: 'rpc',
      dependencies: { '@keelson/base': 'workspace:*', '@grpc/grpc-js': '^1.14.7', yaml: '2.9.1' },
      references: ['raft'],
    };
    expect(checkManifests(sources, [manifest])).toEqual([
      'package rpc imports ws undeclared',
      'package rpc does not pin @grpc/grpc-js: ^1.14.7',
      'package rpc declares yaml and never imports it',
      'package rpc imports [base], its build refers to [raft]',
    ]);
  });
});

describe('the repository', () => {
  const sources = readSources(root);

  test.each<[string, Check]>([
    ['packages meet at their doors', checkDoors],
    ['a folder imports lower ranks only', checkRanks],
    ['no file imports itself by a circle', checkCycles],
    ['every file is in use', checkDeadFiles],
    ['outside modules enter where the plan lets them', checkOutside],
    ['time, chance and the process are arguments', checkAmbient],
    ['what must not wait cannot wait', checkSynchronous],
    ['nothing at module level changes', checkModuleState],
    ['names are nouns in kebab-case', checkNames],
    ['files open with their purpose and stay short', checkShape],
    ['nothing is left loose', checkLoose],
  ])('%s', (_name, check) => {
    expect(sources.length).toBeGreaterThan(100);
    expect(check(sources)).toEqual([]);
  });

  test('manifests and build references say what is imported', () => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own files; a wrong shape fails below
    const json = (file: string) => JSON.parse(readFileSync(path.join(root, file), 'utf8')) as Json;
    const manifests = Object.keys(DOORS).map((name): Manifest => {
      const folder = name === 'proto' ? 'proto' : `packages/${name}`;
      return {
        package: name,
        dependencies: json(`${folder}/package.json`).dependencies ?? {},
        references: (json(`${folder}/tsconfig.build.json`).references ?? []).map(
          (one) => one.path.split('/').at(-2) ?? '',
        ),
      };
    });
    expect(checkManifests(sources, manifests)).toEqual([]);
  });

  test('what the documents point at is there', () => {
    const documents = [
      ...readdirSync(root).filter((name) => name.endsWith('.md')),
      ...listFiles(root, (name) => name.endsWith('.md'), ['docs', 'packages', 'proto', 'tests']),
    ];
    expect(documents).toContain('README.md');
    const missing: string[] = [];
    for (const document of documents) {
      const text = readFileSync(path.join(root, document), 'utf8').replaceAll(/```[\s\S]*?```/g, '');
      for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g))
        if (!/^[a-z]+:/.test(target) && !existsSync(path.join(root, path.dirname(document), target)))
          missing.push(`${document}: link to ${target}`);
      for (const [, target = ''] of text.matchAll(/`((?:docs|packages|proto|scripts|tests|bin)\/[\w./-]+)`/g))
        if (!existsSync(path.join(root, target))) missing.push(`${document}: ${target}`);
    }
    expect(missing).toEqual([]);
  });

  test('scripts open with their purpose and leave nothing loose', () => {
    const scripts = listFiles(root, (name) => name.endsWith('.mjs'));
    expect(scripts).toContain('scripts/bootstrap.mjs');
    for (const file of scripts) {
      const text = readFileSync(path.join(root, file), 'utf8');
      expect([file, /^(#!.*\n)?\/\/ /.test(text), text.includes(LATER)]).toEqual([file, true, false]);
    }
  });
});
