/**
 * What watches say about who made a revision, by what they were told and by what they were not: a watch that was told of later
 * things, or of progress, was not told of an event because there was none. The replay asks while it has choices; whether each
 * watch was served rightly is `watch-laws.ts`'s to say, once the truth is known.
 */
import type { History, Watch, WatchEvent } from '../history/record.ts';
import type { Request } from '../history/request.ts';
import { sameKv } from './answer.ts';
import type { Filing } from './filing.ts';
import { covers } from './range-model.ts';

interface Session {
  readonly watch: Watch;
  /** It speaks for revisions in [begin, upTo]. */
  begin: number;
  upTo: number;
  /** The place from which on it is told nothing more. */
  overAt: number;
  readonly told: Set<string>;
}

export class WatchWitness {
  private readonly filing: Filing;
  private readonly single = new Map<string, Session[]>();
  private readonly wide: Session[] = [];
  private readonly told = new Map<number, WatchEvent[]>();

  constructor(filing: Filing) {
    this.filing = filing;
    this.read(filing.history);
  }

  /** Whether these can be the events of a revision. */
  agrees(revision: number, events: readonly WatchEvent[]): boolean {
    for (const event of this.told.get(revision) ?? []) {
      // A txn may change a key more than once: then what was before it is not what each change found.
      const made = events.filter(({ kv }) => kv.key === event.kv.key);
      const same = made.find(
        ({ kind, kv }) => kind === event.kind && (kind === 'delete' || sameKv(kv, event.kv)),
      );
      if (same === undefined) return false;
      if (made.length === 1 && event.prev !== undefined && !sameKv(same.prev, event.prev)) return false;
    }
    if (!this.isOpen(revision)) return true;
    for (const event of events) {
      for (const session of this.single.get(event.kv.key) ?? [])
        if (misses(session, revision, event)) return false;
      for (const session of this.wide) if (misses(session, revision, event)) return false;
    }
    return true;
  }

  /** Whether the request that made it, or the state, decides which events it has. */
  private isOpen(revision: number): boolean {
    const write = this.filing.writeAt(revision);
    return write === undefined || deletes(write.request);
  }

  private read(history: History): void {
    const sessions = new Map<number, Session>();
    const streams = new Map<number, Session[]>();
    for (const record of history.watches) {
      if (record.type === 'watch') {
        const session = {
          watch: record,
          begin: Infinity,
          upTo: 0,
          overAt: Infinity,
          told: new Set<string>(),
        };
        sessions.set(record.watch, session);
        streams.set(record.stream, [...(streams.get(record.stream) ?? []), session]);
        if ((record.end ?? '') === '')
          this.single.set(record.key, [...(this.single.get(record.key) ?? []), session]);
        else this.wide.push(session);
      } else if (record.type === 'watchResponse') {
        const { watch, stream, revision, events = [], created, canceled, fragment } = record;
        const only = watch === undefined ? undefined : sessions.get(watch);
        const concerned =
          watch !== undefined ? (only === undefined ? [] : [only]) : (streams.get(stream) ?? []);
        for (const session of concerned) {
          if (session.overAt !== Infinity) continue;
          if (created === true && session.begin === Infinity)
            session.begin = (session.watch.start ?? 0) > 0 ? (session.watch.start ?? 0) : revision + 1;
          if (canceled === true) session.overAt = record.seq;
          // A report for the whole stream does not speak for a watch that was asked for and is not there yet.
          else if (created !== true && events.length === 0 && session.begin !== Infinity)
            session.upTo = Math.max(session.upTo, revision);
          for (const event of events) this.take(session, event, fragment === true);
        }
      } else if (record.type === 'watchCancel') {
        const session = sessions.get(record.watch);
        if (session !== undefined) session.overAt = Math.min(session.overAt, record.seq);
      } else {
        for (const session of streams.get(record.stream) ?? [])
          session.overAt = Math.min(session.overAt, record.seq);
      }
    }
    // Who still watches when all is quiet has been told all.
    for (const fact of history.facts) {
      if (fact.type !== 'settled') continue;
      for (const session of sessions.values())
        if (session.watch.called < fact.seq && session.overAt > fact.seq)
          session.upTo = Math.max(session.upTo, fact.revision);
    }
  }

  private take(session: Session, event: WatchEvent, goesOn: boolean): void {
    const { mod, key } = event.kv;
    // The rest of a revision may still come in the next part.
    session.upTo = Math.max(session.upTo, goesOn ? mod - 1 : mod);
    if (this.isOpen(mod)) session.told.add(`${mod} ${key}`);
    const told = this.told.get(mod);
    if (told === undefined) this.told.set(mod, [event]);
    else {
      const index = told.findIndex(({ kv }) => kv.key === key);
      if (index < 0) told.push(event);
      else if (told[index].prev === undefined && event.prev !== undefined) told[index] = event;
    }
  }
}

function misses({ watch, begin, upTo, told }: Session, revision: number, { kind, kv }: WatchEvent): boolean {
  if (revision < begin || revision > upTo) return false;
  if (kind === 'put' ? watch.noPut === true : watch.noDelete === true) return false;
  return covers(watch.key === '' ? '\0' : watch.key, watch.end, kv.key) && !told.has(`${revision} ${kv.key}`);
}

function deletes(request: Request): boolean {
  if (request.kind === 'delete') return true;
  return request.kind === 'txn' && [...(request.then ?? []), ...(request.else ?? [])].some(deletes);
}
