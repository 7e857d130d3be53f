/**
 * Whether a mixed load was served as one store that does one thing at a time. The history that all watchers
 * agree on is replayed revision by revision; each must be the whole effect of one request that may have had it, and
 * every answer must be what the store held at that moment. As the order is known, this takes linear time.
 *
 * Asked of each acknowledged write: it is there once, at its revision, whole, with what its answer told. Of a refused one:
 * it is nowhere. Of an unknown one: it is there whole, once, or not at all. Of everything: it took effect
 * after whatever had been answered before it was sent.
 */
import { heldText, sameHeld, type Held, type History, type HistoryEvent } from './history.ts';
import type { Change, MixedLoad, Operation } from './mixed-load.ts';

export interface Judgement {
  readonly broken: string[];
  /** What the store must hold in the end. */
  readonly content: ReadonlyMap<string, Held>;
  /** For the report. */
  readonly lines: string[];
}

/** @param last the revision at which the store stands still; every watcher was told of it */
export function judge(history: History, load: MixedLoad, last: number): Judgement {
  return new Judge(history, load).run(last);
}

const BROKEN_MAX = 50;

class Judge {
  private readonly history: History;
  private readonly load: MixedLoad;
  private readonly broken: string[];
  private readonly content = new Map<string, Held>();
  private readonly keysOfLease = new Map<bigint, Set<string>>();
  /** Answered writes that change something, by revision; and answers that only tell what is. */
  private readonly writes = new Map<number, Operation>();
  private readonly readers = new Map<number, Operation[]>();
  private readonly doubtful = new Map<number, Operation>();
  private readonly doubtfulDeletes = new Set<Operation>();
  private readonly counts = { unknownThere: 0, expired: 0, revoked: 0, writes: 0, reads: 0 };

  constructor(history: History, load: MixedLoad) {
    this.history = history;
    this.load = load;
    this.broken = [...history.broken, ...load.broken];
  }

  run(last: number): Judgement {
    this.file(last);
    this.tellReaders(this.history.first - 1);
    for (let revision = this.history.first; revision <= last; revision++) {
      const events = this.history.at(revision);
      if (events === undefined) {
        this.complain(`no watcher was told of revision ${revision}`);
        break;
      }
      this.attribute(revision, events);
      for (const event of events) this.apply(revision, event);
      this.tellReaders(revision);
      if (this.broken.length >= BROKEN_MAX) break;
    }
    const { writes, reads, unknownThere, expired, revoked } = this.counts;
    const refused = this.load.operations.filter(({ outcome }) => outcome === 'refused').length;
    const unknown = this.load.operations.filter(({ outcome }) => outcome === 'unknown').length;
    return {
      broken: this.broken,
      content: this.content,
      lines: [
        `history     ${last - this.history.first + 1} revisions, ${this.history.told} events told by all watchers`,
        `judged      ${writes} acknowledged writes, each once at its revision; ${reads} answers that read; ${refused} refused, nowhere; of ${unknown} unknown, ${unknownThere} took effect, whole`,
        `leases      ${revoked} revoked, ${expired} ran out with keys, none early`,
      ],
    };
  }

  private complain(line: string): void {
    if (this.broken.length < BROKEN_MAX) this.broken.push(line);
  }

  private file(last: number): void {
    for (const operation of this.load.operations) {
      const { outcome, revision, changes, kind, known } = operation;
      if (outcome === 'unknown') {
        if (changes.length === 0) continue;
        if (kind === 'delete') this.doubtfulDeletes.add(operation);
        else this.doubtful.set(operation.id, operation);
      }
      if (outcome !== 'acknowledged') continue;
      if (revision < known && kind !== 'local')
        this.complain(
          `${text(operation)} was answered at revision ${revision}, and ${known} was known before`,
        );
      if (revision > last)
        this.complain(`${text(operation)} was answered at revision ${revision}, after the last, ${last}`);
      if (this.writesAt(operation)) {
        this.counts.writes++;
        if (revision === known)
          this.complain(`${text(operation)} wrote at revision ${revision}, which was known before`);
        const other = this.writes.get(revision);
        if (other !== undefined)
          this.complain(`${text(operation)} and ${text(other)} share revision ${revision}`);
        this.writes.set(revision, operation);
      } else {
        this.counts.reads++;
        const readers = this.readers.get(revision);
        if (readers === undefined) this.readers.set(revision, [operation]);
        else readers.push(operation);
      }
    }
  }

  /** Whether its answer says that it changed something. */
  private writesAt({ kind, succeeded, told }: Operation): boolean {
    if (kind === 'put') return true;
    if (kind === 'swap') return succeeded === true;
    return kind === 'delete' && told !== undefined && told.of.some(([, held]) => held !== undefined);
  }

  /** Finds whose the revision is, and compares with what that request had to do. */
  private attribute(revision: number, events: readonly HistoryEvent[]): void {
    const acknowledged = this.writes.get(revision);
    if (acknowledged !== undefined) {
      this.compare(revision, events, acknowledged);
      return;
    }
    const id = writer(events);
    if (id === undefined) {
      this.attributeDeletes(revision, events);
      return;
    }
    const operation = this.doubtful.get(id);
    if (operation === undefined) {
      const known = this.load.operations[id];
      this.complain(
        `revision ${revision} is of ${known === undefined ? 'nobody' : `${text(known)}, which was ${known.outcome} (${known.revision})`}: ${eventsText(events)}`,
      );
      return;
    }
    this.doubtful.delete(id);
    this.tookEffect(revision, events, operation);
  }

  private tookEffect(revision: number, events: readonly HistoryEvent[], operation: Operation): void {
    this.counts.unknownThere++;
    if (revision <= operation.known)
      this.complain(
        `${text(operation)} took effect at ${revision}; ${operation.known} was known before it was sent`,
      );
    this.compare(revision, events, operation);
  }

  /** Deletes that nobody was answered for: of an unknown request, or of a lease that was over. */
  private attributeDeletes(revision: number, events: readonly HistoryEvent[]): void {
    const leaseId = this.content.get(events[0].key)?.lease ?? 0n;
    const lease = this.load.leases.get(leaseId);
    const keys = [...(this.keysOfLease.get(leaseId) ?? [])].sort();
    const ofLease = lease !== undefined && keys.join() === events.map(({ key }) => key).join();
    const earlyMs = ofLease && !lease.revoked ? lease.aliveUntilMs - this.history.seenMs(revision) : 0;
    if (ofLease && earlyMs <= 0) {
      if (lease.revoked) this.counts.revoked++;
      else this.counts.expired++;
      return;
    }
    for (const operation of this.doubtfulDeletes) {
      const expected = this.expected(operation.changes);
      if (expected.length === 0 || expected.join('\n') !== events.map(changeText).join('\n')) continue;
      this.doubtfulDeletes.delete(operation);
      this.tookEffect(revision, events, operation);
      return;
    }
    this.complain(
      ofLease
        ? `lease ${lease.id.toString(16)} of ${lease.ttlSeconds} s ran out ${earlyMs.toFixed(0)} ms early, at revision ${revision}`
        : `revision ${revision} is of nobody: ${eventsText(events)}`,
    );
  }

  private compare(revision: number, events: readonly HistoryEvent[], operation: Operation): void {
    const { compare, told } = operation;
    if (compare !== undefined) {
      const found = this.content.get(compare.key)?.modRevision ?? 0;
      if (found !== compare.modRevision)
        this.complain(
          `${text(operation)} took effect at ${revision} where ${compare.key} was at ${found}, not ${compare.modRevision}`,
        );
    }
    const want = this.expected(operation.changes).join('\n');
    const got = events.map(changeText).join('\n');
    if (want !== got)
      this.complain(`revision ${revision} is of ${text(operation)}:\n    wanted ${want}\n    told   ${got}`);
    this.compareTold(operation, told);
  }

  private compareTold(operation: Operation, told: Operation['told']): void {
    for (const [key, held] of told?.of ?? []) {
      const want = this.content.get(key);
      if (!sameHeld(held, want))
        this.complain(
          `${text(operation)} at revision ${operation.revision} was told that ${key} is ${heldText(held)}; it was ${heldText(want)}`,
        );
    }
  }

  /** What the changes do to the content as it is. */
  private expected(changes: readonly Change[]): string[] {
    return changes.flatMap((change) => {
      if (change.kind === 'put') return [`put ${change.key} ${change.lease} ${change.value}`];
      return change.keys.filter((key) => this.content.has(key)).map((key) => `delete ${key}`);
    });
  }

  /** The event as such: the key's state before it, versions and revisions. */
  private apply(revision: number, { kind, key, now, previous }: HistoryEvent): void {
    const before = this.content.get(key);
    if (!sameHeld(previous, before))
      this.complain(
        `the event of ${key} at ${revision} names as before it ${heldText(previous)}; it was ${heldText(before)}`,
      );
    if (before !== undefined) this.keysOfLease.get(before.lease)?.delete(key);
    if (kind === 'delete' || now === undefined) {
      if (before === undefined) this.complain(`${key} is deleted at ${revision}, and was not there`);
      this.content.delete(key);
      return;
    }
    const version = (before?.version ?? 0) + 1;
    const createRevision = before?.createRevision ?? revision;
    if (now.version !== version || now.createRevision !== createRevision || now.modRevision !== revision)
      this.complain(
        `${key} at ${revision}: told ${heldText(now)}, wanted c${createRevision} m${revision} v${version}`,
      );
    this.content.set(key, now);
    if (now.lease === 0n) return;
    const keys = this.keysOfLease.get(now.lease);
    if (keys === undefined) this.keysOfLease.set(now.lease, new Set([key]));
    else keys.add(key);
  }

  /** Answers of this revision that changed nothing: they tell what is there now. */
  private tellReaders(revision: number): void {
    for (const operation of this.readers.get(revision) ?? []) {
      const { kind, compare, told, lease, changes } = operation;
      this.compareTold(operation, told);
      if (compare !== undefined && (this.content.get(compare.key)?.modRevision ?? 0) === compare.modRevision)
        this.complain(
          `${text(operation)} did nothing at ${revision}, and ${compare.key} was at ${compare.modRevision}`,
        );
      if (kind === 'delete' && this.expected(changes).length > 0)
        this.complain(`${text(operation)} found nothing at ${revision}`);
      if (lease !== undefined && (this.keysOfLease.get(lease)?.size ?? 0) > 0)
        this.complain(`${text(operation)} left keys at ${revision}`);
    }
    this.readers.delete(revision);
  }
}

function text({ id, kind, outcome }: Operation): string {
  return `${kind} #${id} (${outcome})`;
}

/** Who put the first value of these events; undefined when all are deletes. */
function writer(events: readonly HistoryEvent[]): number | undefined {
  const value = events.find(({ kind }) => kind === 'put')?.now?.value;
  if (value === undefined) return undefined;
  return Number(/^#(\d+)#/.exec(value)?.[1] ?? -1);
}

function changeText({ kind, key, now }: HistoryEvent): string {
  return kind === 'put' ? `put ${key} ${now?.lease} ${now?.value}` : `delete ${key}`;
}

function eventsText(events: readonly HistoryEvent[]): string {
  return events.map((event) => changeText(event).slice(0, 120)).join(', ');
}
