/**
 * YAML between its text and the JSON data model, as apimachinery reads and writes it: YAML 1.1 words and numbers
 * (`yes`, `0777`), keys become text, times stay text, of several documents the first counts. A repeated key is told
 * with its line; aliases are expanded within a budget, so that a small text cannot become a large object. Nothing here can be
 * put down: long-yaml.ts is for texts that strangers send.
 *
 * Modelled on sigs.k8s.io/yaml over go-yaml v2, whose texts for repeated keys and excessive aliases are kept; the words
 * behind `yaml: line N:` for a text that is no YAML are the library's.
 */

import { createRequire } from 'node:module';

import type { CollectionTag, Document, LineCounter, Node, ScalarTag, YAMLMap } from 'yaml';

import { isJsonObject, JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import { setMember } from './presence.ts';
import { readJson, JsonSyntaxError } from './json-reader.ts';

type Library = typeof import('yaml');

const load = createRequire(import.meta.url);

/** Loaded when the first YAML comes: it takes longer than the rest of a server's start. */
function library(): Library {
  // oxlint-disable-next-line typescript/no-unsafe-return -- require knows no types
  return load('yaml');
}

/** Text that is no YAML, or none that JSON could say. */
export class YamlError extends Error {
  override readonly name = 'YamlError';
}

export interface YamlReadOptions {
  /** Told all repeated keys at once, in go-yaml's words, after the whole text was read. */
  readonly duplicates?: (message: string) => void;
}

/** As deep as JSON may be; see json-reader.ts. */
const DEPTH_MAX = 1_000;
/**
 * Values that aliases may add to what the text itself holds, and of texts a value for so many characters. A manifest with
 * anchors adds some dozens.
 */
const EXPANDED_MAX = 100_000;
const EXPANDED_CHARACTERS = 64;
/** Tags of the library's YAML 1.1 that go-yaml reads as plain text or not at all: base 60, times, sets. */
const LEFT_OUT: ReadonlySet<string> = new Set(['intTime', 'floatTime', 'timestamp', 'omap', 'pairs', 'set']);

/** Before each key that is there twice, all of them in one text. */
const REPEATED = 'yaml: unmarshal errors:\n';

/** A strict error as warnings: of repeated keys each is its own. */
export function warningsOf(text: string): string[] {
  if (!text.startsWith(REPEATED)) return [text];
  return text
    .slice(REPEATED.length)
    .split('\n')
    .map((line) => line.trim());
}

/**
 * Reads the first document.
 *
 * @throws YamlError
 */
export function readYaml(text: string, options: YamlReadOptions = {}): Json {
  // JSON is YAML, and most bodies that are called YAML are JSON.
  if (/^\s*\{/.test(text)) {
    const json = jsonOf(text);
    if (json !== undefined) return json;
  }
  const yaml = library();
  if (isTooDeep(text, yaml)) throw new YamlError('yaml: exceeded max depth');
  const lines = new yaml.LineCounter();
  let document: Document.Parsed;
  try {
    document = yaml.parseDocument(text, {
      version: '1.1',
      intAsBigInt: true,
      uniqueKeys: false,
      merge: true,
      logLevel: 'silent',
      prettyErrors: false,
      stringKeys: false,
      lineCounter: lines,
      customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !isLeftOut(tag)),
    });
  } catch (error) {
    if (error instanceof RangeError) throw new YamlError('yaml: exceeded max depth', { cause: error });
    throw error;
  }
  for (const error of document.errors) {
    if (error.code === 'MULTIPLE_DOCS') continue;
    if (error.message.includes('call stack')) throw new YamlError('yaml: exceeded max depth');
    throw new YamlError(syntaxText(error, lines.linePos(error.pos[0]).line), { cause: error });
  }
  const reader = new YamlReader(yaml, lines);
  const value = reader.value(document.contents, 0);
  if (reader.repeated.length > 0) {
    options.duplicates?.(`${REPEATED}${reader.repeated.join('\n')}`);
  }
  return value;
}

/** go-yaml's words for what the library calls otherwise; it counts the lines of what its scanner refuses from one. */
const SCANNER_TEXTS: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY: 'mapping values are not allowed in this context',
  MULTILINE_IMPLICIT_KEY: "could not find expected ':'",
  TAB_AS_INDENT: 'found character that cannot start any token',
  BAD_SCALAR_START: 'found character that cannot start any token',
  UNEXPECTED_TOKEN: 'did not find expected key',
};

/** go-yaml says no line where it is the first. */
function syntaxText(
  { code, message }: { readonly code: string; readonly message: string },
  line: number,
): string {
  const text = SCANNER_TEXTS[code] ?? message;
  return line === 1 ? `yaml: ${text}` : `yaml: line ${line}: ${text}`;
}

/**
 * Whether flow collections, or lists within lists on one line, are nested deeper than anything may be: told before the
 * library builds them, for which it takes seconds. Only a text with that many signs is looked at closely.
 */
function isTooDeep(text: string, { Lexer }: Library): boolean {
  if (text.split(/[[{]|[-?][ \t]/, DEPTH_MAX + 2).length <= DEPTH_MAX + 1) return false;
  let flow = 0;
  let line = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') flow += 1;
    else if (token === ']' || token === '}') flow -= 1;
    else if (token === '-' || token === '?') line += 1;
    else if (token.startsWith('\n')) line = 0;
    if (flow + line > DEPTH_MAX) return true;
  }
  return false;
}

/** JSON that repeats no key; anything else goes the long way. */
function jsonOf(text: string): Json | undefined {
  let repeated = false;
  try {
    const value = readJson(text, { duplicate: () => (repeated = true) });
    return repeated ? undefined : value;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined;
    throw error;
  }
}

function isLeftOut(tag: CollectionTag | ScalarTag): boolean {
  return (
    LEFT_OUT.has(tag.tag.replace('tag:yaml.org,2002:', '')) || ('format' in tag && tag.format === 'TIME')
  );
}

class YamlReader {
  readonly repeated: string[] = [];
  private readonly yaml: Library;
  private readonly lines: LineCounter;
  /** What each anchor met so far stands for; the library would look through the whole document for each alias. */
  private readonly anchors = new Map<string, Node>();
  private expanded = 0;
  /** Depth of aliases that are being expanded: their values count against the budget. */
  private aliases = 0;

  constructor(yaml: Library, lines: LineCounter) {
    this.yaml = yaml;
    this.lines = lines;
  }

  value(node: unknown, depth: number): Json {
    if (depth > DEPTH_MAX) throw new YamlError('yaml: exceeded max depth');
    if (this.aliases > 0) {
      this.expanded += 1 + textLength(this.yaml, node) / EXPANDED_CHARACTERS;
      if (this.expanded > EXPANDED_MAX) throw new YamlError('yaml: document contains excessive aliasing');
    }
    if (node === null || node === undefined) return null;
    const { isAlias, isMap, isScalar, isSeq } = this.yaml;
    if (isAlias(node)) {
      const target = this.anchors.get(node.source);
      if (target === undefined) throw new YamlError(`yaml: unknown anchor '${node.source}' referenced`);
      this.aliases += 1;
      const value = this.value(target, depth + 1);
      this.aliases -= 1;
      return value;
    }
    this.remember(node);
    if (isMap(node)) return this.map(node, depth);
    if (isSeq(node)) return node.items.map((item) => this.value(item, depth + 1));
    if (isScalar(node)) return scalarOf(node.value);
    throw new YamlError('yaml: unknown node');
  }

  private remember(node: unknown): void {
    const { isMap, isScalar, isSeq } = this.yaml;
    if (this.aliases > 0 || !(isMap(node) || isSeq(node) || isScalar(node))) return;
    if (node.anchor !== undefined) this.anchors.set(node.anchor, node);
  }

  private map(node: YAMLMap, depth: number): JsonObject {
    const object: Record<string, Json> = {};
    const own = new Set<string>();
    for (const pair of node.items) {
      if (this.isMerge(pair.key)) continue;
      this.remember(pair.key);
      const key = this.keyOf(pair.key);
      if (own.has(key)) this.tellRepeated(pair.key, key);
      own.add(key);
      setMember(object, key, this.value(pair.value, depth + 1));
    }
    for (const pair of node.items) {
      if (this.isMerge(pair.key)) this.merge(object, pair.value, depth);
    }
    return object;
  }

  /** `<<`: members that are not there yet, from one map or from a list of them, the first with most say. */
  private merge(object: Record<string, Json>, node: unknown, depth: number): void {
    const value = this.value(node, depth + 1);
    const sources: readonly Json[] = Array.isArray(value) ? value : [value];
    for (const source of sources) {
      if (!isJsonObject(source)) {
        throw new YamlError('yaml: map merge requires map or sequence of maps as the value');
      }
      for (const name of Object.keys(source)) {
        if (!Object.hasOwn(object, name)) setMember(object, name, source[name]);
      }
    }
  }

  private tellRepeated(node: unknown, key: string): void {
    const start = this.yaml.isScalar(node) ? (node.range?.[0] ?? 0) : 0;
    const { line } = this.lines.linePos(start);
    this.repeated.push(`  line ${line}: key ${JSON.stringify(key)} already set in map`);
  }

  private isMerge(node: unknown): boolean {
    const { isScalar } = this.yaml;
    return (
      isScalar(node) && (typeof node.value === 'symbol' || (node.value === '<<' && node.type === 'PLAIN'))
    );
  }

  /** A key as JSON has it. */
  private keyOf(node: unknown): string {
    const value: unknown = this.yaml.isScalar(node) ? node.value : undefined;
    switch (typeof value) {
      case 'string':
        return value;
      case 'boolean':
      case 'bigint':
      case 'number':
        return String(value);
      default:
        throw new YamlError(`yaml: unsupported map key`);
    }
  }
}

function textLength({ isScalar }: Library, node: unknown): number {
  return isScalar(node) && typeof node.value === 'string' ? node.value.length : 0;
}

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

function scalarOf(value: unknown): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'bigint': {
      const number = Number(value);
      if (Number.isSafeInteger(number)) return number;
      return value >= INT64_MIN && value <= UINT64_MAX ? value : new JsonFloat(number);
    }
    case 'number':
      // sigs.k8s.io/yaml goes through JSON, which has no word for these.
      if (!Number.isFinite(value)) throw new YamlError(`json: unsupported value: ${goFloat(value)}`);
      return Object.is(value, -0) ? 0 : value;
    default:
      if (value === null || value === undefined) return null;
      if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
      throw new YamlError('yaml: unsupported value');
  }
}

function goFloat(value: number): string {
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

/** The value as YAML: keys sorted, two spaces, lists at their key's column, as sigs.k8s.io/yaml writes it. */
export function writeYaml(value: Json): string {
  const yaml = library();
  const document = new yaml.Document(null, { version: '1.1' });
  document.contents = nodeOf(yaml, document, value);
  // go-yaml folds no line and writes text of several lines as a block.
  return document.toString({ indentSeq: false, lineWidth: 0, blockQuote: 'literal' });
}

function nodeOf(yaml: Library, document: Document, value: Json): Node {
  if (value instanceof JsonFloat) return document.createNode(value.value);
  if (Array.isArray(value)) {
    const list = new yaml.YAMLSeq<Node>();
    for (const item of value) list.items.push(nodeOf(yaml, document, item));
    return list;
  }
  if (!isJsonObject(value)) return document.createNode(value) as Node;
  const map = new yaml.YAMLMap<Node, Node>();
  for (const name of Object.keys(value).toSorted()) {
    map.items.push(new yaml.Pair(document.createNode(name) as Node, nodeOf(yaml, document, value[name])));
  }
  return map;
}
