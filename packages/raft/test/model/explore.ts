/**
 * Breadth-first search over worlds: three members, the messages between them, and what the laws must
 * remember of the past. It runs every event that is possible in every world, checks the laws after each, and
 * keeps a world once. The first broken law is reported with the shortest way to it.
 */
import { describeMessage, Role } from '../../src/index.ts';
import { law, LawBroken } from './broken.ts';
import type { Budget, Configuration } from './configurations.ts';
import { complete, chainAt, durableOnQuorum, elected, logsMatch, type View } from './laws.ts';
import { EventKind, Members, type Step } from './members.ts';
import { Visited } from './visited.ts';
import { WorldQueue } from './world-queue.ts';

/** What the laws remember and what the bounds have used up. */
interface Past {
  /** By term; 0 for none. */
  readonly leaders: readonly number[];
  /** All that was ever announced as committed. */
  readonly committed: number;
  /** By index: the term whose leader announced it. */
  readonly announcedIn: readonly number[];
  /** By read: what was committed when it was asked. */
  readonly floors: readonly number[];
  readonly spent: readonly number[];
}

export interface Outcome {
  readonly configuration: string;
  readonly states: number;
  readonly transitions: number;
  /** Longest shortest history. */
  readonly depth: number;
  /** Worlds whose events were not tried any more; 0: the space is exhausted. */
  readonly frontier: number;
  readonly queueMax: number;
  readonly memberStates: number;
  readonly coreRuns: number;
  readonly messages: number;
  readonly broken: Broken | undefined;
  /** Why the prefix could not be played; nothing was searched then. */
  readonly stuck: string | undefined;
}

export interface Broken {
  readonly law: string;
  readonly path: readonly string[];
}

const BUDGETS: readonly (keyof Budget)[] = [
  'campaigns',
  'proposals',
  'changes',
  'reads',
  'beats',
  'crashes',
  'drops',
  'duplicates',
  'compactions',
  'transfers',
  'snapshotFailures',
];
/** The place of each in Past.spent, by kind of event; -1: costs nothing. */
const COSTS: readonly number[] = [-1, -1, -1, 0, 1, 2, 3, 4, 5, 8, 9, 6, 7, 10];

/** A world: the number of its past, its members' numbers, its messages' numbers ascending. */
type World = readonly number[];

/** An event as one number, for the way back. */
function eventOf(kind: EventKind, at: number, arg: number): number {
  return (arg * 4 + at) * 16 + kind;
}

export class Explorer {
  private readonly configuration: Configuration;
  private readonly members: Members;
  private readonly visited = new Visited();
  private readonly pasts: Past[] = [];
  private readonly pastNumbers = new Map<string, number>();
  private transitions = 0;
  /** Worlds to be tried now, and those that they lead to. */
  private queue = new WorldQueue();
  private next = new WorldQueue();
  private readonly limits: readonly number[];

  constructor(configuration: Configuration) {
    this.configuration = configuration;
    this.members = new Members(configuration.driving, configuration.confState, configuration.changes);
    this.limits = BUDGETS.map((name) => configuration.budget[name]);
  }

  /** @param statesMax the search ends when it has seen so many */
  run(statesMax: number): Outcome {
    let depth = 0;
    let queueMax = 1;
    const { broken: early, stuck } = this.begin();
    let broken = early;
    // The number of the queue's first state: they were numbered in the order of the queue.
    let first = this.visited.count - 1;
    let left = 0;
    search: while (this.queue.count > 0) {
      for (let i = 0; i < this.queue.count; i++) {
        if (this.visited.count >= statesMax) {
          left = this.queue.count - i;
          break search;
        }
        broken = this.expand(this.queue.at(i), first + i);
        if (broken !== undefined) break search;
      }
      first += this.queue.count;
      const done = this.queue;
      this.queue = this.next;
      this.next = done;
      done.clear();
      queueMax = Math.max(queueMax, this.queue.count);
      if (this.queue.count > 0) depth++;
    }
    return {
      configuration: this.configuration.name,
      states: this.visited.count,
      transitions: this.transitions,
      depth: this.next.count > 0 ? depth + 1 : depth,
      frontier: left + this.next.count,
      queueMax: Math.max(queueMax, this.next.count),
      memberStates: this.members.count,
      coreRuns: this.members.runs,
      messages: this.members.messages.length,
      broken,
      stuck,
    };
  }

  /**
   * Founds the members and plays the prefix. The search begins at the newest state.
   *
   * @returns why it does not begin
   */
  private begin(): Pick<Outcome, 'broken' | 'stuck'> {
    const past = this.past({
      leaders: [],
      committed: 0,
      announcedIn: [1, 1],
      floors: [],
      spent: BUDGETS.map(() => 0),
    });
    let world: World = [past];
    for (let id = 1; id <= this.configuration.members; id++) world = [...world, this.members.found(id)];
    let state = this.visited.add(world, -1, -1);
    for (const wanted of this.configuration.prefix) {
      const possible = this.possible(world);
      const event = possible.find((each) => this.text(each).startsWith(wanted));
      if (event === undefined) {
        const texts = possible.map((each) => this.text(each)).join(' | ');
        return { broken: undefined, stuck: `nothing begins with "${wanted}"; possible are ${texts}` };
      }
      const next = this.tryEvent(world, state, event);
      if (!isWorld(next)) return { broken: next, stuck: undefined };
      world = next;
      state = this.visited.add(world, state, event);
    }
    this.queue.push(world);
    return { broken: undefined, stuck: undefined };
  }

  private past(past: Past): number {
    const name = `${past.leaders.join()};${past.committed};${past.announcedIn.join()};${past.floors.join()};${past.spent.join()}`;
    const known = this.pastNumbers.get(name);
    if (known !== undefined) return known;
    this.pasts.push(past);
    this.pastNumbers.set(name, this.pasts.length - 1);
    return this.pasts.length - 1;
  }

  private pastOf(world: World): Past {
    return this.pasts[world[0]];
  }

  private viewOf(world: World, at: number): View {
    return this.members.view(world[1 + at]);
  }

  /** All events that may happen in a world, in a fixed order. */
  private possible(world: World): number[] {
    const { configuration, limits } = this;
    const { members, campaigners, termMax, first, changes, network } = configuration;
    const { spent } = this.pastOf(world);
    const events: number[] = [];
    const may = (kind: EventKind): boolean => {
      const place = COSTS[kind];
      return place < 0 || spent[place] < limits[place];
    };
    let last = -1;
    for (let i = 1 + members; i < world.length; i++) {
      const message = world[i];
      if (message === last) continue;
      last = message;
      const to = Number(this.members.messages[message]?.to) - 1;
      if (to >= members) continue;
      events.push(eventOf(EventKind.Deliver, to, message));
      if (network === 'soup') continue;
      if (may(EventKind.Drop)) events.push(eventOf(EventKind.Drop, to, message));
      if (may(EventKind.Duplicate)) events.push(eventOf(EventKind.Duplicate, to, message));
    }
    for (let at = 0; at < members; at++) {
      const view = this.viewOf(world, at);
      if (view.appends > 0) events.push(eventOf(EventKind.Append, at, 0));
      if (view.applies > 0) events.push(eventOf(EventKind.Apply, at, 0));
      const leads = view.role === Role.Leader;
      const chosen = spent[0] === 0 ? at + 1 === first : campaigners.includes(at + 1);
      if (may(EventKind.Campaign) && chosen && !leads && view.term < termMax) {
        events.push(eventOf(EventKind.Campaign, at, 0));
      }
      if (may(EventKind.Crash)) {
        events.push(eventOf(EventKind.Crash, at, 1));
        if (view.looseCommit) events.push(eventOf(EventKind.Crash, at, 0));
      }
      if (leads) {
        if (may(EventKind.Propose)) events.push(eventOf(EventKind.Propose, at, spent[1]));
        if (may(EventKind.Change)) {
          for (let i = 0; i < changes.length; i++) events.push(eventOf(EventKind.Change, at, i));
        }
        if (may(EventKind.Beat)) events.push(eventOf(EventKind.Beat, at, 0));
        if (may(EventKind.SnapshotFailed)) {
          for (const to of view.snapshotsTo) events.push(eventOf(EventKind.SnapshotFailed, at, to));
        }
        if (may(EventKind.Transfer)) {
          for (let to = 1; to <= members; to++) {
            if (to !== at + 1) events.push(eventOf(EventKind.Transfer, at, to));
          }
        }
      }
      if (may(EventKind.Read) && view.lead !== 0) {
        events.push(eventOf(EventKind.Read, at, spent[3]));
      }
      const base = this.members.chains.index(view.durable[0]);
      const appliedTo = this.members.chains.index(view.appliedChain);
      if (may(EventKind.Compact) && appliedTo > base) events.push(eventOf(EventKind.Compact, at, 0));
    }
    return events;
  }

  /** Tries all events of a world. @returns the first law that one of them breaks */
  private expand(world: World, state: number): Broken | undefined {
    for (const event of this.possible(world)) {
      this.transitions++;
      const after = this.tryEvent(world, state, event);
      if (!isWorld(after)) return after;
      if (this.visited.add(after, state, event) >= 0) this.next.push(after);
    }
    return undefined;
  }

  private tryEvent(world: World, state: number, event: number): World | Broken {
    try {
      return this.after(world, event);
    } catch (error) {
      if (!(error instanceof LawBroken)) throw error;
      return { law: error.message, path: [...this.pathTo(state), this.text(event)] };
    }
  }

  /** The world that an event leads to. @throws LawBroken */
  private after(world: World, event: number): World {
    const kind = (event & 15) as EventKind;
    const at = (event >> 4) & 3;
    const arg = event >> 6;
    const { members } = this.configuration;
    const messages = world.slice(1 + members);
    const past = this.pastOf(world);
    const cost = COSTS[kind];
    const spent = cost < 0 ? past.spent : past.spent.with(cost, past.spent[cost] + 1);
    if (kind === EventKind.Drop || kind === EventKind.Duplicate) {
      const place = messages.indexOf(arg);
      if (kind === EventKind.Drop) messages.splice(place, 1);
      else messages.splice(place, 0, arg);
      return [this.past({ ...past, spent }), ...world.slice(1, 1 + members), ...messages];
    }
    const before = world[1 + at];
    const step = this.members.step(before, kind, arg);
    law(step.broken?.slice(0, step.broken.indexOf(':')) ?? '', step.broken === undefined, () => {
      const text = step.broken ?? '';
      return text.slice(text.indexOf(':') + 2);
    });
    const soup = this.configuration.network === 'soup';
    if (kind === EventKind.Deliver && !soup) messages.splice(messages.indexOf(arg), 1);
    for (const each of step.sent) insert(messages, each, soup);
    let changed = spent === past.spent ? past : { ...past, spent };
    if (kind === EventKind.Read) {
      changed = { ...changed, floors: [...changed.floors, this.members.chains.index(past.committed)] };
    }
    const numbers = world.slice(1, 1 + members);
    numbers[at] = step.next;
    if (step.next !== before || step.reads.length > 0)
      changed = this.judge(numbers, at, before, step, changed);
    return [changed === past ? world[0] : this.past(changed), ...numbers, ...messages];
  }

  /** The laws that join members and past, after an event at one of them. */
  private judge(numbers: readonly number[], at: number, before: number, step: Step, past: Past): Past {
    const { chains } = this.members;
    const views = numbers.map((number) => this.members.view(number));
    const view = views[at];
    const earlier = this.members.view(before);
    for (const other of views) if (other !== view) logsMatch(view, other, chains);
    let result = past;
    if (view.role === Role.Leader && (earlier.role !== Role.Leader || earlier.term !== view.term)) {
      const other = past.leaders[view.term] ?? 0;
      law(
        'R1',
        other === 0 || other === view.id,
        () => `${other} and ${view.id} both lead term ${view.term}`,
      );
      elected(view, views);
      for (let index = 2; index < past.announcedIn.length; index++) {
        if (past.announcedIn[index] < view.term) complete(view, chains.at(past.committed, index), chains);
      }
      const leaders = past.leaders.slice();
      while (leaders.length <= view.term) leaders.push(0);
      leaders[view.term] = view.id;
      result = { ...result, leaders };
    }
    const known = chains.index(past.committed);
    const here = chainAt(chains, view.log, view.commit);
    const common = view.commit <= known ? here : chains.at(here, known);
    const agreed = view.commit <= known ? chains.at(past.committed, view.commit) : past.committed;
    law(
      'R5',
      common === agreed,
      () =>
        `${view.id} has committed another entry than what was announced up to ${Math.min(known, view.commit)}`,
    );
    law(
      'R5',
      view.appliedChain === chains.at(here, chains.index(view.appliedChain)),
      () => `${view.id} has applied what is not in its committed log`,
    );
    if (view.commit > known) {
      durableOnQuorum(earlier, view, views, here, chains);
      for (const other of views) {
        if (other.role === Role.Leader && other.term > view.term) complete(other, here, chains);
      }
      const announcedIn = past.announcedIn.slice();
      while (announcedIn.length <= view.commit) announcedIn.push(view.term);
      result = { ...result, committed: here, announcedIn };
    }
    for (const [read, index] of step.reads) {
      const floor = past.floors[read];
      law(
        'R10',
        floor !== undefined && index >= floor,
        () => `${view.id} reads at ${index}; ${floor} was committed before it asked`,
      );
    }
    return result;
  }

  private pathTo(state: number): string[] {
    const path = this.visited.path(state);
    const lines: string[] = [];
    for (let i = 1; i < path.length; i++) {
      lines.push(this.text(this.visited.event(path[i])));
    }
    return lines;
  }

  /** What an event is called, for people and for a configuration's prefix. */
  private text(event: number): string {
    const at = ((event >> 4) & 3) + 1;
    const arg = event >> 6;
    switch ((event & 15) as EventKind) {
      case EventKind.Deliver:
        return `${at} takes ${this.messageText(arg)}`;
      case EventKind.Append:
        return `${at}'s disk finishes its oldest write`;
      case EventKind.Apply:
        return `${at}'s state machine finishes its oldest work`;
      case EventKind.Campaign:
        return `${at} campaigns`;
      case EventKind.Propose:
        return `${at} is given a proposal`;
      case EventKind.Change:
        return `${at} is given conf change ${arg}`;
      case EventKind.Read:
        return `${at} is asked for read ${arg}`;
      case EventKind.Beat:
        return `${at} sends heartbeats`;
      case EventKind.Crash:
        return `${at} crashes and restarts${arg === 1 ? '' : ', its last commit index lost'}`;
      case EventKind.Compact:
        return `${at} makes a snapshot and compacts`;
      case EventKind.Transfer:
        return `${at} is told to hand over to ${arg}`;
      case EventKind.SnapshotFailed:
        return `${at} is told that its snapshot for ${arg} failed`;
      case EventKind.Drop:
        return `the network drops ${this.messageText(arg)}`;
      case EventKind.Duplicate:
        return `the network repeats ${this.messageText(arg)}`;
      default:
        return `event ${event}`;
    }
  }

  private messageText(number: number): string {
    const message = this.members.messages[number];
    return message === undefined ? `message ${number}` : describeMessage(message).replaceAll(/\s+/g, ' ');
  }
}

function isWorld(result: World | Broken): result is World {
  return Array.isArray(result);
}

/** Keeps messages ascending; a soup holds each once. */
function insert(messages: number[], message: number, once: boolean): void {
  let place = messages.length;
  while (place > 0 && messages[place - 1] > message) place--;
  if (once && messages[place - 1] === message) return;
  messages.splice(place, 0, message);
}
