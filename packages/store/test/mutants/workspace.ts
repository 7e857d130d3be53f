/**
 * A place to break the store in: a temporary copy of it and of the packages that it and its tests need, as sources. One
 * mutant at a time is put into it and taken out again. The repository is read once, when the copy is made, and never
 * written.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Mutant, mutate } from './mutant.ts';

const REPOSITORY = path.resolve(import.meta.dirname, '../../../..');
/** Recordings of the other implementation, beside the repository; a user's clone has none. */
const SHARED = path.resolve(REPOSITORY, '../shared');

/** What the store and its tests import of the project. */
const PACKAGES = ['base', 'raft', 'rpc', 'sim', 'client', 'store'];
const PARTS = ['src', 'test', 'README.md'];

/** Links what a package has installed, but for the project's own packages. */
function linkOthers(installed: string, target: string): void {
  mkdirSync(target, { recursive: true });
  if (!existsSync(installed)) return;
  for (const name of readdirSync(installed)) {
    if (name !== '@keelson') symlinkSync(path.join(installed, name), path.join(target, name));
  }
}

export class Workspace {
  /** Laid out as the repository is. */
  readonly root: string;
  private readonly home: string;
  private restore: (() => void) | undefined;

  constructor() {
    this.home = mkdtempSync(path.join(tmpdir(), 'store-mutants-'));
    this.root = path.join(this.home, 'main');
    mkdirSync(this.root);
    if (existsSync(SHARED)) symlinkSync(SHARED, path.join(this.home, 'shared'));
    for (const part of ['package.json', 'jest.config.js', 'scripts', 'tests/harness']) this.copy(part);
    for (const name of PACKAGES) for (const part of PARTS) this.copy(`packages/${name}/${part}`);
    for (const part of ['gen', 'test', 'wire']) this.copy(`proto/${part}`);
    const scope = path.join(this.root, 'node_modules/@keelson');
    linkOthers(path.join(REPOSITORY, 'node_modules'), path.join(this.root, 'node_modules'));
    mkdirSync(scope, { recursive: true });
    for (const name of PACKAGES) this.install(`packages/${name}`, name, './src/index.ts', scope);
    this.install('proto', 'proto', './gen/index.ts', scope);
  }

  private copy(part: string): void {
    const from = path.join(REPOSITORY, part);
    const filter = (source: string): boolean =>
      !/\/(dist|node_modules)(\/|$)/.test(source.slice(REPOSITORY.length));
    if (existsSync(from)) cpSync(from, path.join(this.root, part), { recursive: true, filter });
  }

  /** By name, as sources: a build may be old or missing, and all must share one base. */
  private install(folder: string, name: string, entry: string, scope: string): void {
    const target = path.join(this.root, folder);
    const manifest = { name: `@keelson/${name}`, version: '0.0.0', type: 'module', exports: { '.': entry } };
    writeFileSync(path.join(target, 'package.json'), JSON.stringify(manifest));
    linkOthers(path.join(REPOSITORY, folder, 'node_modules'), path.join(target, 'node_modules'));
    symlinkSync(target, path.join(scope, name));
  }

  /** @throws MutantError when the mutant does not fit the copy */
  apply(mutant: Mutant): void {
    this.heal();
    const file = path.join(this.root, 'packages', mutant.file);
    const source = readFileSync(file, 'utf8');
    writeFileSync(file, mutate(source, mutant));
    this.restore = () => writeFileSync(file, source);
  }

  /** The copy is the store again. */
  heal(): void {
    this.restore?.();
    this.restore = undefined;
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}
