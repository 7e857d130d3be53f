/**
 * txn: comparisons, then the requests of either branch, read line by line from standard input; an empty line
 * ends each part. The requests are the commands get, put and del with their own flags.
 */
import { compare, op, type Relation } from '@keelson/client';
import type { etcdserverpb } from '@keelson/proto';
import { FlagError, parseFlags } from '../../flags.ts';
import { GoTextError, bytesOf, countOf, parseInt64, quoteText, unquote } from '../../go-text.ts';
import { LineReader, type Io } from '../../io.ts';
import type { Command } from '../command.ts';
import { CtlError, ExitCode, badArgs } from '../ctl-error.ts';
import { wordsOf } from '../words.ts';
import { del, delOperation } from './del.ts';
import { get, getOperation } from './get.ts';
import { put, putOperation } from './put.ts';

const invalid = (message: string): CtlError => new CtlError(ExitCode.InvalidInput, message);

export const txn: Command = {
  path: ['txn'],
  usage: '[options]',
  short: 'Txn processes all the requests in one transaction',
  long: `Reads comparisons, requests for when all of them hold, and requests for when one does not. Each part ends
with an empty line:

mod("key1") > "0"

put key1 "overwrote-key1"

put key1 "created-key1"
put key2 "some extra key"
`,
  flags: [
    {
      name: 'interactive',
      short: 'i',
      kind: 'bool',
      initial: 'false',
      usage: 'Input transaction in interactive mode',
    },
  ],
  async run({ flags, args, io, printer, client }) {
    if (args.length > 0) throw badArgs('txn command does not accept argument');
    const lines = new LineReader(io.stdin);
    const part = async <T>(title: string, parse: (line: string) => T | Promise<T>): Promise<T[]> => {
      if (flags.bool('interactive')) io.out(`${title}\n`);
      return readPart(lines, parse);
    };
    const comparisons = await part('compares:', parseCompare);
    const success = await part('success requests (get, put, del):', (line) => parseRequest(line, io));
    const failure = await part('failure requests (get, put, del):', (line) => parseRequest(line, io));
    printer.txn(await client().kv.txn({ compare: comparisons, success, failure }));
    return ExitCode.Success;
  },
};

async function readPart<T>(lines: LineReader, parse: (line: string) => T | Promise<T>): Promise<T[]> {
  const items: T[] = [];
  for (;;) {
    const line = await lines.next();
    if (line === undefined) throw invalid('EOF');
    if (line.trim() === '') return items;
    items.push(await parse(line.trim()));
  }
}

const RELATIONS: readonly string[] = ['=', '!=', '>', '<'] satisfies Relation[];

function isRelation(text: string): text is Relation {
  return RELATIONS.includes(text);
}

/** 'mod("key") > "0"' as a comparison. @throws CtlError */
export function parseCompare(line: string): etcdserverpb.Compare {
  const open = line.indexOf('(');
  if (open < 0) throw invalid(`malformed comparison: ${line}`);
  const target = line.slice(0, open);
  const { key, relation, value, whole } = scan(line.slice(open + 1));
  if (!whole) {
    const got = `${target}(${quoteText(key)}) ${relation} ${quoteText(value)}`;
    throw invalid(`malformed comparison: ${line}; got ${got}`);
  }
  if (!isRelation(relation)) {
    throw invalid(`malformed comparison: ${line} (unknown operator ${relation})`);
  }
  const bytes = bytesOf(key);
  const integer = (base: 10 | 16): bigint => {
    try {
      return parseInt64(value, base);
    } catch (error) {
      if (!(error instanceof GoTextError)) throw error;
      throw invalid(`invalid txn compare request: ${line} (${error.message})`);
    }
  };
  switch (target) {
    case 'ver':
    case 'version':
      return compare.version(bytes, relation, countOf(integer(10)));
    case 'c':
    case 'create':
      return compare.createRevision(bytes, relation, countOf(integer(10)));
    case 'm':
    case 'mod':
      return compare.modRevision(bytes, relation, countOf(integer(10)));
    case 'val':
    case 'value':
      return compare.value(bytes, relation, bytesOf(value));
    case 'lease':
      return compare.lease(bytes, relation, integer(16));
    default:
      throw invalid(`malformed comparison: ${line} (unknown target ${target})`);
  }
}

interface Scanned {
  readonly key: string;
  readonly relation: string;
  readonly value: string;
  /** False: the text ended or differed on the way; what was read is there. */
  readonly whole: boolean;
}

/** Reads '"key") > "value"'. */
function scan(text: string): Scanned {
  let key = '';
  let relation = '';
  try {
    let rest = text.trimStart();
    const first = unquote(rest);
    key = first.value;
    rest = rest.slice(first.length);
    if (!rest.startsWith(')')) return { key, relation, value: '', whole: false };
    rest = rest.slice(1).trimStart();
    relation = /^\S*/.exec(rest)?.[0] ?? '';
    const { value } = unquote(rest.slice(relation.length).trimStart());
    return { key, relation, value, whole: true };
  } catch (error) {
    if (error instanceof GoTextError) return { key, relation, value: '', whole: false };
    throw error;
  }
}

/** 'put key "value"' as an operation. @throws CtlError */
export async function parseRequest(line: string, io: Io): Promise<etcdserverpb.RequestOp> {
  const [name, ...words] = wordsOf(line);
  if (words.length === 0) throw invalid(`invalid txn compare request: ${line}`);
  const command = [get, put, del].find((candidate) => candidate.path[0] === name);
  if (command === undefined) throw invalid(`invalid txn request: ${line}`);
  let parsed;
  try {
    parsed = parseFlags(command.flags, words);
  } catch (error) {
    if (error instanceof FlagError) throw invalid(`invalid txn request: ${line}`);
    throw error;
  }
  const { values, args } = parsed;
  if (command === get) {
    const { key, spec } = getOperation(values, args);
    return op.get(key, spec);
  }
  if (command === del) {
    const { key, spec } = delOperation(values, args);
    return op.delete(key, spec);
  }
  const { key, value, spec } = await putOperation(values, args, io);
  return op.put(key, value, spec);
}
