/**
 * Where to cut a watch response that is too large for one message, for clients that asked for fragments. Pure.
 * The rule is etcd's (v3rpc/watch.go sendFragments): nothing is cut below the limit or with a single event;
 * a piece ends before the event that would bring it to the limit, but has at least one.
 */

/** A fragment's own flag, a bool field: it counts while a piece is measured, also in the last one. */
const FRAGMENT_FLAG_BYTES = 2;

/**
 * @param fixedBytes of the response without events and without the fragment flag
 * @param eventBytes of each event's field, tag and length included
 * @param limitBytes a response of this size or more is cut
 * @returns the index after the last event of each piece; the last is the number of events
 */
export function fragmentEnds(
  fixedBytes: number,
  eventBytes: readonly number[],
  limitBytes: number,
): number[] {
  const count = eventBytes.length;
  let total = fixedBytes;
  for (const bytes of eventBytes) total += bytes;
  if (total < limitBytes || count < 2) return [count];
  const ends: number[] = [];
  let start = 0;
  while (start < count) {
    let size = fixedBytes + FRAGMENT_FLAG_BYTES + eventBytes[start];
    let end = start + 1;
    while (end < count && size + eventBytes[end] < limitBytes) size += eventBytes[end++];
    ends.push(end);
    start = end;
  }
  return ends;
}
