/**
 * Takes out of an output what two clusters cannot have in common: ids, addresses, terms, raft indexes, sizes,
 * times and versions. Each is replaced by a word that says what stood there, so that it must still stand in the
 * same place. Everything else stays as it was printed.
 */
import type { Identity } from './sides.ts';

/** Values a script met on the way and gave names to (lease ids): they are printed in several notations. */
export type Names = ReadonlyMap<string, string>;

/** Words for what an id prints as, in decimal and in hex. */
export function idWords(identity: Identity, leases: Names, members: Names = new Map()): [string, string][] {
  const words: [string, string][] = [];
  const add = (id: bigint, word: string): void => {
    words.push([id.toString(), `<${word}>`], [id.toString(16), `<${word} hex>`]);
  };
  add(identity.clusterId, 'cluster');
  for (const member of identity.members) {
    add(member.id, member.role);
    words.push(
      [member.name, `<name ${member.role}>`],
      [member.clientAddress, `<client ${member.role}>`],
      [member.peerAddress, `<peer ${member.role}>`],
    );
  }
  for (const [name, hex] of members) {
    if (!identity.members.some(({ role }) => role === name)) add(BigInt(`0x${hex}`), `member ${name}`);
  }
  for (const [name, hex] of leases) {
    const id = BigInt(`0x${hex}`);
    words.push(
      [hex, `<lease ${name} hex>`],
      [id.toString(), `<lease ${name}>`],
      [id.toString(16), `<lease ${name} hex>`],
    );
  }
  // Longer ones first: no word may be cut out of another.
  return words.sort((a, b) => b[0].length - a[0].length);
}

/** Patterns of what differs from run to run, whatever the cluster. */
const VOLATILE: readonly [RegExp, string][] = [
  // JSON, -w json
  [/"(raft_term|raftTerm|raftIndex|raftAppliedIndex|dbSize|dbSizeInUse)":\d+/g, '"$1":<$1>'],
  [/"version":"3\.\d+\.\d+"/g, '"version":<version>'],
  [/"took":"[^"]+"/g, '"took":<time>'],
  // -w fields
  [/"(RaftTerm|RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse)" : \d+/g, '"$1" : <$1>'],
  [/"Version" : "3\.\d+\.\d+"/g, '"Version" : <version>'],
  [/"Took" : "?[\d.]+(?:µs|ms|s)"?/g, '"Took" : <time>'],
  // etcdctl pads ids to 16 digits: one in sixteen has fewer
  [/\b(Member|cluster) +(?=<[^<>]* hex>)/g, '$1 '],
  // endpoint status, simple: version, size, leader, learner, term, index, applied index
  [/, 3\.\d+\.\d+, [\d.]+ [kMG]?B, /g, ', <version>, <size>, '],
  [/, (true|false), (true|false), \d+, \d+, \d+, /g, ', $1, $2, <term>, <index>, <applied>, '],
  // endpoint health
  [/took = [\d.]+(?:\xc2?[\xb5µ]s|ms|s)/g, 'took = <time>'],
  [/\b[\d.]+(?:\xc2?[\xb5µ]s|ms)\b/g, '<time>'],
  // what is left of a lease granted for 600 s
  [/remaining\((?:59\d|600)s\)/g, 'remaining(<about 600>s)'],
  [/"ttl":(?:59\d|600)\b/g, '"ttl":<about 600>'],
  [/"TTL" : (?:59\d|600)\b/g, '"TTL" : <about 600>'],
  // keys of locks and elections end in a lease
  [/\/[0-9a-f]{12,16}(?![0-9a-f])/g, '/<lease>'],
  [/"key":"[A-Za-z0-9+/=]{28,}"/g, '"key":<key>'],
  [/"lease":\d+/g, '"lease":<lease>'],
  [/lease [0-9a-f]{12,16} revoked/g, 'lease <lease> revoked'],
  // what a snapshot is large and took
  [/"size":"[^"]+"/g, '"size":<size>'],
  [/"took":[\d.e-]+/g, '"took":<time>'],
  [/"ts":[\d.]+/g, '"ts":<ts>'],
  // check datascale, and the moving line: etcdctl draws it from a goroutine, its last frames maybe around the next line
  [/memory used : -?[\d.]+ MB/g, 'memory used : <size> MB'],
  [/\r *\d+ \/ \d+[^\nA-Z]*\n?/g, ''],
  // clientv3's own log lines: time, caller, and a number for the client
  [/"ts":"[^"]+"/g, '"ts":<ts>'],
  [/endpoint:\/\/client-[0-9a-f-]+\//g, 'endpoint://<client>/'],
  [/"target":"[^"]+"/g, '"target":<target>'],
];

/** endpoint status -w table: version, size, leader, learner, term, index, applied index. */
const STATUS_ROW = /\|3\.\d+\.\d+\|[\d.]+ [kMG]?B\|(true|false)\|(true|false)\|\d+\|\d+\|\d+\|/;

/** Ctrl-C met a call under way, or just did not: no line to compare. */
const INTERRUPTED = /"retrying of unary invoker failed".*code = Canceled desc = context canceled/;

/** The output in comparable lines; those of a table without their padding. */
export function normalize(output: string, words: readonly [string, string][]): string[] {
  let text = output;
  for (const [value, word] of words) text = text.replaceAll(value, word);
  for (const [pattern, word] of VOLATILE) text = text.replace(pattern, word);
  return text
    .split('\n')
    .filter((line) => !INTERRUPTED.test(line))
    .map(withoutPadding);
}

/**
 * A list that each cluster orders by its own ids: its parts in alphabetical order. The header that `-w fields`
 * prints before a list stays in front.
 */
export function inOrder(lines: readonly string[], parts: 'lines' | 'paragraphs' | 'words'): string[] {
  if (parts === 'words')
    return lines
      .join('\n')
      .split(/[\s",{}[\]]+/)
      .sort();
  const text = lines.join('\n').replaceAll('},{', '}\n{').replaceAll('[{', '[\n{').replaceAll('}]', '}\n]');
  if (parts === 'lines') return text.split('\n').sort();
  const [header, ...rest] = text.replace(/^"ID"/m, '\n"ID"').split('\n\n');
  return [header, ...rest.sort()].flatMap((part) => part.split('\n'));
}

/** Columns are as wide as their widest value, which may be an id: a table is compared cell by cell. */
function withoutPadding(line: string): string {
  if (/^\+[-+]+\+$/.test(line)) return '+--+';
  if (!line.startsWith('|')) return line;
  return line
    .split('|')
    .map((cell) => cell.trim())
    .join('|')
    .replace(STATUS_ROW, '|<version>|<size>|$1|$2|<term>|<index>|<applied>|');
}
