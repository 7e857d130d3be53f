/**
 * A place to break the core in: a temporary copy of packages/raft beside links to what it needs, and the
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

export class Workspace {
  /** Laid out as the repository is; its packages/raft is the copy. */
  readonly root: string;
  readonly raft: string;
  readonly conversations: string;
  private restore: (() => void) | undefined;

  constructor() {
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
    symlinkSync(path.join(REPOSITORY, 'node_modules'), path.join(this.root, 'node_modules'));
    this.linkPackages();
  }

  /**
   * The packages that raft's sources and tests import, by name and as sources: a build may be old or missing.
   * Node runs them since their real place is outside node_modules.
   */
  private linkPackages(): void {
    const names = readdirSync(path.join(RAFT, 'node_modules/@keelson'));
    const scope = path.join(this.raft, 'node_modules/@keelson');
    mkdirSync(scope, { recursive: true });
    for (const name of names) {
      const target = path.join(this.root, 'packages', name);
      mkdirSync(target, { recursive: true });
      const manifest = { name: `@keelson/${name}`, type: 'module', exports: { '.': './src/index.ts' } };
      writeFileSync(path.join(target, 'package.json'), JSON.stringify(manifest));
      symlinkSync(path.join(REPOSITORY, 'packages', name, 'src'), path.join(target, 'src'));
      symlinkSync(target, path.join(scope, name));
    }
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
