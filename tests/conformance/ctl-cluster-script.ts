/**
 * What the differential test types into etcdctl about members, files, locks, elections and mirrors, and the
 * commands that need no server: with ctl-script.ts and ctl-auth-script.ts every sub-command that there is.
 */
import type { Args, Memory, RunStep, Step, WatchStep } from './ctl-script.ts';

const run = (name: string, args: Args, extra: Partial<RunStep> = {}): Step => ({
  kind: 'run',
  name,
  args,
  ...extra,
});
/** A command that is stopped once its output has what is waited for. */
const until = (name: string, args: Args, actions: WatchStep['actions']): Step => ({
  kind: 'watch',
  name,
  args,
  actions,
});

const newMember = 'http://127.0.0.1:9';
const FORMATS = ['simple', 'json', 'fields', 'table'];
const id = (role: string) => (m: Memory) => m.member(role);

const members: Step[] = [
  run('member add without a name', () => ['member', 'add']),
  run('member add without URLs', () => ['member', 'add', 'new']),
  run('member add of no URL', () => ['member', 'add', 'new', '--peer-urls=nowhere']),
  run('member add --learner', () => ['member', 'add', 'new', '--learner', `--peer-urls=${newMember}`], {
    noteMember: 'learner',
    patient: true,
    sorted: 'words',
  }),
  run('member add of a peer that is there', (m) => ['member', 'add', 'new', `--peer-urls=${m.peerUrl}`]),
  run('member list with a learner', () => ['member', 'list'], { sorted: 'lines' }),
  run('member add of a second learner', () => [
    'member',
    'add',
    'x',
    '--learner',
    `--peer-urls=${newMember}9`,
  ]),
  run('member promote of a learner that never came', (m) => ['member', 'promote', m.member('learner')]),
  run('member promote of a voter', (m) => ['member', 'promote', id('leader')(m)]),
  run('member promote of nobody', () => ['member', 'promote', '12345']),
  run('member update', (m) => ['member', 'update', m.member('learner'), `--peer-urls=${newMember}8`]),
  run('member update of nobody', () => ['member', 'update', '12345', `--peer-urls=${newMember}7`]),
  run('member update to what another has', (m) => [
    'member',
    'update',
    m.member('learner'),
    `--peer-urls=${m.peerUrl}`,
  ]),
  run('member remove', (m) => ['member', 'remove', m.member('learner')]),
  run('member remove again', (m) => ['member', 'remove', m.member('learner')]),
  run('member remove of nobody', () => ['member', 'remove', '12345']),
  run('member add of a voter', () => ['member', 'add', 'voter', `--peer-urls=${newMember}`, '-w', 'json'], {
    noteMember: 'voter',
    patient: true,
    sorted: 'words',
  }),
  run('member list -w table with one that never started', () => ['member', 'list', '-w', 'table'], {
    sorted: 'lines',
  }),
  run(
    'member update -w json',
    (m) => ['member', 'update', m.member('voter'), `--peer-urls=${newMember}6`, '-w', 'json'],
    { sorted: 'words' },
  ),
  run('member remove -w json', (m) => ['member', 'remove', m.member('voter'), '-w', 'json'], {
    sorted: 'words',
  }),
  run('member list again', () => ['member', 'list'], { sorted: 'lines' }),
];

const leaders: Step[] = [
  run('move-leader to nobody', () => ['move-leader', '12345'], { everyMember: true }),
  run('move-leader', (m) => ['move-leader', id('follower1')(m)], { everyMember: true }),
  run('endpoint status after it', () => ['endpoint', 'status'], { everyMember: true, sorted: 'lines' }),
  ...FORMATS.map((format) =>
    run(`move-leader -w ${format}`, (m) => ['move-leader', id('leader')(m), '-w', format], {
      everyMember: true,
    }),
  ),
  run('alarm disarm of none', () => ['alarm', 'disarm']),
  run('alarm disarm of none -w json', () => ['alarm', 'disarm', '-w', 'json']),
  run('defrag', () => ['defrag']),
  run('defrag --cluster', () => ['defrag', '--cluster'], { sorted: 'lines' }),
];

const files: Step[] = [
  run('snapshot save without a name', () => ['snapshot', 'save']),
  run('snapshot save: something to save', (m) => ['put', `${m.p}saved`, 'x']),
  run('snapshot save', (m) => ['snapshot', 'save', m.file('saved.db')]),
  run('snapshot save where no folder is', (m) => ['snapshot', 'save', m.file('none/saved.db')]),
  run('snapshot status', (m) => ['snapshot', 'status', m.file('saved.db')]),
  run('snapshot status -w json', (m) => ['snapshot', 'status', m.file('saved.db'), '-w', 'json']),
  run('snapshot status of nothing', (m) => ['snapshot', 'status', m.file('absent.db')]),
  run('snapshot restore', (m) => [
    'snapshot',
    'restore',
    m.file('saved.db'),
    '--data-dir',
    m.file('restored'),
  ]),
  run('snapshot restore into what is there', (m) => [
    'snapshot',
    'restore',
    m.file('saved.db'),
    '--data-dir',
    m.file('restored'),
  ]),
];

const KEY_SHOWN = /\/[0-9a-f]{12,16}\n/;

const locks: Step[] = [
  until('lock until it is stopped', (m) => ['lock', `${m.p}lock`], [{ until: KEY_SHOWN }]),
  until('lock -w json', (m) => ['lock', `${m.p}lock`, '-w', 'json'], [{ until: /"kvs"/ }]),
  until('lock: a second one waits', (m) => ['lock', `${m.p}held`], [
    { until: KEY_SHOWN },
    { startsAndStops: (m) => ['lock', `${m.p}held`], afterKeys: (m) => `${m.p}held/` },
  ]),
  until('lock whose lease is revoked', (m) => ['lock', `${m.p}lost`], [
    { until: KEY_SHOWN },
    { run: (m) => ['lease', 'revoke', m.printedLease] },
    { ends: true },
  ]),
  run('lock with a command', (m) => ['lock', `${m.p}lock`, 'echo', 'locked']),
  run('lock tells the command its key and revision', (m) => [
    'lock',
    `${m.p}lock`,
    '--',
    'sh',
    '-c',
    'echo $ETCD_LOCK_KEY $ETCD_LOCK_REV',
  ]),
  run('lock with a command that fails', (m) => ['lock', `${m.p}lock`, '--', 'sh', '-c', 'exit 3']),
  run('lock with no such command', (m) => ['lock', `${m.p}lock`, 'no-such-command']),
  run('lock --ttl', (m) => ['lock', '--ttl=5', `${m.p}lock`, 'true']),
  run('lock without a name', () => ['lock']),
];

const elections: Step[] = [
  until('elect until it is stopped', (m) => ['elect', `${m.p}boss`, 'anna'], [{ until: /\nanna\n/ }]),
  until('elect -w json', (m) => ['elect', `${m.p}boss`, 'bert', '-w', 'json'], [{ until: /"kvs"/ }]),
  until('elect -l hears of leaders', (m) => ['elect', '-l', `${m.p}boss`], [
    // A candidate that comes and goes until it is heard.
    { startsAndStops: (m) => ['elect', `${m.p}boss`, 'carl'], untilHeard: /\ncarl\n/ },
  ]),
  run('elect without a proposal', (m) => ['elect', `${m.p}boss`]),
  run('elect -l with a proposal', (m) => ['elect', '-l', `${m.p}boss`, 'dora']),
  run('elect without a name', () => ['elect']),
];

const mirrors: Step[] = [
  run('make-mirror: a key that is there', (m) => ['put', `${m.p}from/1`, 'one']),
  until(
    'make-mirror',
    (m) => ['make-mirror', '--prefix', `${m.p}from/`, '--dest-prefix', `${m.p}to/`, ...m.destination],
    [
      { reads: (m) => ['get', `${m.p}to/1`], untilRead: /one/ },
      { run: (m) => ['put', `${m.p}from/2`, 'two'] },
      { run: (m) => ['del', `${m.p}from/1`] },
      { reads: (m) => ['get', '--prefix', `${m.p}to/`], untilRead: /^[^\n]*to\/2\ntwo\n$/ },
    ],
  ),
  run('make-mirror: what arrived', (m) => ['get', '--prefix', `${m.p}to/`]),
  until(
    'make-mirror --no-dest-prefix',
    (m) => ['make-mirror', '--prefix', `${m.p}from/`, '--no-dest-prefix', ...m.destination],
    [{ reads: () => ['get', '2'], untilRead: /two/ }],
  ),
  run('make-mirror: and in the root', () => ['del', '2', '--prev-kv']),
  run('make-mirror with both', (m) => [
    'make-mirror',
    '--dest-prefix=x',
    '--no-dest-prefix',
    ...m.destination,
  ]),
  run('make-mirror without a destination', () => ['make-mirror']),
];

const kept: Step[] = [
  run('lease grant to keep', () => ['lease', 'grant', '600'], { noteLease: 'kept' }),
  until('lease keep-alive', (m) => ['lease', 'keep-alive', m.lease('kept')], [{ until: /keepalived/ }]),
  run('lease revoke of it', (m) => ['lease', 'revoke', m.lease('kept')]),
];

/** They ask no server; here so that every sub-command has its step. */
const alone: Step[] = [
  run('help', () => ['help']),
  run('version', () => ['version']),
  ...['bash', 'fish', 'powershell', 'zsh'].map((shell) =>
    run(`completion ${shell}`, () => ['completion', shell]),
  ),
  run('migrate of nothing', (m) => ['migrate', '--data-dir', m.file('none')]),
];

const checks: Step[] = [
  run('check perf with no such load', () => ['check', 'perf', '--load=huge']),
  run('check datascale with no such load', () => ['check', 'datascale', '--load=huge']),
  run('check perf: a key in the way', () => ['put', '/etcdctl-check-perf/x', 'y']),
  run('check perf refuses', () => ['check', 'perf']),
  run('check perf: out of the way', () => ['del', '/etcdctl-check-perf/x']),
];

export const CLUSTER_SCRIPT: readonly Step[] = [
  ...members,
  ...leaders,
  ...files,
  ...locks,
  ...elections,
  ...mirrors,
  ...kept,
  ...alone,
  ...checks,
];

/** Long by their nature: a minute of puts, and ten thousand of them. */
export const CHECK_SCRIPT: readonly Step[] = [
  run('check datascale', () => ['check', 'datascale', '--auto-compact'], { timeoutMs: 60_000 }),
  run('check perf', () => ['check', 'perf', '--auto-compact', '--auto-defrag'], { timeoutMs: 100_000 }),
];
