/**
 * What the differential test types into etcdctl: one list, run from top to bottom against each member in turn.
 * Revisions and lease ids are taken from what the script itself has seen, so each cluster uses its own.
 */

/** What a script has met so far on one side. */
export interface Memory {
  /** Prefix of all keys of this pass. */
  readonly p: string;
  /** The store's revision after the steps so far, plus `offset`. */
  rev(offset?: number): string;
  /** A revision noted earlier with `note`. */
  noted(name: string, offset?: number): string;
  /** A lease id noted earlier, in hex as etcdctl prints it. */
  lease(name: string): string;
  /** A member's id in hex, by its role or by the name it was noted under. */
  member(name: string): string;
  /** Where the member that is talked to listens for its peers. */
  readonly peerUrl: string;
  /** A path in a folder of this side's own. */
  file(name: string): string;
  /** The member itself as the destination of a mirror, with the flags that reach it. */
  readonly destination: readonly string[];
  /** The lease in the key that the running command printed last. */
  readonly printedLease: string;
}

export type Args = (memory: Memory) => readonly string[];

interface Common {
  /** What a difference is reported under. */
  readonly name: string;
}

/** A command that ends by itself. */
export interface RunStep extends Common {
  readonly kind: 'run';
  readonly args: Args;
  readonly stdin?: (memory: Memory) => string;
  /** Note the store's revision after it. */
  readonly noteRevision?: string;
  /** Note the lease id it prints. */
  readonly noteLease?: string;
  /** Note the id of the member it adds. */
  readonly noteMember?: string;
  /** Its output is a list in order of ids: compare its parts in alphabetical order. */
  readonly sorted?: 'lines' | 'paragraphs' | 'words';
  /** Repeat it until it succeeds: members must have heard of each other for 5 s before one more may come. */
  readonly patient?: true;
  /** It may take longer than commands do. */
  readonly timeoutMs?: number;
  /** Talk to all three members. */
  readonly everyMember?: boolean;
}

/** A watch: started, fed, and interrupted once its output has all that was waited for. */
export interface WatchStep extends Common {
  readonly kind: 'watch';
  readonly args: Args;
  readonly actions: readonly WatchAction[];
}

/** What is done while a command runs, in turn. */
export type WatchAction =
  /** A line is typed into it. */
  | { readonly type: (memory: Memory) => string }
  /** Its output has this. */
  | { readonly until: RegExp }
  /** Another command runs to its end, and counts. */
  | { readonly run: Args }
  /** Another command runs again and again until it prints this; none of these count. */
  | { readonly reads: Args; readonly untilRead: RegExp }
  /** A second command is stopped as soon as two keys are there under a prefix; it counts. */
  | { readonly startsAndStops: Args; readonly afterKeys: (memory: Memory) => string }
  /** A second command is stopped when both have printed this; it counts. */
  | { readonly startsAndStops: Args; readonly untilHeard: RegExp }
  /** It ends by itself. */
  | { readonly ends: true };

export type Step = RunStep | WatchStep;

const run = (name: string, args: Args, extra: Partial<RunStep> = {}): Step => ({
  kind: 'run',
  name,
  args,
  ...extra,
});
const k = (suffix: string) => (m: Memory) => `${m.p}${suffix}`;

const FORMATS = ['simple', 'json', 'fields', 'table'] as const;

/** One command in every output format it has. */
function formats(name: string, args: Args, except: readonly string[] = []): Step[] {
  return FORMATS.filter((format) => !except.includes(format)).map((format) =>
    run(`${name} -w ${format}`, (m) => [...args(m), '-w', format]),
  );
}

const puts: Step[] = [
  run('put', (m) => ['put', k('a')(m), 'first'], { noteRevision: 'first' }),
  run('put again', (m) => ['put', k('a')(m), 'second'], { noteRevision: 'second' }),
  run('put b', (m) => ['put', k('b')(m), 'zz']),
  run('put c', (m) => ['put', k('c')(m), 'mm']),
  run('put c again', (m) => ['put', k('c')(m), 'aa']),
  run('put c a third time', (m) => ['put', k('c')(m), 'bb']),
  run('put d/1', (m) => ['put', k('d/1')(m), 'v1']),
  run('put d/2', (m) => ['put', k('d/2')(m), 'v2']),
  run('put an empty value', (m) => ['put', k('empty')(m), '']),
  run('put with value from stdin', (m) => ['put', k('stdin')(m)], {
    stdin: () => 'typed in\nover two lines',
  }),
  run('put bytes that are no text', (m) => ['put', k('raw\x01')(m), 'tab\t"quote" \u00e9']),
  run('put --prev-kv of a new key', (m) => ['put', k('new')(m), 'n', '--prev-kv']),
  ...formats('put --prev-kv', (m) => ['put', k('new')(m), 'o', '--prev-kv']),
  run('put --ignore-value', (m) => ['put', k('new')(m), '--ignore-value']),
  run('put --ignore-value of a missing key', (m) => ['put', k('missing')(m), '--ignore-value']),
  run('put --ignore-lease', (m) => ['put', k('new')(m), 'p', '--ignore-lease']),
  run('put --ignore-lease of a missing key', (m) => ['put', k('missing')(m), 'p', '--ignore-lease']),
  run('put with an unknown lease', (m) => ['put', k('a')(m), 'x', '--lease=1234abcd']),
  run('put with a bad lease', (m) => ['put', k('a')(m), 'x', '--lease=zz']),
  run('put without a key', () => ['put']),
  run('put an empty key', () => ['put', '', 'x']),
  run('put with an unknown flag', (m) => ['put', k('a')(m), 'x', '--no-such-flag']),
];

const gets: Step[] = [
  ...formats('get', (m) => ['get', k('a')(m)]),
  ...formats('get of a missing key', (m) => ['get', k('missing')(m)]),
  ...formats('get --prefix', (m) => ['get', '--prefix', m.p]),
  run('get --prefix of everything', () => ['get', '--prefix', '']),
  run('get a range', (m) => ['get', k('a')(m), k('c')(m)]),
  run('get an empty range', (m) => ['get', k('c')(m), k('a')(m)]),
  run('get --from-key', (m) => ['get', '--from-key', k('d')(m)]),
  run('get --from-key of everything', () => ['get', '--from-key', '']),
  run('get --from-key and --prefix', (m) => ['get', '--from-key', '--prefix', m.p]),
  ...formats('get --rev', (m) => ['get', k('a')(m), `--rev=${m.noted('first')}`]),
  run('get --rev before the key', (m) => ['get', k('b')(m), `--rev=${m.noted('first')}`]),
  run('get --prefix --rev', (m) => ['get', '--prefix', m.p, `--rev=${m.noted('second')}`, '-w', 'fields']),
  run('get of a future revision', (m) => ['get', k('a')(m), `--rev=${m.rev(100)}`]),
  run('get of a negative revision', (m) => ['get', k('a')(m), '--rev=-1']),
  ...formats('get --limit', (m) => ['get', '--prefix', m.p, '--limit=2']),
  run('get --limit 0', (m) => ['get', '--prefix', m.p, '--limit=0', '--keys-only']),
  run('get --limit beyond', (m) => ['get', '--prefix', m.p, '--limit=1000', '-w', 'json']),
  ...['ASCEND', 'DESCEND'].flatMap((order) => [
    run(`get --order=${order}`, (m) => ['get', '--prefix', m.p, `--order=${order}`]),
    ...['KEY', 'VERSION', 'CREATE', 'MODIFY', 'VALUE'].map((target) =>
      // Few keys with different versions, values and revisions: ties are in no defined order.
      run(`get --order=${order} --sort-by=${target}`, (m) => [
        'get',
        k('b')(m),
        k('d/2')(m),
        `--order=${order}`,
        `--sort-by=${target}`,
        '-w',
        'fields',
      ]),
    ),
  ]),
  run('get --sort-by alone', (m) => ['get', k('a')(m), k('d')(m), '--sort-by=MODIFY']),
  run('get --sort-by with --limit', (m) => [
    'get',
    k('a')(m),
    k('d')(m),
    '--sort-by=VALUE',
    '--limit=1',
    '-w',
    'json',
  ]),
  run('get with a bad order', (m) => ['get', k('a')(m), '--order=SIDEWAYS']),
  run('get with a bad target', (m) => ['get', k('a')(m), '--sort-by=COLOUR']),
  ...formats('get --keys-only', (m) => ['get', '--prefix', m.p, '--keys-only']),
  run('get --print-value-only', (m) => ['get', '--prefix', m.p, '--print-value-only']),
  run('get --print-value-only -w json', (m) => ['get', m.p, '--print-value-only', '-w', 'json']),
  run('get --hex', (m) => ['get', '--prefix', k('raw')(m), '--hex']),
  run('get --hex -w fields', (m) => ['get', '--prefix', k('raw')(m), '--hex', '-w', 'fields']),
  run('get --consistency=s', (m) => ['get', k('a')(m), '--consistency=s']),
  run('get with a bad consistency', (m) => ['get', k('a')(m), '--consistency=x']),
  run('get an empty key', () => ['get', '']),
  run('get without a key', () => ['get']),
];

const deletes: Step[] = [
  run('put keys to delete', (m) => ['put', k('del/1')(m), '1']),
  run('put more', (m) => ['put', k('del/2')(m), '2']),
  run('and more', (m) => ['put', k('del/3')(m), '3']),
  run('and others', (m) => ['put', k('dem/1')(m), '4']),
  run('del a missing key', (m) => ['del', k('missing')(m)]),
  run('del a missing key -w json', (m) => ['del', k('missing')(m), '-w', 'json']),
  run('del --prev-kv', (m) => ['del', k('del/1')(m), '--prev-kv']),
  run('del again', (m) => ['del', k('del/1')(m), '--prev-kv', '-w', 'fields']),
  run('put it again', (m) => ['put', k('del/1')(m), 'reborn']),
  run('get it: a new life', (m) => ['get', k('del/1')(m), '-w', 'fields']),
  run('del a range', (m) => ['del', k('del/1')(m), k('del/2')(m), '-w', 'json']),
  run('del an empty range', (m) => ['del', k('del/3')(m), k('del/1')(m)]),
  run('del --prefix --prev-kv -w fields', (m) => [
    'del',
    '--prefix',
    k('del/')(m),
    '--prev-kv',
    '-w',
    'fields',
  ]),
  run('del --prefix --prev-kv -w json', (m) => ['del', '--prefix', k('dem/')(m), '--prev-kv', '-w', 'json']),
  run('put from-key 1', (m) => ['put', k('y/1')(m), '1']),
  run('put from-key 2', (m) => ['put', k('y/2')(m), '2']),
  run('del --from-key', (m) => ['del', '--from-key', k('y/1')(m)]),
  run('del --from-key and --prefix', (m) => ['del', '--from-key', '--prefix', m.p]),
  run('del an empty key', () => ['del', '']),
  run('del without a key', () => ['del']),
];

const txns: Step[] = [
  run('txn: compares hold', () => ['txn'], {
    stdin: (m) =>
      `value("${m.p}a") = "second"\nversion("${m.p}a") > "1"\n\nput ${m.p}t/1 yes\nget ${m.p}t/1\n\nput ${m.p}t/1 no\n\n`,
  }),
  run('txn: a compare fails', () => ['txn', '-w', 'fields'], {
    stdin: (m) => `mod("${m.p}a") = "1"\n\nput ${m.p}t/2 yes\n\nget ${m.p}a\ndel ${m.p}t/1 --prev-kv\n\n`,
  }),
  run('txn -w json', () => ['txn', '-w', 'json'], {
    stdin: (m) =>
      `create("${m.p}nothing") = "0"\n\nput ${m.p}t/3 x\nput ${m.p}t/4 y --prev-kv\nget ${m.p}t/ --prefix\ndel ${m.p}t/3\n\n\n`,
  }),
  run('txn -w table', () => ['txn', '-w', 'table'], {
    stdin: (m) => `version("${m.p}a") = "2"\n\nget ${m.p}a\n\n\n`,
  }),
  run('txn without compares', () => ['txn'], { stdin: (m) => `\nput ${m.p}t/5 z\nget ${m.p}t/5\n\n\n` }),
  run('txn of nothing', () => ['txn'], { stdin: () => `\n\n\n` }),
  run('txn -i', () => ['txn', '-i'], {
    stdin: (m) => `value("${m.p}a") = "second"\n\nput ${m.p}t/6 interactive\n\nput ${m.p}t/6 no\n\n`,
  }),
  run('txn: reads only', () => ['txn', '-w', 'fields'], {
    stdin: (m) => `value("${m.p}a") < "zzz"\n\nget ${m.p}a\nget ${m.p}b\n\nget ${m.p}c\n\n`,
  }),
  run('txn: a key twice', () => ['txn'], { stdin: (m) => `\nput ${m.p}t/7 1\nput ${m.p}t/7 2\n\n\n` }),
  run('txn: a put inside a deleted range', () => ['txn'], {
    stdin: (m) => `\nput ${m.p}t/7 1\ndel ${m.p}t/ --prefix\n\n\n`,
  }),
  // Reads only: with a put beside it, etcd 3.4's followers put where its leader refused, and differ for ever.
  run('txn: a future revision', () => ['txn'], { stdin: (m) => `\nget ${m.p}a --rev=${m.rev(1000)}\n\n\n` }),
  run('txn: nothing of it happened', (m) => ['get', k('t/8')(m), '-w', 'json']),
  run('txn: an unknown lease', () => ['txn'], { stdin: (m) => `\nput ${m.p}t/8 x --lease=7fff\n\n\n` }),
  run('txn: what is no compare', () => ['txn'], { stdin: () => `size("x") = "1"\n\n\n\n` }),
];

const leases: Step[] = [
  run('lease grant', () => ['lease', 'grant', '600'], { noteLease: 'one' }),
  run('lease grant -w json', () => ['lease', 'grant', '600', '-w', 'json'], { noteLease: 'two' }),
  run('lease grant -w fields', () => ['lease', 'grant', '600', '-w', 'fields'], { noteLease: 'three' }),
  run('lease grant below the minimum', () => ['lease', 'grant', '1', '-w', 'fields'], { noteLease: 'short' }),
  // At once: it lives for two seconds only.
  run('lease revoke of the short one', (m) => ['lease', 'revoke', m.lease('short')]),
  run('lease grant without ttl', () => ['lease', 'grant']),
  run('lease grant too long', () => ['lease', 'grant', '9000000001']),
  run('lease grant of no number', () => ['lease', 'grant', 'long']),
  run('put --lease', (m) => ['put', k('l/1')(m), 'x', `--lease=${m.lease('one')}`]),
  run('get a leased key', (m) => ['get', k('l/1')(m), '-w', 'fields']),
  run('get a leased key -w json', (m) => ['get', '--prefix', k('l/')(m), '-w', 'json']),
  run('get --keys-only of a leased key', (m) => [
    'get',
    '--prefix',
    k('l/')(m),
    '-w',
    'fields',
    '--keys-only',
  ]),
  run('lease timetolive', (m) => ['lease', 'timetolive', m.lease('one')]),
  run('lease timetolive --keys', (m) => ['lease', 'timetolive', '--keys', m.lease('one')]),
  run('lease timetolive --keys -w json', (m) => [
    'lease',
    'timetolive',
    '--keys',
    m.lease('one'),
    '-w',
    'json',
  ]),
  run('lease timetolive --keys -w fields', (m) => [
    'lease',
    'timetolive',
    '--keys',
    m.lease('one'),
    '-w',
    'fields',
  ]),
  // A second key only now: etcd lists the keys of a lease in no order.
  run('put --lease again', (m) => ['put', k('l/2')(m), 'y', `--lease=${m.lease('one')}`]),
  run('lease timetolive of an unknown one', () => ['lease', 'timetolive', '7777']),
  run('lease timetolive of no id', () => ['lease', 'timetolive', 'zzzz']),
  run('lease keep-alive --once', (m) => ['lease', 'keep-alive', '--once', m.lease('one')]),
  run('lease keep-alive --once -w json', (m) => [
    'lease',
    'keep-alive',
    '--once',
    m.lease('one'),
    '-w',
    'json',
  ]),
  run('lease keep-alive of an unknown one', () => ['lease', 'keep-alive', '--once', '7777']),
  run('put moves the key to another lease', (m) => ['put', k('l/2')(m), 'y', `--lease=${m.lease('two')}`]),
  run('put --ignore-lease keeps it', (m) => ['put', k('l/2')(m), 'z', '--ignore-lease']),
  run('lease timetolive --keys of both', (m) => ['lease', 'timetolive', '--keys', m.lease('two')]),
  run('put detaches the key', (m) => ['put', k('l/2')(m), 'y']),
  run('lease timetolive --keys of none', (m) => ['lease', 'timetolive', '--keys', m.lease('two')]),
  run('lease list', () => ['lease', 'list'], { sorted: 'lines' }),
  run('lease revoke', (m) => ['lease', 'revoke', m.lease('one')]),
  run('its key is gone', (m) => ['get', '--prefix', k('l/')(m), '-w', 'fields']),
  run('lease revoke again', (m) => ['lease', 'revoke', m.lease('one')]),
  run('lease revoke without keys', (m) => ['lease', 'revoke', m.lease('two'), '-w', 'json']),
  run('lease revoke -w fields', (m) => ['lease', 'revoke', m.lease('three'), '-w', 'fields']),
  run('lease list of none', () => ['lease', 'list', '-w', 'json']),
];

const watches: Step[] = [
  {
    kind: 'watch',
    name: 'watch --prefix --rev: history, then news',
    args: (m) => ['watch', '--prefix', k('w/')(m), `--rev=${m.noted('watch')}`],
    actions: [
      { until: /w\/2\n2\n/ },
      { run: (m) => ['put', k('w/3')(m), '3'] },
      { run: (m) => ['del', k('w/1')(m)] },
      { run: (m) => ['put', k('elsewhere')(m), 'x'] },
      { run: (m) => ['put', k('w/end')(m), 'end'] },
      { until: /w\/end\nend\n/ },
    ],
  },
  ...(['simple', 'json', 'fields'] as const).map((format): WatchStep => ({
    kind: 'watch',
    name: `watch --prev-kv -w ${format}`,
    args: (m) => ['watch', '--prefix', k('w/')(m), `--rev=${m.noted('watch')}`, '--prev-kv', '-w', format],
    actions: [{ until: /w\/end|dy9lbmQ=|ZW5k/ }],
  })),
  {
    kind: 'watch',
    name: 'watch a key',
    args: (m) => ['watch', k('w/1')(m), `--rev=${m.noted('watch')}`],
    actions: [{ until: /DELETE\n.*\n/ }, { run: (m) => ['put', k('w/1')(m), 'back'] }, { until: /back\n/ }],
  },
  {
    kind: 'watch',
    name: 'watch a range',
    args: (m) => ['watch', k('w/2')(m), k('w/4')(m), `--rev=${m.noted('watch')}`],
    actions: [{ until: /w\/3\n3\n/ }],
  },
  {
    kind: 'watch',
    name: 'watch from a future revision',
    args: (m) => ['watch', '--prefix', k('w/')(m), `--rev=${m.rev(3)}`],
    actions: [
      { run: (m) => ['put', k('w/f')(m), 'too early'] },
      { run: (m) => ['put', k('w/f')(m), 'early'] },
      { run: (m) => ['put', k('w/f')(m), 'now'] },
      { until: /now\n/ },
    ],
  },
  {
    kind: 'watch',
    name: 'watch: a transaction is one batch',
    args: (m) => ['watch', '--prefix', k('t/')(m), `--rev=${m.noted('before txns')}`, '-w', 'json'],
    actions: [{ until: /aW50ZXJhY3RpdmU=/ }],
  },
  {
    kind: 'watch',
    name: 'watch -i: two watches, progress, cancel by the end',
    args: () => ['watch', '-i'],
    actions: [
      { type: (m) => `watch ${m.p}i/1\n` },
      { type: () => 'progress\n' },
      { until: /progress notify: \d+\n/ },
      { type: (m) => `watch --prefix ${m.p}i/ --prev-kv\n` },
      { type: () => 'progress\n' },
      { until: /progress notify: \d+\n[^]*progress notify: \d+\n/ },
      { run: (m) => ['put', k('i/2')(m), 'two'] },
      { until: /two\n/ },
      { run: (m) => ['put', k('i/2')(m), 'three'] },
      { until: /three\n/ },
      { run: (m) => ['del', k('i/2')(m)] },
      { until: /DELETE\n/ },
      { type: () => 'progress\n' },
      { until: /DELETE\n[^]*progress notify: \d+\n/ },
    ],
  },
];

const watchPreparation: Step[] = [
  run('before the watches', (m) => ['put', k('w/0')(m), '0'], { noteRevision: 'watch' }),
  run('watch: put w/1', (m) => ['put', k('w/1')(m), '1']),
  run('watch: put w/2', (m) => ['put', k('w/2')(m), '2']),
];

const compactions: Step[] = [
  run('compaction of a future revision', (m) => ['compaction', m.rev(1000)]),
  run('compaction of no number', () => ['compaction', 'now']),
  run('compaction without revision', () => ['compaction']),
  run('compaction', (m) => ['compaction', m.noted('second', 1)]),
  run('compaction again', (m) => ['compaction', m.noted('second', 1)]),
  run('compaction of less', (m) => ['compaction', m.noted('first')]),
  run('get at the compacted revision', (m) => ['get', k('a')(m), `--rev=${m.noted('second', 1)}`]),
  run('get below it', (m) => ['get', k('a')(m), `--rev=${m.noted('second')}`]),
  run('compaction --physical', (m) => ['compaction', '--physical', m.noted('second', 3)]),
  {
    kind: 'watch',
    name: 'watch from a compacted revision',
    args: (m) => ['watch', k('a')(m), `--rev=${m.noted('first')}`],
    actions: [],
  },
  {
    kind: 'watch',
    name: 'watch from a compacted revision -w json',
    args: (m) => ['watch', k('a')(m), `--rev=${m.noted('first')}`, '-w', 'json'],
    actions: [],
  },
  run('get after compaction', (m) => ['get', '--prefix', m.p, '-w', 'fields']),
];

const cluster: Step[] = [
  // Nothing with a lease id in it may be left, nor a tombstone at the compacted revision.
  run('before the hash', (m) => ['put', k('hash')(m), 'x'], { noteRevision: 'hash' }),
  run('compact everything', (m) => ['compaction', '--physical', m.noted('hash')]),
  ...FORMATS.map((format) =>
    run(`member list -w ${format}`, () => ['member', 'list', '-w', format], {
      sorted: format === 'fields' ? 'paragraphs' : 'lines',
    }),
  ),
  run('endpoint health', () => ['endpoint', 'health'], { everyMember: true, sorted: 'lines' }),
  run('endpoint health -w table', () => ['endpoint', 'health', '-w', 'table'], { sorted: 'lines' }),
  run('endpoint health -w json', () => ['endpoint', 'health', '-w', 'json']),
  run('endpoint status', () => ['endpoint', 'status'], { everyMember: true, sorted: 'lines' }),
  run('endpoint status -w table', () => ['endpoint', 'status', '-w', 'table'], {
    everyMember: true,
    sorted: 'lines',
  }),
  run('endpoint status -w json', () => ['endpoint', 'status', '-w', 'json']),
  run('endpoint status -w fields', () => ['endpoint', 'status', '-w', 'fields']),
  run('endpoint status --cluster', () => ['endpoint', 'status', '--cluster'], { sorted: 'lines' }),
  run('alarm list', () => ['alarm', 'list']),
  // Late: etcd 3.4's followers hash differently until their own compaction is done.
  run('endpoint hashkv', () => ['endpoint', 'hashkv'], { everyMember: true, sorted: 'lines' }),
  run('endpoint hashkv -w json', () => ['endpoint', 'hashkv', '-w', 'json']),
  run('check of an unknown command', () => ['frobnicate']),
];

export const SCRIPT: readonly Step[] = [
  ...puts,
  ...gets,
  ...deletes,
  run('before the transactions', (m) => ['put', k('x')(m), 'x'], { noteRevision: 'before txns' }),
  ...txns,
  ...leases,
  ...watchPreparation,
  ...watches,
  ...compactions,
  ...cluster,
];
