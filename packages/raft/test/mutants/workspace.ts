/**
 * A place to break the core in: a temporary copy of packages/raft and of the packages it needs, and the
 * conversations in one folder. One mutant at a time is put into it and taken out again. The repository is
 * read once, when the copy is made, and never written.
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
const RAFT = path.join(REPOSITORY, 'packages/raft');
/** Upstream's conversations, beside the repository; a user's clone has none. */
const SHARED = path.resolve(REPOSITORY, '../shared/raft-testdata');

/** What raft and its tests import of the project. */
const PACKAGES = ['base', 'sim'];

/** Links what a package has installed, but for the project's own packages. */
function linkOthers(installed: string, target: string): void {
  mkdirSync(target, { recursive: true });
  if (!existsSync(installed)) return;
  for (const name of readdirSync(installed)) {
    if (name !== '@keelson') symlinkSync(path.join(installed, name), path.join(target, name));
  }
}

export class Workspace {
  /** Laid out as the repository is; its packages/raft is the copy. */
  readonly root: string;
  readonly raft: string;
  readonly conversations: string;
  /** What a unit test's path must match to be run; empty for all of them. */
  readonly unitTests: string;
  private restore: (() => void) | undefined;

  constructor(unitTests: string) {
    this.unitTests = unitTests;
    this.root = mkdtempSync(path.join(tmpdir(), 'raft-mutants-'));
    this.raft = path.join(this.root, 'packages/raft');
    this.conversations = path.join(this.root, 'conversations');
    for (const part of ['src', 'test', 'package.json', 'README.md']) {
      cpSync(path.join(RAFT, part), path.join(this.raft, part), { recursive: true });
    }
    cpSync(path.join(RAFT, 'test/testdata'), path.join(this.conversations, 'own'), { recursive: true });
    if (existsSync(SHARED)) cpSync(SHARED, path.join(this.conversations, 'shared'), { recursive: true });
    for (const part of ['package.json', 'jest.config.js']) {
      cpSync(path.join(REPOSITORY, part), path.join(this.root, part));
    }
    this.copyPackages();
  }

  /**
   * The packages that raft's sources and tests import, as sources and by name: a build may be old or missing,
   * and all must share one base.
   */
  private copyPackages(): void {
    for (const name of PACKAGES) {
      const source = path.join(REPOSITORY, 'packages', name);
      const target = path.join(this.root, 'packages', name);
      cpSync(path.join(source, 'src'), path.join(target, 'src'), { recursive: true });
      const manifest = { name: `@keelson/${name}`, type: 'module', exports: { '.': './src/index.ts' } };
      writeFileSync(path.join(target, 'package.json'), JSON.stringify(manifest));
      linkOthers(path.join(source, 'node_modules'), path.join(target, 'node_modules'));
    }
    const scope = path.join(this.root, 'node_modules/@keelson');
    mkdirSync(scope, { recursive: true });
    for (const name of PACKAGES) symlinkSync(path.join(this.root, 'packages', name), path.join(scope, name));
    linkOthers(path.join(REPOSITORY, 'node_modules'), path.join(this.root, 'node_modules'));
  }

  /** @throws MutantError when the mutant does not fit the copy */
  apply(mutant: Mutant): void {
    this.heal();
    const file = path.join(this.raft, 'src', mutant.file);
    const source = readFileSync(file, 'utf8');
    writeFileSync(file, mutate(source, mutant));
    this.restore = () => writeFileSync(file, source);
  }

  /** The copy is the core again. */
  heal(): void {
    this.restore?.();
    this.restore = undefined;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
