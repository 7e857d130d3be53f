/**
 * Each watch against the truth (W1–W11): from its beginning it must be told exactly the events of its range that pass its filters, in
 * order, each once, whole revisions at a time, with what was there before if it asked. What it is told beside them
 * (progress, cancellation) must be true at that moment.
 */
import type { History, Watch, WatchEvent, WatchResponse } from '../history/record.ts';
import { sameKv } from './answer.ts';
import type { Compactions } from './compaction-laws.ts';
import { eventText, rangeText } from './describe.ts';
import { covers } from './range-model.ts';
import type { Replay } from './replay.ts';
import type { Findings, Law } from './verdict.ts';

interface Session {
  readonly watch: Watch;
  readonly responses: (
    WatchResponse | { readonly type: 'settled'; readonly seq: number; readonly revision: number }
  )[];
  cancelAskedAt: number;
  endedAt: number;
}

export function checkWatches(
  history: History,
  replay: Replay,
  compactions: Compactions,
  findings: Findings,
): void {
  const sessions = new Map<number, Session>();
  const streams = new Map<number, Session[]>();
  const settled = history.facts.filter((fact) => fact.type === 'settled');
  for (const record of history.watches) {
    if (record.type === 'watch') {
      const session = { watch: record, responses: [], cancelAskedAt: Infinity, endedAt: Infinity };
      sessions.set(record.watch, session);
      const others = streams.get(record.stream);
      if (others === undefined) streams.set(record.stream, [session]);
      else others.push(session);
    } else if (record.type === 'watchResponse') {
      const only = record.watch === undefined ? undefined : sessions.get(record.watch);
      if (record.watch !== undefined) only?.responses.push(record);
      // A refusal that names no watch (a duplicate id) says nothing of the others.
      else if (record.canceled !== true && record.created !== true)
        for (const session of streams.get(record.stream) ?? []) session.responses.push(record);
    } else if (record.type === 'watchCancel') {
      const session = sessions.get(record.watch);
      if (session !== undefined) session.cancelAskedAt = Math.min(session.cancelAskedAt, record.seq);
    } else
      for (const session of streams.get(record.stream) ?? [])
        session.endedAt = Math.min(session.endedAt, record.seq);
  }
  for (const session of sessions.values()) {
    for (const { seq, revision } of settled) session.responses.push({ type: 'settled', seq, revision });
    if (settled.length > 0) session.responses.sort((a, b) => a.seq - b.seq);
    new WatchCheck(session, replay, compactions, findings).run();
  }
}

/** Only so many of one watch: the first fault is the one to read. */
const FAULTS_MAX = 3;

class WatchCheck {
  private readonly session: Session;
  private readonly watch: Watch;
  private readonly replay: Replay;
  private readonly compactions: Compactions;
  private readonly findings: Findings;
  /** Where the truth goes on: nothing at or before `revision` is to come. Undefined: not created. */
  private next: { revision: number; index: number } | undefined = undefined;
  private delivered = 0;
  private progress = 0;
  /** The first revision that is for it. */
  private begin = 0;
  private inFragments = false;
  private over = false;
  private faults = 0;

  constructor(session: Session, replay: Replay, compactions: Compactions, findings: Findings) {
    this.session = session;
    this.watch = session.watch;
    this.replay = replay;
    this.compactions = compactions;
    this.findings = findings;
  }

  run(): void {
    this.findings.count('watches');
    for (const response of this.session.responses) {
      if (this.faults >= FAULTS_MAX) return;
      if (response.type === 'settled') this.settled(response.seq, response.revision);
      else this.take(response);
    }
  }

  private get start(): number {
    return this.watch.start ?? 0;
  }

  private take(response: WatchResponse): void {
    const { created, canceled, events = [], revision, fragment } = response;
    if (this.over) {
      if (response.watch !== undefined && events.length > 0)
        this.fault('W11', response, `was told ${events.length} events after it had been cancelled`);
      return;
    }
    if (created === true && this.next === undefined) {
      this.begin = this.start > 0 ? this.start : revision + 1;
      this.next = { revision: this.begin, index: 0 };
    }
    if (canceled === true) {
      this.canceled(response);
      return;
    }
    if (created === true) return;
    if (this.next === undefined) {
      if (response.watch !== undefined)
        this.fault('W1', response, 'was told something before it was created');
      return;
    }
    if (events.length === 0) {
      if (fragment !== true) this.progressed(response, this.next);
      return;
    }
    if (fragment === true && this.watch.fragment !== true)
      this.fault('W4', response, 'got a part of a response, and had not asked for parts');
    for (const event of events) {
      this.findings.count('watch events');
      this.event(event, response, this.next);
      if (this.faults >= FAULTS_MAX) return;
    }
    this.inFragments = fragment === true;
    const expected = this.expected(this.next);
    if (fragment !== true && expected !== undefined && expected.kv.mod === this.delivered)
      this.fault(
        'W4',
        response,
        `was told a part of revision ${this.delivered}; ${eventText(expected)} is missing`,
      );
    const newest = events[events.length - 1].kv.mod;
    if (newest > revision)
      this.fault('W6', response, `was told of revision ${newest} by a response at ${revision}`);
  }

  /** The next event it must be told; moves over what is not for it. */
  private expected(next: { revision: number; index: number }): WatchEvent | undefined {
    const { space } = this.replay;
    if (next.revision <= space.base) {
      next.revision = space.base + 1;
      next.index = 0;
    }
    for (; next.revision <= space.revision; next.revision++, next.index = 0) {
      const events = space.eventsAt(next.revision);
      for (; next.index < events.length; next.index++)
        if (this.wants(events[next.index])) return events[next.index];
    }
    return undefined;
  }

  private wants({ kind, kv }: WatchEvent): boolean {
    const { key, end, noPut, noDelete } = this.watch;
    if (kind === 'put' ? noPut === true : noDelete === true) return false;
    // An empty key with an end is etcd's first key.
    return covers(key === '' ? '\0' : key, end, kv.key);
  }

  private event(event: WatchEvent, response: WatchResponse, next: { revision: number; index: number }): void {
    const { mod } = event.kv;
    // What was before the history began is not known.
    if (mod <= this.replay.space.base && this.start > 0 && mod >= this.start) return;
    if (mod <= this.progress) {
      this.fault('W6', response, `was told ${eventText(event)}, after progress at ${this.progress}`);
      return;
    }
    if (mod < this.start) {
      this.fault('W10', response, `was told ${eventText(event)}, and starts at ${this.start}`);
      return;
    }
    if (!this.wants(event)) {
      this.fault('W9', response, `was told ${eventText(event)}, which is not for it`);
      return;
    }
    const expected = this.expected(next);
    if (expected !== undefined && expected.kv.mod === mod && expected.kv.key === event.kv.key) {
      this.compare(event, expected, response);
      next.index++;
      this.delivered = mod;
      return;
    }
    this.misplaced(event, expected, response, next);
  }

  private misplaced(
    event: WatchEvent,
    expected: WatchEvent | undefined,
    response: WatchResponse,
    next: { revision: number; index: number },
  ): void {
    const { mod, key } = event.kv;
    const wanted = expected === undefined ? 'nothing more' : eventText(expected);
    const truth = this.replay.space.eventsAt(mod).find(({ kv }) => kv.key === key);
    if (truth === undefined) {
      this.fault('W9', response, `was told ${eventText(event)}, which never happened; expected ${wanted}`, [
        'W12',
      ]);
    } else if (mod < next.revision || (mod === next.revision && this.told(mod, key, next.index))) {
      const before = mod < this.delivered ? 'W1' : 'W2';
      const why =
        mod < this.delivered ? `after revision ${this.delivered}` : 'a second time, or before its start';
      this.fault(
        before,
        response,
        `was told ${eventText(event)} ${why}; expected ${wanted}`,
        before === 'W1' ? ['W2'] : [],
      );
    } else if (mod === next.revision) {
      this.fault(
        'W1',
        response,
        `was told ${eventText(event)} out of its revision's order; expected ${wanted}`,
        ['E3'],
      );
      next.index = Infinity;
      this.delivered = mod;
    } else {
      const also: Law[] =
        expected?.kind === 'delete' && this.compactions.askedAt(expected.kv.mod, response.seq)
          ? ['K6']
          : this.watch.resumes === undefined
            ? []
            : ['W5'];
      this.fault('W3', response, `was told ${eventText(event)}, and not ${wanted}`, also);
      next.revision = mod;
      next.index = this.replay.space.eventsAt(mod).indexOf(truth) + 1;
      this.delivered = mod;
    }
  }

  /** Whether the key's event of this revision lies before what is next. */
  private told(revision: number, key: string, index: number): boolean {
    return this.replay.space.eventsAt(revision).findIndex(({ kv }) => kv.key === key) < index;
  }

  /** What etcd tells as the previous version: the one of the revision before, also where a txn changed the key twice. */
  private before({ kind, kv, prev }: WatchEvent): WatchEvent['prev'] {
    if (kind === 'put' && kv.create === kv.mod) return undefined;
    if (prev === undefined || prev.mod < kv.mod) return prev;
    return this.replay.space.eventsAt(kv.mod).find((each) => each.kv.key === kv.key)?.prev;
  }

  private compare(event: WatchEvent, expected: WatchEvent, response: WatchResponse): void {
    const same =
      event.kind === expected.kind &&
      (event.kind === 'delete'
        ? event.kv.version === 0 && event.kv.create === 0 && event.kv.value === ''
        : sameKv(event.kv, expected.kv));
    if (!same) {
      this.fault('W8', response, `was told ${eventText(event)}, expected ${eventText(expected)}`, ['K4']);
      return;
    }
    const wanted = this.watch.prevKv === true ? this.before(expected) : undefined;
    if (sameKv(event.prev, wanted)) return;
    const gone = event.prev === undefined && this.compactions.possible(event.kv.mod - 1, response.seq);
    if (gone) return;
    const asked = this.watch.prevKv === true ? '' : ', which it had not asked for';
    this.fault(
      'W7',
      response,
      `was told ${eventText(event)}${asked}, expected ${eventText({ ...expected, ...(wanted === undefined ? {} : { prev: wanted }) })}`,
    );
  }

  private progressed(response: WatchResponse, next: { revision: number; index: number }): void {
    const { revision } = response;
    this.findings.count('progress reports');
    if (this.inFragments)
      this.fault('W4', response, `was told progress at ${revision} between the parts of a response`);
    if (this.start > 0 && revision < this.start && this.delivered === 0) {
      this.fault('W10', response, `was told progress at ${revision}, and starts at ${this.start}`);
      return;
    }
    if (revision < this.progress || revision < this.delivered) {
      this.fault(
        'W6',
        response,
        `was told progress at ${revision}, after ${Math.max(this.progress, this.delivered)}`,
      );
      return;
    }
    const expected = this.expected(next);
    if (expected !== undefined && expected.kv.mod <= revision)
      this.fault('W6', response, `was told progress at ${revision}, and not ${eventText(expected)}`);
    this.progress = revision;
  }

  private canceled(response: WatchResponse): void {
    const { compactRevision = 0, reason = '', seq } = response;
    this.over = true;
    if (compactRevision > 0) {
      const position = Math.max(this.next?.revision ?? this.start, this.delivered + 1, this.progress + 1);
      if (!this.compactions.askedAt(compactRevision, seq))
        this.fault(
          'W11',
          response,
          `was cancelled as compacted at ${compactRevision}, which nobody had asked for`,
        );
      else if (Math.max(this.delivered, this.progress, this.begin) >= compactRevision)
        this.fault(
          'W11',
          response,
          `was cancelled as compacted at ${compactRevision}, and needed nothing below ${position}`,
        );
      return;
    }
    if (seq > this.session.cancelAskedAt) return;
    const compacted = reason.includes('has been compacted') && this.start >= 0;
    if (compacted || (reason === '' && this.next !== undefined))
      this.fault(
        'W11',
        response,
        `was cancelled ${compacted ? 'as compacted' : 'for no reason'}, without a compact revision`,
      );
  }

  /** All is quiet: whoever still watches must have been told all. */
  private settled(seq: number, revision: number): void {
    const { session, next } = this;
    if (this.over || next === undefined || session.endedAt < seq || session.cancelAskedAt < seq) return;
    this.findings.count('watches settled');
    const expected = this.expected(next);
    if (expected !== undefined && expected.kv.mod <= revision)
      this.fault(
        'W3',
        undefined,
        `was never told ${eventText(expected)}, and all was quiet at revision ${revision}`,
        this.startedCompacted() ? ['W11'] : [],
      );
  }

  private startedCompacted(): boolean {
    return this.start > 0 && this.start < this.compactions.certainBefore(this.watch.called);
  }

  private fault(
    law: Law,
    response: WatchResponse | undefined,
    text: string,
    also: readonly Law[] = [],
  ): void {
    this.faults++;
    const { watch, stream, member, key, end, resumes } = this.watch;
    const filters = `${this.watch.noPut === true ? ' no puts' : ''}${this.watch.noDelete === true ? ' no deletes' : ''}`;
    const who = `watch ${watch} of ${rangeText(key, end)}${filters}${this.start > 0 ? ` from ${this.start}` : ''}${member === undefined ? '' : ` at ${member}`}`;
    const nextRevision = this.next?.revision ?? 0;
    this.findings.report(
      law,
      `${who} ${text}`,
      () => [
        `stream ${stream}, asked for at ${this.watch.called}${resumes === undefined ? '' : `, goes on for watch ${resumes}`}, told up to revision ${this.delivered}, progress ${this.progress}`,
        ...(response === undefined
          ? []
          : [
              `the response at ${response.seq}: revision ${response.revision}, ${(response.events ?? []).slice(0, 6).map(eventText).join('; ')}`,
            ]),
        ...this.replay.around(this.delivered, nextRevision, nextRevision + 1),
      ],
      also,
    );
  }
}
