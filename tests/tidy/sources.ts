/**
 * Finds the repository's TypeScript files and reads from each what the rules ask about: its imports (of
 * types too, dynamic ones, workers), the ambient names it uses, state at module level, `async`. It parses
 * for real, so a word in a comment or a string is not mistaken for code. It judges nothing: checks.ts does.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseSync } from '@swc/core';

export interface Source {
  /** From the repository's root, with '/'. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  /** Whether it belongs to a product (not a test, a harness or a script). */
  readonly product: boolean;
  readonly generated: boolean;
  /** Module specifiers as written. */
  readonly imports: readonly string[];
  /** Ambient names in use, such as `Date.now`, `new Date()`, `process`; names bound in the file excepted. */
  readonly ambient: ReadonlySet<string>;
  readonly asynchronous: boolean;
  /** Mutable state at module level, one description each. */
  readonly moduleState: readonly string[];
  /** `only`, or `skip` with whether some string in the file says what it needs. */
  readonly runModifiers: ReadonlySet<string>;
  readonly saysWhySkipped: boolean;
}

const WATCHED_NAMES: ReadonlySet<string> = new Set([
  'clearImmediate',
  'clearInterval',
  'clearTimeout',
  'console',
  'crypto',
  'fetch',
  'globalThis',
  'performance',
  'process',
  'queueMicrotask',
  'setImmediate',
  'setInterval',
  'setTimeout',
]);
const WATCHED_MEMBERS: ReadonlySet<string> = new Set(['Date.now', 'Math.random']);
const TEST_NAMES: ReadonlySet<string> = new Set(['test', 'it', 'describe']);
const COLLECTIONS: ReadonlySet<string> = new Set(['Array', 'Map', 'Set', 'WeakMap', 'WeakSet']);
const MUTATORS: ReadonlySet<string> = new Set(
  'add clear copyWithin delete fill pop push reverse set shift sort splice unshift'.split(' '),
);
const FUNCTIONS: ReadonlySet<string> = new Set([
  'ArrowFunctionExpression',
  'FunctionDeclaration',
  'FunctionExpression',
  'ClassMethod',
  'PrivateMethod',
  'Constructor',
  'MethodProperty',
  'GetterProperty',
  'SetterProperty',
]);

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

function nodesIn(value: unknown): Node[] {
  if (Array.isArray(value)) return value.flatMap(nodesIn);
  if (isNode(value)) return [value];
  // swc wraps some nodes (arguments, elements) in plain objects without a type.
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(nodesIn) : [];
}

function child(node: Node, field: string): Node | undefined {
  const value = node[field];
  return isNode(value) ? value : undefined;
}

function nameOf(node: Node | undefined): string {
  return node?.type === 'Identifier' && typeof node['value'] === 'string' ? node['value'] : '';
}

/** A name that is read or called, as against a key (no `optional`) or a binding (has `typeAnnotation`). */
function isUse(node: Node): boolean {
  return node.type === 'Identifier' && 'optional' in node && !('typeAnnotation' in node);
}

/** `a` of `a.b.c` or `a[0]`; '' where the root is not a plain name. */
function rootName(node: Node | undefined): string {
  let current = node;
  while (current?.type === 'MemberExpression') current = child(current, 'object');
  return nameOf(current);
}

function stringOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return stringOf(value[0]);
  if (!isNode(value)) {
    if (typeof value !== 'object' || value === null || !('expression' in value)) return undefined;
    return stringOf(value.expression);
  }
  return value.type === 'StringLiteral' && typeof value['value'] === 'string' ? value['value'] : undefined;
}

/** Walks one file once and gathers what Source offers. */
class Reader {
  readonly imports: string[] = [];
  readonly used = new Set<string>();
  readonly bound = new Set<string>();
  readonly moduleState: string[] = [];
  readonly runModifiers = new Set<string>();
  asynchronous = false;
  saysWhySkipped = false;
  private readonly constants = new Set<string>();
  private functionDepth = 0;

  constructor(body: readonly Node[]) {
    for (const statement of body) this.declare(child(statement, 'declaration') ?? statement);
    for (const statement of body) this.visit(statement);
  }

  /** Notes module-level variables before anything is walked. */
  private declare(statement: Node): void {
    if (statement.type !== 'VariableDeclaration' || statement['declare'] === true) return;
    for (const declarator of nodesIn(statement['declarations'])) {
      const id = child(declarator, 'id');
      const name = nameOf(id);
      if (name !== '') this.constants.add(name);
      if (statement['kind'] !== 'const') this.moduleState.push(`${String(statement['kind'])} ${name}`);
      else if (isCollection(child(declarator, 'init')) && !isReadonly(id))
        this.moduleState.push(`const ${name}, a collection that is not typed as readonly`);
    }
  }

  private visit(node: Node): void {
    this.note(node);
    const isFunction = FUNCTIONS.has(node.type);
    if (isFunction) this.functionDepth += 1;
    for (const field in node) {
      if (field === 'imported' || field === 'exported') continue; // another module's name
      const value = node[field];
      if (typeof value === 'object' && value !== null) for (const inner of nodesIn(value)) this.visit(inner);
    }
    if (isFunction) this.functionDepth -= 1;
  }

  private note(node: Node): void {
    if (node['async'] === true || node['await'] === true) this.asynchronous = true;
    // A class method keeps its function in a plain object without a type.
    const method = node['function'];
    if (typeof method === 'object' && method !== null && 'async' in method && method.async === true)
      this.asynchronous = true;
    switch (node.type) {
      case 'Identifier':
        if (isUse(node)) this.used.add(nameOf(node));
        else if ('typeAnnotation' in node) this.bound.add(nameOf(node));
        return;
      case 'ImportSpecifier':
      case 'ImportDefaultSpecifier':
      case 'ImportNamespaceSpecifier':
        this.bound.add(nameOf(child(node, 'local')));
        return;
      case 'ImportDeclaration':
      case 'ExportAllDeclaration':
      case 'ExportNamedDeclaration':
        return this.import(node['source']);
      case 'TsImportType':
        return this.import(node['argument']);
      case 'AwaitExpression':
        this.asynchronous = true;
        return;
      case 'CallExpression':
        return this.call(node);
      case 'NewExpression':
        return this.construct(node);
      case 'MemberExpression':
        return this.member(node);
      case 'AssignmentExpression':
        return this.assign(child(node, 'left'), 'assigned to');
      case 'UpdateExpression':
        return this.assign(child(node, 'argument'), 'counted');
      case 'ClassProperty':
        if (node['isStatic'] === true && node['readonly'] !== true)
          this.moduleState.push(`static ${nameOf(child(node, 'key'))}, not readonly`);
        return;
      case 'StringLiteral':
      case 'TemplateElement':
        if (/needs|skipped|not installed/i.test(String(node['value'] ?? node['raw'])))
          this.saysWhySkipped = true;
        return;
      default:
    }
  }

  private import(source: unknown): void {
    const specifier = stringOf(source);
    if (specifier !== undefined) this.imports.push(specifier);
  }

  private call(node: Node): void {
    const callee = child(node, 'callee');
    if (callee?.type === 'Import') this.import(node['arguments']);
    // test.skip(`…: ${missing}`, …): the reason is put in when it is known.
    const skipping = nameOf(callee === undefined ? undefined : child(callee, 'property')) === 'skip';
    if (skipping && nodesIn(node['arguments'])[0]?.type === 'TemplateLiteral') this.saysWhySkipped = true;
    if (callee?.type !== 'MemberExpression' || this.functionDepth === 0) return;
    const root = rootName(callee);
    const method = nameOf(child(callee, 'property'));
    if (this.constants.has(root) && MUTATORS.has(method))
      this.moduleState.push(`${root}, changed by ${method}() in a function`);
  }

  private construct(node: Node): void {
    const name = nameOf(child(node, 'callee'));
    // new URL('./file.ts', import.meta.url) names a file to be run: a worker, usually.
    if (name === 'URL') {
      const specifier = stringOf(node['arguments']);
      if (specifier !== undefined && /^\.\.?\/.*\.ts$/.test(specifier)) this.imports.push(specifier);
    }
    if (name === 'Date' && nodesIn(node['arguments']).length === 0) this.used.add('new Date()');
  }

  private member(node: Node): void {
    const object = nameOf(child(node, 'object'));
    const property = nameOf(child(node, 'property'));
    if (WATCHED_MEMBERS.has(`${object}.${property}`)) this.used.add(`${object}.${property}`);
    if (TEST_NAMES.has(object) && (property === 'skip' || property === 'only' || property === 'todo'))
      this.runModifiers.add(property);
  }

  private assign(target: Node | undefined, how: string): void {
    if (this.functionDepth === 0 || target?.type !== 'MemberExpression') return;
    const root = rootName(target);
    if (this.constants.has(root)) this.moduleState.push(`${root}, ${how} in a function`);
  }
}

function isCollection(node: Node | undefined): boolean {
  if (node?.type === 'ArrayExpression') return true;
  return node?.type === 'NewExpression' && COLLECTIONS.has(nameOf(child(node, 'callee')));
}

function isReadonly(id: Node | undefined): boolean {
  const annotation = id === undefined ? undefined : child(id, 'typeAnnotation');
  const type = annotation === undefined ? undefined : child(annotation, 'typeAnnotation');
  if (type?.type === 'TsTypeOperator') return type['op'] === 'readonly';
  return type?.type === 'TsTypeReference' && nameOf(child(type, 'typeName')).startsWith('Readonly');
}

/** Reads one file's text; the path decides what kind of file it is. */
export function readSource(file: string, text: string): Source {
  const reader = new Reader(nodesIn(parseSync(text, { syntax: 'typescript', target: 'es2023' }).body));
  const ambient = new Set<string>();
  for (const name of reader.used) {
    const watched = WATCHED_NAMES.has(name) && !reader.bound.has(name);
    if (watched || WATCHED_MEMBERS.has(name) || name === 'new Date()') ambient.add(name);
  }
  return {
    path: file,
    text,
    lines: text.split('\n').length - 1,
    product: /^(packages\/[a-z-]+\/src|proto)\//.test(file) && !/(\.test\.ts$|^proto\/test\/)/.test(file),
    generated: file.startsWith('proto/gen/') || file.includes('/src/schema/gen/'),
    imports: reader.imports,
    ambient,
    asynchronous: reader.asynchronous,
    moduleState: reader.moduleState,
    runModifiers: reader.runModifiers,
    saysWhySkipped: reader.saysWhySkipped,
  };
}

const SKIPPED_FOLDERS: ReadonlySet<string> = new Set(['node_modules', 'dist', 'coverage']);

const SOURCE_FOLDERS: readonly string[] = ['packages', 'proto', 'scripts', 'tests'];

/** Every file under the given folders whose name passes, as paths from the root. */
export function listFiles(
  root: string,
  passes: (name: string) => boolean,
  folders: readonly string[] = SOURCE_FOLDERS,
): string[] {
  const found: string[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      const file = `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!SKIPPED_FOLDERS.has(entry.name)) walk(file);
      } else if (passes(entry.name)) found.push(file);
    }
  };
  for (const folder of folders) walk(folder);
  return found.sort();
}

export function readSources(root: string): Source[] {
  return listFiles(root, (name) => name.endsWith('.ts')).map((file) =>
    readSource(file, readFileSync(path.join(root, file), 'utf8')),
  );
}
