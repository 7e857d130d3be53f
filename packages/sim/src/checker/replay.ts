/**
 * The revision witness: a history's answered writes name the order in which they happened, so they are replayed in it on the
 * model, and every answer is compared with what the model says at its revision. Linear in the history, but for the
 * revisions that nobody was answered for: `gap-candidates.ts` offers what may have made such a revision, and
 * where that leaves a choice, later answers decide: depth first, with Lowe's memo of what has failed already.
 *
 * It is exact: the answers contain the revisions, so that any legal order has to be in the order of revisions (reliability 3b).
 */
import type { Operation, WatchEvent } from '../history/record.ts';
import type { KeyValue, LeaseId } from '../history/request.ts';
import { difference, sameKv, type Difference } from './answer.ts';
import { eventText, kvText, operationText, quoted } from './describe.ts';
import { changed, isKeyRequest, isKeyResponse, isLocal, mayWrite, type Filing } from './filing.ts';
import { GapCandidates, type Blocks, type Candidate } from './gap-candidates.ts';
import { KeySpace, leaseOf } from './key-space.ts';
import type { LeaseBook } from './lease-book.ts';
import type { Findings, Law } from './verdict.ts';
import type { WatchWitness } from './watch-witness.ts';

/** Who made a revision. */
export type Origin =
  | { readonly kind: 'answered'; readonly operation: Operation }
  | Candidate
  /** Nobody may have: what was told of it was taken over. */
  | { readonly kind: 'nobody' };

interface Problem {
  readonly law: Law;
  readonly also: readonly Law[];
  readonly message: () => string;
  readonly around: () => readonly string[];
}

interface Choice {
  readonly revision: number;
  readonly rest: Iterator<Candidate>;
  next: Candidate | undefined;
  /** Other revisions whose choices had a part in what failed behind this one; 'all' is not known better. */
  blame: Blame;
}

type Blame = ReadonlySet<number> | 'all';

export interface ReplayLimits {
  /** Choices tried in all, before the search is given up. */
  readonly choicesMax: number;
  /** Revisions replayed more than once, in all. */
  readonly stepsMax: number;
}

const DEAD_END: Problem = { law: 'K1', also: [], message: () => 'tried before', around: () => [] };

export class Replay {
  readonly space: KeySpace;
  /** The search was given up; what was found after it may follow from a wrong choice. */
  gaveUp = false;
  private readonly filing: Filing;
  /** Asked for every revision: then the replay ends at the first problem it cannot avoid. */
  private readonly witness: WatchWitness | undefined;
  private readonly findings: Findings;
  private readonly candidates: GapCandidates;
  private readonly limits: ReplayLimits;
  private readonly refused: readonly Operation[];
  private readonly origins: Origin[] = [];
  /** Requests without an answer that were placed, and where. */
  private readonly used = new Map<number, number>();
  private usedHash = 0;
  private readonly ended = new Map<LeaseId, number>();
  private readonly endings: [lease: LeaseId, revision: number][] = [];
  private readonly choices: Choice[] = [];
  private readonly failed = new Set<string>();
  /** Of each revision that nobody was answered for. */
  private readonly blocks = new Map<number, Blocks>();
  /** The revision that nothing can have made, if that is the problem. */
  private dead: number | undefined = undefined;
  private deepest: { revision: number; path: Map<number, Candidate> } | undefined = undefined;
  private forced = new Map<number, Candidate>();
  private forcedUntil = 0;
  private steps = 0;
  private tried = 0;

  constructor(
    filing: Filing,
    leases: LeaseBook,
    findings: Findings,
    limits: ReplayLimits,
    witness: WatchWitness | undefined,
  ) {
    this.filing = filing;
    this.findings = findings;
    this.witness = witness;
    this.limits = limits;
    this.refused = filing.history.operations.filter(
      ({ request, outcome }) => outcome.kind === 'refused' && mayWrite(request),
    );
    this.space = new KeySpace(filing.base, filing.history.beginning.kvs ?? []);
    this.candidates = new GapCandidates(
      filing,
      leases,
      this.space,
      this.used,
      this.ended,
      witness !== undefined,
    );
  }

  /**
   * Replays everything; the space then holds the whole truth, as far as it can be told.
   * @returns false: there was a problem, or the search was given up
   */
  run(): boolean {
    const { filing, space } = this;
    const first = this.readersAt(filing.base);
    for (const problem of first) this.tell(problem);
    let clean = first.length === 0;
    while (space.revision < filing.last) {
      const revision = space.revision + 1;
      this.steps++;
      this.dead = undefined;
      const problems = this.step(revision);
      if (problems.length === 0 || this.backtrack(revision)) continue;
      for (const problem of problems) this.tell(problem);
      clean = false;
      if (this.witness !== undefined) return false;
    }
    this.findings.count('revisions', space.revision - filing.base);
    this.findings.count('unanswered that took effect', this.used.size);
    return clean && !this.gaveUp;
  }

  originOf(revision: number): Origin {
    return this.origins[revision - this.filing.base] ?? { kind: 'nobody' };
  }

  /** The revision at which a lease was ended, with keys or by an answered request; undefined: not known. */
  endOf(lease: LeaseId): number | undefined {
    return this.ended.get(lease);
  }

  /** The origins of a few revisions, for reports. */
  around(...revisions: readonly number[]): string[] {
    const { base, last } = this.filing;
    return [...new Set(revisions)]
      .filter((revision) => revision > base && revision <= last)
      .sort((a, b) => a - b)
      .map((revision) => `revision ${revision}: ${this.originText(revision)}`);
  }

  private originText(revision: number): string {
    const origin = revision <= this.space.revision ? this.originOf(revision) : undefined;
    const events = (): string => this.space.eventsAt(revision).slice(0, 4).map(eventText).join('; ');
    const answered = this.filing.writeAt(revision);
    if (answered !== undefined) return operationText(answered);
    if (origin === undefined) return 'not answered to anybody';
    if (origin.kind === 'expired') return `the end of lease ${origin.lease}: ${events()}`;
    if (origin.kind === 'nobody') return `by nobody known: ${events()}`;
    return operationText(origin.operation);
  }

  private tell({ law, also, message, around }: Problem): void {
    this.findings.report(law, message(), around, also);
  }

  private step(revision: number): Problem[] {
    const problems: Problem[] = [];
    const write = this.filing.writeAt(revision);
    if (write !== undefined) this.answered(write, revision, problems);
    else this.unanswered(revision, problems);
    if (problems[0] === DEAD_END) return problems;
    for (const revoke of this.filing.revokesAt(revision)) this.revoked(revoke, revision, problems);
    problems.push(...this.readersAt(revision));
    if (this.witness?.agrees(revision, this.space.eventsAt(revision)) === false)
      problems.push({ law: 'W3', also: [], message: () => 'watches were told otherwise', around: () => [] });
    return problems;
  }

  private answered(operation: Operation, revision: number, problems: Problem[]): void {
    const { request, outcome } = operation;
    if (!isKeyRequest(request) || outcome.kind !== 'ok' || !isKeyResponse(outcome.response)) return;
    const { refusal, response, events } = this.space.execute(request);
    this.origins[revision - this.filing.base] = { kind: 'answered', operation };
    if (response === undefined) {
      problems.push(
        this.problem(
          'K1',
          operation,
          revision,
          () => `should have been refused at revision ${revision}: ${refusal}`,
        ),
      );
    } else {
      const different = difference(request, response, outcome.response);
      if (different !== undefined) problems.push(this.differs(operation, revision, different));
      this.attaches(operation, revision, events, problems);
    }
    if (events.length === 0) this.space.adopt([]);
  }

  private attaches(
    operation: Operation,
    revision: number,
    events: readonly WatchEvent[],
    problems: Problem[],
  ): void {
    for (const { kind, kv } of events) {
      const lease = kind === 'put' ? leaseOf(kv) : undefined;
      const end = lease === undefined ? undefined : this.ended.get(lease);
      if (end !== undefined && end < revision)
        problems.push(
          this.problem(
            'E4',
            operation,
            revision,
            () => `attached ${quoted(kv.key)} at ${revision} to lease ${lease}, which ended at ${end}`,
            [end],
          ),
        );
    }
  }

  /** A revision that no answered write made. */
  private unanswered(revision: number, problems: Problem[]): void {
    const candidate = this.choose(revision, problems);
    if (candidate === undefined) return;
    this.candidates.execute(candidate);
    this.origins[revision - this.filing.base] = candidate;
    if (candidate.kind === 'expired') this.end(candidate.lease, revision);
    else {
      this.used.set(candidate.operation.id, revision);
      this.usedHash = (this.usedHash ^ Math.imul(candidate.operation.id + 1, 0x9e3779b1)) >>> 0;
      if (candidate.kind === 'revoked' && candidate.operation.request.kind === 'leaseRevoke')
        this.end(candidate.operation.request.id, revision);
    }
  }

  /** Undefined: nothing can have made it, or all that can was tried; the problem says so, and the revision is passed. */
  private choose(revision: number, problems: Problem[]): Candidate | undefined {
    const forced = this.forced.get(revision);
    if (forced !== undefined) return forced;
    const open = this.choices.at(-1);
    if (open?.revision === revision) {
      const candidate = open.next;
      const after = open.rest.next();
      open.next = after.done === true ? undefined : after.value;
      this.tried++;
      return candidate;
    }
    if (this.choices.length > 0) {
      const memo = `${revision} ${this.space.hash} ${this.usedHash}`;
      if (this.failed.has(memo)) {
        problems.push(DEAD_END);
        this.space.adopt([]);
        return undefined;
      }
      this.failed.add(memo);
    }
    const blocks: Blocks = { revisions: new Set(), byEnds: false };
    this.blocks.set(revision, blocks);
    const rest = this.candidates.of(revision, blocks);
    const first = rest.next();
    if (first.done === true) {
      this.dead = revision;
      problems.push(this.byNobody(revision));
      this.origins[revision - this.filing.base] = { kind: 'nobody' };
      this.space.adopt(this.candidates.told(revision));
      return undefined;
    }
    const second = rest.next();
    if (second.done !== true && revision > this.forcedUntil)
      this.choices.push({ revision, rest, next: second.value, blame: new Set() });
    return first.value;
  }

  private end(lease: LeaseId, revision: number): void {
    if (this.ended.has(lease)) return;
    this.ended.set(lease, revision);
    this.endings.push([lease, revision]);
  }

  /** An answered end of a lease, at or before the revision of its answer. */
  private revoked(operation: Operation, revision: number, problems: Problem[]): void {
    if (operation.request.kind !== 'leaseRevoke') return;
    const { id } = operation.request;
    const left = [...this.space.keysOf(id)];
    if (left.length > 0)
      problems.push(
        this.problem(
          'E3',
          operation,
          revision,
          () =>
            `lease ${id} was revoked at revision ${revision}, and ${left.length} of its keys are there: ${left.slice(0, 5).map(quoted).join(', ')}`,
        ),
      );
    else this.end(id, revision);
  }

  private readersAt(revision: number): Problem[] {
    const problems: Problem[] = [];
    for (const operation of this.filing.readersAt(revision)) {
      const { request, outcome } = operation;
      if (!isKeyRequest(request) || outcome.kind !== 'ok' || !isKeyResponse(outcome.response)) continue;
      const { refusal, response, events } = this.space.execute(request);
      if (events.length > 0) this.space.undoTo(revision);
      if (response === undefined) {
        problems.push(
          this.problem(
            'K1',
            operation,
            revision,
            () => `should have been refused at revision ${revision}: ${refusal}`,
          ),
        );
        continue;
      }
      const different = difference(request, response, outcome.response, (key) => this.space.get(key));
      if (different !== undefined) problems.push(this.differs(operation, revision, different));
    }
    return problems;
  }

  /**
   * What to do about a problem while there are choices left: go back to the last of them. When all have failed, the one that
   * got furthest is gone again, for good, and its problems are told.
   * @returns false: the problems stand
   */
  private backtrack(revision: number): boolean {
    if (this.choices.length === 0) return false;
    if (this.deepest === undefined || revision > this.deepest.revision) {
      this.deepest = { revision, path: this.path() };
      this.tried = 0;
    }
    const over =
      this.tried > this.limits.choicesMax ||
      this.steps > this.limits.stepsMax + this.filing.last - this.filing.base;
    if (over && !this.gaveUp) {
      this.gaveUp = true;
      this.findings.notes.push(
        `gave up after ${this.tried} choices and ${this.steps} revisions: what may have made revision ${this.choices[0].revision} and ${this.choices.length - 1} others is open`,
      );
    }
    const first = this.choices[0].revision;
    let blame = this.blameFor(first, revision);
    while (!over && this.choices.length > 0) {
      const choice = this.choices.at(-1)!;
      // Whatever it had been, the same would have failed.
      if (blame === 'all' || blame.has(choice.revision)) {
        choice.blame = joined(choice.blame, blame);
        if (choice.next !== undefined) {
          this.undoTo(choice.revision - 1);
          return true;
        }
        blame = joined(choice.blame, this.blocksOf(choice.revision));
      }
      this.choices.pop();
    }
    // Strictly, one problem is enough.
    if (this.witness !== undefined) return false;
    this.choices.length = 0;
    this.failed.clear();
    this.forced = this.deepest.path;
    this.forcedUntil = this.deepest.revision;
    this.deepest = undefined;
    this.undoTo(first - 1);
    return true;
  }

  /**
   * The choices without which a revision that nothing can have made might have been made by something: those that took what
   * does what was told of it. That is so only where all that was told is all that happened: then keys are the same however one
   * chooses, and a choice decides no more than which request is left for later.
   */
  private blameFor(first: number, revision: number): Blame {
    if (this.witness === undefined || this.dead !== revision) return 'all';
    for (let between = first; between < revision; between++)
      if (this.filing.writeAt(between) === undefined && this.filing.claimAt(between)?.complete === undefined)
        return 'all';
    return this.blocksOf(revision);
  }

  /** Revisions without a choice stand for those that left them none. */
  private blocksOf(revision: number): Blame {
    const found = new Set<number>();
    const open = [revision];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const blocks = this.blocks.get(at);
      if (blocks === undefined || blocks.byEnds) return 'all';
      for (const other of blocks.revisions) {
        if (found.has(other)) continue;
        found.add(other);
        if (!this.choices.some((choice) => choice.revision === other)) open.push(other);
      }
    }
    return found;
  }

  /** The candidates that lead to where we are, since the first open choice. */
  private path(): Map<number, Candidate> {
    const path = new Map<number, Candidate>();
    for (let revision = this.choices[0].revision; revision <= this.space.revision; revision++) {
      const origin = this.originOf(revision);
      if (origin.kind !== 'answered' && origin.kind !== 'nobody') path.set(revision, origin);
    }
    return path;
  }

  private undoTo(revision: number): void {
    for (let undone = this.space.revision; undone > revision; undone--) {
      const origin = this.originOf(undone);
      if ((origin.kind === 'doubtful' || origin.kind === 'revoked') && this.used.delete(origin.operation.id))
        this.usedHash = (this.usedHash ^ Math.imul(origin.operation.id + 1, 0x9e3779b1)) >>> 0;
    }
    this.origins.length = Math.max(0, revision - this.filing.base + 1);
    for (
      let last = this.endings.at(-1);
      last !== undefined && last[1] > revision;
      last = this.endings.at(-1)
    ) {
      this.ended.delete(last[0]);
      this.endings.pop();
    }
    this.space.undoTo(revision);
  }

  private problem(
    law: Law,
    operation: Operation,
    revision: number,
    message: () => string,
    beside: readonly number[] = [],
    also: readonly Law[] = [],
  ): Problem {
    return {
      law,
      also,
      message: () => `#${operation.id} ${message()}`,
      around: () => [
        operationText(operation),
        ...this.around(...beside, revision - 1, revision, revision + 1),
      ],
    };
  }

  /** Names the law that an answer breaks by what kind of state it tells. */
  private differs(operation: Operation, revision: number, different: Difference): Problem {
    const { request, outcome } = operation;
    const { key, told, expected, text } = different;
    const asked = request.kind === 'range' && (request.revision ?? 0) > 0;
    const plain: Law = isLocal(request) || asked ? 'K5' : 'K1';
    const at = `at revision ${revision}${asked ? ` (asked for)` : ''}: ${text}`;
    const say = (law: Law, why: string, beside: readonly number[] = [], also: readonly Law[] = []): Problem =>
      this.problem(law, operation, revision, () => `${at}${why}`, beside, also);
    if (key === undefined) return say(plain, '');
    const beside = [expected?.mod, told?.mod].filter((mod) => mod !== undefined);
    if (
      told !== undefined &&
      expected !== undefined &&
      told.mod === expected.mod &&
      told.value === expected.value
    )
      return say('K4', '; the same write, told with other fields', beside);
    const response = outcome.kind === 'ok' && isKeyResponse(outcome.response) ? outcome.response : undefined;
    const stale = told === undefined || this.wasOnce(told, revision);
    if (stale) {
      const since = expected?.mod ?? this.space.versionsOf(key).at(-1)?.kv.mod;
      const torn =
        since !== undefined &&
        this.space.eventsAt(since).length > 1 &&
        response !== undefined &&
        tells(response, since, key);
      if (torn)
        return say('K7', `; of revision ${since} it tells one key and not the other`, [...beside, since]);
      const write = since === undefined ? undefined : this.filing.writeAt(since);
      const crashed = write !== undefined && this.filing.crashBetween(write, operation);
      const why =
        since === undefined
          ? ''
          : `; what revision ${since} did to it is ${crashed ? 'lost since a crash' : 'not seen'}`;
      return say(plain, why, since === undefined ? beside : [...beside, since], crashed ? ['D1'] : []);
    }
    const putters = this.filing.puttersOf(key, told.value);
    const refused = putters.find((putter) => putter.outcome.kind === 'refused');
    if (
      putters.length > 0 &&
      putters.every((putter) => putter.outcome.kind === 'refused') &&
      refused !== undefined
    )
      return say('K8', `; the write of this value was refused: ${operationText(refused)}`);
    if (told.mod > revision) return say(plain, '; that is of a later revision', beside);
    if (putters.length === 0) return say(plain, '; nobody wrote this value', beside);
    return say(plain, `; this never was the state of the key: ${operationText(putters[0])}`, beside);
  }

  private wasOnce(told: KeyValue, revision: number): boolean {
    return sameKv(this.space.at(told.key, told.mod), told) && told.mod <= revision;
  }

  private byNobody(revision: number): Problem {
    const { filing, candidates } = this;
    const claim = filing.claimAt(revision);
    const around = (): string[] => this.around(revision - 1, revision, revision + 1);
    const say = (
      law: Law,
      message: () => string,
      more: readonly Operation[] = [],
      also: readonly Law[] = [],
    ): Problem => ({
      law,
      also,
      message,
      around: () => [...more.map(operationText), ...around()],
    });
    const what = candidates.told(revision).slice(0, 4).map(eventText).join('; ');
    const put = claim?.puts.values().next().value;
    if (put !== undefined) {
      const putters = filing.puttersOf(put.key, put.value);
      const text = `revision ${revision} was told as a put of ${kvText(put)}`;
      if (putters.length === 0) return say('K1', () => `${text}, and nobody wrote this value`);
      const [putter] = putters;
      if (putters.every(({ outcome }) => outcome.kind === 'refused'))
        return say('K8', () => `${text}, which was refused`, putters);
      const before =
        this.used.get(putter.id) ??
        (putter.outcome.kind === 'ok' ? putter.outcome.response.revision : undefined);
      if (before !== undefined)
        return say(
          'K1',
          () => `${text}, and the same request had taken effect at revision ${before}: twice`,
          putters,
          ['K2'],
        );
      if (putter.called > filing.seenAt(revision))
        return say(
          'W12',
          () => `${text}, and was told at ${filing.seenAt(revision)}, before it was asked for`,
          putters,
          ['K1'],
        );
      return say('K1', () => `${text}, which the request it is of cannot have done there`, putters);
    }
    if (claim !== undefined && claim.deletes.size > 0) {
      const [key] = claim.deletes;
      const lease = leaseOf(this.space.get(key) ?? {});
      const held = lease === undefined ? 0 : this.space.keysOf(lease).size;
      const refused = this.refused.filter(({ request }) => candidates.mayDelete(request, key));
      if (refused.length > 0)
        return say(
          'K8',
          () => `revision ${revision} deletes what only refused requests asked for: ${what}`,
          refused.slice(0, 3),
        );
      if (lease !== undefined)
        return say(
          'E3',
          () =>
            `revision ${revision} deletes ${claim.deletes.size} of the ${held} keys of lease ${lease}, and nobody asked for that: ${what}`,
        );
      return say(
        'E8',
        () => `revision ${revision} deletes what nobody asked for, and no lease holds: ${what}`,
        [],
        ['K1'],
      );
    }
    return say(
      'K2',
      () => `revision ${revision} was passed, and nothing that was asked for can have made it`,
    );
  }
}

function joined(a: Blame, b: Blame): Blame {
  return a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b]);
}

/** Whether an answer tells a key other than `key` as a revision left it. */
function tells(response: Parameters<typeof changed>[0], revision: number, key: string): boolean {
  switch (response.kind) {
    case 'range':
      return (response.kvs ?? []).some((kv) => kv.mod === revision && kv.key !== key);
    case 'txn':
      return (response.responses ?? []).some((nested) => tells(nested, revision, key));
    default:
      return false;
  }
}
