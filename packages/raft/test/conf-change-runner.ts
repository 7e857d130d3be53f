/** Commands of the membership conversations: simple, enter-joint, leave-joint. */
import { Changer, type ChangeResult } from '../src/conf-change.ts';
import { describeConfiguration, Tracker } from '../src/tracker.ts';
import { type ConfChangeSingle, ConfChangeType } from '../src/types.ts';
import type { Directive } from './datadriven-format.ts';

const TYPES: Readonly<Record<string, ConfChangeType>> = {
  v: ConfChangeType.AddNode,
  l: ConfChangeType.AddLearnerNode,
  r: ConfChangeType.RemoveNode,
  u: ConfChangeType.UpdateNode,
};

/** v1 l2 r3 u4 as changes; a string says what is wrong with them. */
export function parseChanges(text: string): ConfChangeSingle[] | string {
  const changes: ConfChangeSingle[] = [];
  for (const token of text.split(/\s+/)) {
    if (token === '') continue;
    const type = TYPES[token[0] ?? ''];
    if (token.length < 2) return `unknown token ${token}`;
    if (type === undefined) return `unknown input: ${token}`;
    if (!/^\d+$/.test(token.slice(1))) return `invalid node id: ${token}`;
    changes.push({ type, nodeId: BigInt(token.slice(1)) });
  }
  return changes;
}

export function confChangeHandler(): (directive: Directive) => string {
  const tracker = new Tracker(10, Infinity);
  let lastIndex = 0;
  return (directive) => {
    const changer = new Changer(tracker, lastIndex);
    lastIndex++;
    const changes = parseChanges(directive.input);
    if (typeof changes === 'string') return changes;
    const result = run(changer, directive, changes);
    if (result === undefined) return 'unknown command';
    if (result.kind === 'refused') return `${result.reason}\n`;
    tracker.adopt(result.config, result.progresses);
    const progress = tracker.progresses.map((each) => `${each.id}: ${each.describe()}\n`);
    return `${describeConfiguration(tracker.config)}\n${progress.join('')}`;
  };
}

function run(
  changer: Changer,
  directive: Directive,
  changes: readonly ConfChangeSingle[],
): ChangeResult | undefined {
  switch (directive.command) {
    case 'simple':
      return changer.simple(changes);
    case 'enter-joint':
      return changer.enterJoint(
        directive.args.some((arg) => arg.key === 'autoleave' && arg.values[0] === 'true'),
        changes,
      );
    case 'leave-joint':
      if (changes.length > 0) return { kind: 'refused', reason: 'this command takes no input' };
      return changer.leaveJoint();
    default:
      return undefined;
  }
}
