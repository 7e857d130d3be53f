/**
 * The Accept header taken apart and held against what an endpoint serves, with the parameters Kubernetes gives it:
 * `as`, `g`, `v` ask for the answer as another kind, `stream` for a watch, `pretty` for indentation. Pure text.
 *
 * Modelled on apiserver's handlers/negotiation and munnerz/goautoneg, whose order of equal weights is kept.
 */

import type { GroupVersionKind } from './meta.ts';

/** One alternative of an Accept header. */
export interface AcceptClause {
  /** `application`, `*`. */
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
  readonly parameters: ReadonlyMap<string, string>;
}

/** What was agreed on. */
export interface Accepted {
  /** The media type out of those offered, `application/json`. */
  readonly mediaType: string;
  /** The kind the answer is asked as; undefined: as it is. */
  readonly as: GroupVersionKind | undefined;
  /** `watch` where the client asked so. */
  readonly stream: string;
  readonly pretty: boolean;
}

/** Longest header that is looked at: a list of a few kinds of answer takes a tenth of it. */
const HEADER_LENGTH_MAX = 4_096;

/** The alternatives, best first; parts that are no media range are left out. */
export function parseAccept(header: string): AcceptClause[] {
  const clauses: AcceptClause[] = [];
  for (const part of header.slice(0, HEADER_LENGTH_MAX).split(',')) {
    const [range, ...rest] = part.split(';');
    const [type, subtype, more] = range.trim().split('/');
    if (more !== undefined) continue;
    let kind = type.trim();
    let second = subtype?.trim() ?? '';
    if (subtype === undefined) {
      // Java's URL connection sends a lone star.
      if (kind !== '*') continue;
      kind = '*';
      second = '*';
    }
    let quality = 1;
    const parameters = new Map<string, string>();
    for (const text of rest) {
      const equals = text.indexOf('=');
      if (equals < 0) continue;
      const name = text.slice(0, equals).trim();
      const value = unquoted(text.slice(equals + 1).trim());
      if (name === 'q') {
        const number = Number(value);
        quality = value !== '' && Number.isFinite(number) ? number : 1;
      } else {
        parameters.set(name, value);
      }
    }
    clauses.push({ type: kind.toLowerCase(), subtype: second.toLowerCase(), quality, parameters });
  }
  return clauses.toSorted(
    (a, b) =>
      b.quality - a.quality ||
      Number(a.type === '*') - Number(b.type === '*') ||
      Number(a.subtype === '*') - Number(b.subtype === '*'),
  );
}

/**
 * The first alternative that is served.
 *
 * @param header undefined or empty: the first of the offer
 * @param offered media types in the server's order of preference
 * @param serves whether the answer may be given as this kind (undefined: as it is) in this media type
 * @returns undefined where nothing fits (406)
 */
export function negotiate(
  header: string | undefined,
  offered: readonly string[],
  serves: (kind: GroupVersionKind | undefined, mediaType: string) => boolean,
): Accepted | undefined {
  if (header === undefined || header.trim() === '') {
    return { mediaType: offered[0], as: undefined, stream: '', pretty: false };
  }
  // What most clients send; goes by the loop below as well.
  if (header === offered[0] && serves(undefined, header)) {
    return { mediaType: header, as: undefined, stream: '', pretty: false };
  }
  for (const clause of parseAccept(header)) {
    for (const mediaType of offered) {
      if (!matches(clause, mediaType)) continue;
      const { parameters } = clause;
      const kind = parameters.get('as');
      const as =
        kind === undefined || kind === ''
          ? undefined
          : { group: parameters.get('g') ?? '', version: parameters.get('v') ?? '', kind };
      if (!serves(as, mediaType)) continue;
      const stream = parameters.get('stream') ?? '';
      if (stream !== '' && stream !== 'watch') continue;
      return { mediaType, as, stream, pretty: parameters.get('pretty') === '1' };
    }
  }
  return undefined;
}

function matches({ type, subtype }: AcceptClause, mediaType: string): boolean {
  if (type === '*') return subtype === '*';
  const slash = mediaType.indexOf('/');
  return type === mediaType.slice(0, slash) && (subtype === '*' || subtype === mediaType.slice(slash + 1));
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
