/** A message's whole content, mixed into the trace of a run. */
import type { TraceHash } from '@keelson/sim';
import type { Message, NodeId } from '../../src/index.ts';

function id(node: NodeId): number {
  return Number(BigInt.asUintN(32, node));
}

export function traceMessage(trace: TraceHash, message: Message): void {
  trace.number(message.type);
  trace.number(id(message.to));
  trace.number(id(message.from));
  trace.number(message.term);
  trace.number(message.logTerm);
  trace.number(message.index);
  trace.number(message.commit);
  trace.number(message.reject ? 1 : 0);
  trace.number(message.rejectHint);
  if (message.context.length > 0) trace.bytes(message.context);
  if (message.snapshot !== undefined) {
    trace.number(message.snapshot.index);
    trace.number(message.snapshot.term);
    trace.bytes(message.snapshot.data);
  }
  const { entries } = message;
  trace.number(entries.length);
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i];
    if (entry === undefined) continue;
    trace.number(entry.term);
    trace.number(entry.index);
    trace.number(entry.type);
    trace.bytes(entry.data);
  }
}
