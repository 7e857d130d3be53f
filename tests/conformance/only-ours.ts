/**
 * What cannot be compared with Debian's etcd 3.4.23, because it answers otherwise than 3.7, or worse: each step
 * carries the answer that etcd 3.7 gives, as lines of the rendered response.
 */
import { bytes, put, putting, range, ranges, txn, txning, type ApiStep } from './api-call.ts';
import { prefix, talk } from './api-watch-script.ts';

export interface OwnStep {
  readonly step: ApiStep;
  /** Why the reference is not asked. */
  readonly because: string;
  /** Lines that must be in the answer, as text or pattern. */
  readonly expect: readonly (string | RegExp)[];
}

const PANICS = 'etcd 3.4 panics: the member goes down';
const INVALID_SORT = 'error InvalidArgument: etcdserver: invalid sort option';

export const OWN_STEPS: readonly OwnStep[] = [
  {
    step: ranges('range: unknown sort order', (s) => ({ key: s.p, sortOrder: 7 })),
    because: PANICS,
    expect: [INVALID_SORT],
  },
  {
    step: ranges('range: unknown sort target', (s) => ({ key: s.p, sortTarget: 9 })),
    because: PANICS,
    expect: [INVALID_SORT],
  },
  {
    step: txning('txn: a range with an unknown sort order', (s) =>
      txn([], [range({ key: s.p, sortOrder: 8 })]),
    ),
    because: PANICS,
    expect: [INVALID_SORT],
  },
  {
    step: putting('a key', (s) => ({ key: `${s.p}own`, value: '1' }), 'own'),
    because: 'for the next ones',
    expect: [/^header.revision \d+$/],
  },
  {
    step: txning('txn: a put beside a read of a future revision', (s) =>
      txn([], [put({ key: `${s.p}own`, value: '2' }), range({ key: `${s.p}own`, revision: s.rev(1000) })]),
    ),
    because: "etcd 3.4's followers put where its leader refused: its members differ for ever",
    expect: ['error OutOfRange: etcdserver: mvcc: required revision is a future revision'],
  },
  {
    step: ranges('txn: nothing was put', (s) => ({ key: `${s.p}own` })),
    because: 'as before',
    expect: ['kvs[0].value "1"', 'kvs[0].version 1'],
  },
  {
    step: talk('a negative start', async (w, s) => {
      w.create({ key: bytes(s.p), startRevision: -1 });
      await w.hears(-1n, 1);
    }),
    because: 'etcd 3.4 creates such a watch and cancels it afterwards',
    expect: [
      /^watches\[0\] "watch -1\\ncreated true canceled true compact revision 0 reason \\"etcdserver: mvcc: required revision has been compacted\\" at \d+"$/,
      'watches 1 items',
      'endedByServer "no"',
    ],
  },
  {
    step: talk('progress without watches is not answered', async (w, s) => {
      w.progress();
      w.create(prefix(s, 'own'));
      await w.hears(0n, 1);
      w.progress();
      await w.hears(-1n, 1);
    }),
    because: 'etcd answers only through a watch since 3.4.25',
    expect: [
      /^watches\[0\] "watch -1\\ncreated false[^\\]*\\"\\" at \d+"$/,
      /^watches\[1\] "watch 0\\n/,
      'notes 0 items',
    ],
  },
  {
    step: talk('progress is not told while a watch waits for the future', async (w, s) => {
      w.create({ ...prefix(s, 'own'), startRevision: s.rev(10) });
      await w.hears(0n, 1);
      w.progress();
      w.cancel(0n);
      w.create(prefix(s, 'own'));
      await w.hears(1n, 1);
      w.progress();
      await w.hears(-1n, 1);
    }),
    because: 'etcd tells it only when every watch of the stream is synced since 3.4.25',
    expect: [
      /^watches\[0\] "watch -1\\ncreated false[^\\]*\\"\\" at \d+"$/,
      'watches 3 items',
      'notes 0 items',
    ],
  },
  {
    step: {
      name: 'hash kv names its revision',
      call: (s) => s.api.hashKV(s.rev()).then(({ hashRevision }) => ({ told: hashRevision === s.rev() })),
    },
    because: 'a field of 3.6',
    expect: ['told true'],
  },
];

/** @returns what is missing, as text */
export function missingLines(own: OwnStep, lines: readonly string[]): string[] {
  return own.expect
    .filter((want) => !lines.some((line) => (typeof want === 'string' ? line === want : want.test(line))))
    .map((want) => `${own.step.name}: no line ${String(want)} in\n${lines.join('\n')}`);
}
