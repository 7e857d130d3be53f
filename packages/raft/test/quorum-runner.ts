/** Commands of the quorum conversations: committed, vote. Each result is also computed in other ways. */
import { committedIndex, jointCommittedIndex, jointVoteResult, voteResult } from '../src/quorum.ts';
import { compareIds } from '../src/tracker.ts';
import type { NodeId } from '../src/types.ts';
import type { Directive } from './datadriven-format.ts';

interface QuorumCase {
  readonly voters: readonly NodeId[];
  readonly joining: readonly NodeId[];
  readonly joint: boolean;
  /** One value a distinct id; 0 is "unknown", for votes 1 is no and 2 is yes. */
  readonly values: readonly number[];
}

export function quorumHandler(): (directive: Directive) => string {
  return (directive) => {
    const parsed = parse(directive);
    const ids = [...new Set([...parsed.voters, ...parsed.joining])];
    if (ids.length !== parsed.values.length) {
      const voters = ids.toSorted(compareIds).map((id) => `${id}:{}`);
      return `error: mismatched input (explicit or _) for voters map[${voters.join(' ')}]: [${parsed.values.join(' ')}]`;
    }
    const known = new Map<NodeId, number>();
    ids.forEach((id, place) => {
      const value = parsed.values[place] ?? 0;
      if (value !== 0) known.set(id, value);
    });
    switch (directive.command) {
      case 'committed':
        return committed(parsed, ids, known);
      case 'vote':
        return vote(parsed, known);
      default:
        return 'unknown command';
    }
  };
}

function parse(directive: Directive): QuorumCase {
  const voters: NodeId[] = [];
  const joining: NodeId[] = [];
  const values: number[] = [];
  let joint = false;
  for (const { key, values: texts } of directive.args) {
    for (const text of texts) {
      if (key === 'cfg') voters.push(BigInt(text));
      else if (key === 'cfgj') {
        joint = true;
        if (text !== 'zero') joining.push(BigInt(text));
      } else if (key === 'idx') values.push(text === '_' ? 0 : Number(text));
      else if (key === 'votes') values.push({ y: 2, n: 1 }[text] ?? 0);
    }
  }
  return { voters, joining, joint, values };
}

function committed(parsed: QuorumCase, ids: readonly NodeId[], known: ReadonlyMap<NodeId, number>): string {
  const { voters, joining } = parsed;
  const index = jointCommittedIndex(voters, joining, known);
  let text = describeMajority(ids, known);
  const check = (other: number, how: string): void => {
    if (other !== index) text += `${indexText(other)} <-- via ${how}\n`;
  };
  check(jointCommittedIndex(joining, voters, known), 'symmetry');
  if (!parsed.joint) {
    check(committedIndex(voters, known), 'majority');
    check(bruteForce(voters, known), 'alternative computation');
    check(jointCommittedIndex(voters, voters, known), 'self-joint quorum');
    for (const id of voters) {
      // Lowering an acknowledgement that is above the result must not change it.
      const acked = known.get(id) ?? 0;
      if (acked > index) {
        check(committedIndex(voters, new Map(known).set(id, index)), `overlay ${id}->${index}`);
        check(jointCommittedIndex(voters, voters, new Map(known).set(id, index)), `overlay ${id}->${index}`);
      }
    }
  }
  return `${text}${indexText(index)}\n`;
}

/** The largest acknowledged index that a majority has, counted directly. */
function bruteForce(voters: readonly NodeId[], known: ReadonlyMap<NodeId, number>): number {
  if (voters.length === 0) return Infinity;
  let best = 0;
  for (const candidate of known.values()) {
    const having = voters.filter((id) => (known.get(id) ?? 0) >= candidate).length;
    if (having > voters.length / 2 && candidate > best) best = candidate;
  }
  return best;
}

function indexText(index: number): string {
  return index === Infinity ? '∞' : String(index);
}

function describeMajority(ids: readonly NodeId[], known: ReadonlyMap<NodeId, number>): string {
  if (ids.length === 0) return '<empty majority quorum>';
  const rows = ids.map((id) => ({ id, index: known.get(id) ?? 0, known: known.has(id), bar: 0 }));
  rows.sort((a, b) => a.index - b.index || compareIds(a.id, b.id));
  rows.forEach((row, rank) => {
    const before = rows[rank - 1];
    if (before !== undefined) row.bar = before.index < row.index ? rank : before.bar;
  });
  rows.sort((a, b) => compareIds(a.id, b.id));
  let text = `${' '.repeat(ids.length)}    idx\n`;
  for (const row of rows) {
    const bar = row.known
      ? `${'x'.repeat(row.bar)}>${' '.repeat(ids.length - row.bar)}`
      : `?${' '.repeat(ids.length)}`;
    text += `${bar} ${String(row.index).padStart(5)}    (id=${row.id})\n`;
  }
  return text;
}

function vote(parsed: QuorumCase, known: ReadonlyMap<NodeId, number>): string {
  const { voters, joining } = parsed;
  const votes = new Map<NodeId, boolean>();
  for (const [id, value] of known) votes.set(id, value === 2);
  const result = parsed.joint ? jointVoteResult(voters, joining, votes) : voteResult(voters, votes);
  const swapped = jointVoteResult(joining, voters, votes);
  return `${swapped === result ? '' : `${swapped} <-- via symmetry\n`}${result}\n`;
}
