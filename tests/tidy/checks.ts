/**
 * The rules of the house, each a function from sources to violations: one line each, empty when all is well.
 * They look only at what sources.ts read and plan.ts says, so that the test can also show each rule at work
 * on made-up files.
 */
import path from 'node:path';
import {
  AMBIENT,
  AMBIENT_EXCEPTIONS,
  ASYNCHRONOUS_EXCEPTIONS,
  CLOCKS_AND_DICE,
  DOORS,
  ENTRIES,
  type Exception,
  HARNESS_IN_PRODUCT,
  IMPORT_EXCEPTIONS,
  NODE_IMPORTS,
  OUTSIDE_IMPORTS,
  PRODUCT_LINES_MAX,
  PURE_FOLDERS,
  ROOMS,
  SCRIPTS,
  SYNCHRONOUS_FOLDERS,
  TEST_LINES_MAX,
} from './plan.ts';
import type { Source } from './sources.ts';

function within(file: string, place: string): boolean {
  return place.endsWith('/') ? file.startsWith(place) : file === place;
}

/** The package a file belongs to, tests and harnesses of the package included; '' for the root's own. */
export function packageOf(file: string): string {
  if (file.startsWith('proto/')) return 'proto';
  return /^packages\/([a-z-]+)\//.exec(file)?.[1] ?? '';
}

/** The path a relative specifier names, from the root. */
function resolve(source: Source, specifier: string): string {
  return path.posix.normalize(path.posix.join(path.posix.dirname(source.path), specifier));
}

function relativeImports(source: Source): string[] {
  return source.imports.filter((name) => name.startsWith('.')).map((name) => resolve(source, name));
}

function allowed(exceptions: readonly Exception[], from: string, to: string): boolean {
  return exceptions.some((one) => within(from, one.from) && (one.to === to || one.to === '*'));
}

/** Packages meet at their doors: by name, never by path, and only those the plan lists. */
export function checkDoors(sources: readonly Source[]): string[] {
  const violations: string[] = [];
  for (const source of sources) {
    const own = packageOf(source.path);
    for (const specifier of source.imports) {
      const target = specifier.startsWith('.') ? resolve(source, specifier) : source.path;
      // Harnesses are shared: a test may use another package's test/ folder.
      const harness = !source.product && target.includes('/test/');
      if (packageOf(target) !== own && !harness)
        violations.push(`${source.path} reaches into another package: ${specifier}`);
      const door = /^@keelson\/([^/]+)(\/.*)?$/.exec(specifier);
      if (door === null) continue;
      const [, name = '', inside] = door;
      if (inside !== undefined) violations.push(`${source.path} goes past a door: ${specifier}`);
      if (!source.product) continue;
      if (name === own) violations.push(`${source.path} enters its own package by the door`);
      else if (!(DOORS[own] ?? []).includes(name))
        violations.push(`${source.path} may not import ${specifier}`);
    }
    if (source.product && DOORS[own] === undefined)
      violations.push(`${source.path}: package ${own} has no doors in the plan`);
  }
  return violations;
}

/** Inside a package, a file imports its own room and lower ranks. */
export function checkRanks(
  sources: readonly Source[],
  exceptions: readonly Exception[] = IMPORT_EXCEPTIONS,
): string[] {
  const violations: string[] = [];
  const used = new Set<Exception>();
  for (const source of sources) {
    const rooms = ROOMS[packageOf(source.path)];
    if (rooms === undefined || !source.product) continue;
    const prefix = `packages/${packageOf(source.path)}/src/`;
    const roomOf = (file: string) =>
      rooms.find((room) => room.members.some((member) => within(file, prefix + member)));
    const own = roomOf(source.path);
    if (own === undefined) {
      violations.push(`${source.path} has no room in the plan`);
      continue;
    }
    for (const target of relativeImports(source)) {
      const other = roomOf(target);
      if (other === undefined || other === own || other.rank < own.rank) continue;
      const exception = exceptions.find((one) => within(source.path, one.from) && one.to === target);
      if (exception === undefined)
        violations.push(`${source.path} [${own.rank}] may not import ${target} [${other.rank}]`);
      else used.add(exception);
    }
  }
  for (const one of exceptions)
    if (!used.has(one)) violations.push(`exception not needed: ${one.from} -> ${one.to}`);
  return violations;
}

/** Groups of files that import each other in a circle, types included. */
export function checkCycles(sources: readonly Source[]): string[] {
  const edges = new Map(sources.map((source) => [source.path, relativeImports(source)]));
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const open = new Set<string>();
  const violations: string[] = [];
  const visit = (file: string): number => {
    order.set(file, order.size);
    let low = order.size - 1;
    stack.push(file);
    open.add(file);
    for (const next of edges.get(file) ?? []) {
      if (!edges.has(next)) continue;
      if (!order.has(next)) low = Math.min(low, visit(next));
      else if (open.has(next)) low = Math.min(low, order.get(next) ?? low);
    }
    lowest.set(file, low);
    if (low === order.get(file)) {
      const circle = stack.splice(stack.indexOf(file));
      for (const member of circle) open.delete(member);
      const selfish = edges.get(file)?.includes(file) === true;
      if (circle.length > 1 || selfish) violations.push(`cycle: ${circle.sort().join(' <-> ')}`);
    }
    return low;
  };
  for (const source of sources) if (!order.has(source.path)) visit(source.path);
  return violations;
}

/** Product files that no door leads to, harness files that no test or script uses, imports of nothing. */
export function checkDeadFiles(sources: readonly Source[]): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const violations: string[] = [];
  const reach = (entries: readonly Source[]): Set<string> => {
    const reached = new Set(entries.map((source) => source.path));
    const queue = [...entries];
    for (let source = queue.pop(); source !== undefined; source = queue.pop())
      for (const target of relativeImports(source)) {
        const next = byPath.get(target);
        if (next === undefined || reached.has(target)) continue;
        reached.add(target);
        queue.push(next);
      }
    return reached;
  };
  const isEntry = (file: string) => ENTRIES.some((pattern) => pattern.test(file));
  const isScript = (file: string) => SCRIPTS.some((pattern) => pattern.test(file));
  const fromDoors = reach(sources.filter((source) => isEntry(source.path)));
  const fromTests = reach(sources.filter((source) => !source.product && isScript(source.path)));
  for (const source of sources) {
    for (const target of relativeImports(source))
      if (!byPath.has(target) && !/\.(mjs|json)$/.test(target))
        violations.push(`${source.path} imports ${target}, which is not there`);
    if (source.product && !fromDoors.has(source.path) && !HARNESS_IN_PRODUCT.has(source.path))
      violations.push(
        fromTests.has(source.path)
          ? `${source.path} is used by tests alone: no door leads to it`
          : `${source.path} is dead: nothing leads to it`,
      );
    if (!source.product && !fromTests.has(source.path))
      violations.push(`${source.path} is dead: no test or script uses it`);
  }
  return violations;
}

/** Node's modules and third-party packages enter only where the plan lets them in. */
export function checkOutside(sources: readonly Source[]): string[] {
  const violations: string[] = [];
  for (const source of sources) {
    if (!source.product) continue;
    for (const specifier of source.imports) {
      if (specifier.startsWith('.') || specifier.startsWith('@keelson/')) continue;
      if (specifier.startsWith('node:')) {
        const module = specifier.slice('node:'.length);
        const let_in = Object.entries(NODE_IMPORTS).some(
          ([place, modules]) =>
            within(source.path, place) && (modules.includes(module) || modules.includes('*')),
        );
        if (!let_in) violations.push(`${source.path} may not import ${specifier}`);
      } else {
        const places = [OUTSIDE_IMPORTS[specifier] ?? []].flat();
        if (!places.some((place) => within(source.path, place)))
          violations.push(`${source.path} may not import ${specifier}`);
      }
    }
  }
  return violations;
}

/** Time, chance and the process reach a room as arguments. */
export function checkAmbient(
  sources: readonly Source[],
  exceptions: readonly Exception[] = AMBIENT_EXCEPTIONS,
): string[] {
  const violations: string[] = [];
  const used = new Set<Exception>();
  for (const source of sources) {
    if (!source.product || source.generated) continue;
    const injected =
      source.path.startsWith('packages/store/') || PURE_FOLDERS.some((folder) => within(source.path, folder));
    for (const name of source.ambient) {
      if (!CLOCKS_AND_DICE.includes(name) && !(injected && AMBIENT.includes(name))) continue;
      const exception = exceptions.find((one) => allowed([one], source.path, name));
      if (exception === undefined) violations.push(`${source.path} uses ${name}`);
      else used.add(exception);
    }
  }
  for (const one of exceptions)
    if (one.to !== '*' && !used.has(one)) violations.push(`exception not needed: ${one.from} -> ${one.to}`);
  return violations;
}

/** Rooms that run to their end within one turn have no `async` and no `await`. */
export function checkSynchronous(sources: readonly Source[]): string[] {
  return sources
    .filter((source) => source.product && source.asynchronous)
    .filter((source) => SYNCHRONOUS_FOLDERS.some((folder) => within(source.path, folder)))
    .filter((source) => !allowed(ASYNCHRONOUS_EXCEPTIONS, source.path, 'async'))
    .map((source) => `${source.path} is asynchronous`);
}

/** Many instances live in one process: nothing at module level changes. */
export function checkModuleState(sources: readonly Source[]): string[] {
  return sources
    .filter((source) => source.product && !source.generated)
    .flatMap((source) => source.moduleState.map((what) => `${source.path}: ${what}`));
}

const ATTICS: ReadonlySet<string> = new Set([
  'common',
  'helper',
  'helpers',
  'manager',
  'misc',
  'util',
  'utils',
]);

/** Kebab-case nouns; index.ts only at a door. */
export function checkNames(sources: readonly Source[]): string[] {
  const violations: string[] = [];
  for (const { path: file } of sources) {
    const parts = file.split('/');
    const name = parts.at(-1) ?? '';
    if (!/^[a-z0-9]+([-.][a-z0-9]+)*\.ts$/.test(name)) violations.push(`${file} is not in kebab-case`);
    if (parts.some((part) => part.split(/[-.]/).some((word) => ATTICS.has(word))))
      violations.push(`${file} is named after no noun`);
    if (name === 'index.ts' && !/^(packages\/[a-z-]+\/src|proto\/gen)\/index\.ts$/.test(file))
      violations.push(`${file}: index.ts stands only at a package's door`);
  }
  return violations;
}

/** A file opens with what it is for, and is short enough to be understood alone. */
export function checkShape(sources: readonly Source[]): string[] {
  const violations: string[] = [];
  for (const source of sources) {
    if (source.generated) continue;
    const linesMax = source.product ? PRODUCT_LINES_MAX : TEST_LINES_MAX;
    if (source.lines > linesMax) violations.push(`${source.path} has ${source.lines} lines`);
    if (!source.product || source.path.endsWith('/index.ts')) continue;
    const opening = /^(\/\*[\s\S]*?\*\/|(\/\/[^\n]*\n)+)/.exec(source.text)?.[0] ?? '';
    if (opening.split(/\s+/).length < 6) violations.push(`${source.path} does not open with what it is for`);
  }
  return violations;
}

/** Words for later, unless an issue follows. The brackets keep this line from finding itself. */
const LATER = /\b([T]ODO|[F]IXME|[X]XX)\b(?!\(#\d+\))/;

/** Nothing is left for later without an issue, and no test is switched off without a word. */
export function checkLoose(sources: readonly Source[]): string[] {
  const violations: string[] = [];
  for (const source of sources) {
    if (source.generated) continue;
    if (LATER.test(source.text))
      violations.push(`${source.path} leaves something for later without naming an issue`);
    for (const modifier of source.runModifiers)
      if (modifier !== 'skip' || !source.saysWhySkipped)
        violations.push(`${source.path}: .${modifier} without a reason in a test's name`);
  }
  return violations;
}

/** What a package's manifest says. */
export interface Manifest {
  readonly package: string;
  readonly dependencies: Readonly<Record<string, string>>;
  /** Packages its tsconfig.build.json refers to. */
  readonly references: readonly string[];
}

/** Manifests and build references say what the sources import: no more, no less, exact versions. */
export function checkManifests(sources: readonly Source[], manifests: readonly Manifest[]): string[] {
  const violations: string[] = [];
  for (const manifest of manifests) {
    const imported = new Set<string>();
    for (const source of sources)
      if (source.product && packageOf(source.path) === manifest.package)
        for (const name of source.imports)
          if (!name.startsWith('.') && !name.startsWith('node:') && !source.path.startsWith('proto/generat'))
            imported.add(name);
    const declared = Object.keys(manifest.dependencies);
    const where = `package ${manifest.package}`;
    for (const name of imported)
      if (!declared.includes(name)) violations.push(`${where} imports ${name} undeclared`);
    for (const name of declared) {
      if (!imported.has(name)) violations.push(`${where} declares ${name} and never imports it`);
      const version = manifest.dependencies[name] ?? '';
      if (!/^(workspace:\*|\d+\.\d+\.\d+)$/.test(version))
        violations.push(`${where} does not pin ${name}: ${version}`);
    }
    const workspace = [...imported]
      .filter((name) => name.startsWith('@keelson/'))
      .map((name) => name.slice(9));
    if (workspace.sort().join() !== [...manifest.references].sort().join())
      violations.push(
        `${where} imports [${workspace.join(' ')}], its build refers to [${manifest.references.join(' ')}]`,
      );
  }
  return violations;
}
