/**
 * Who caused a call, as W3C Trace Context hands it on in the headers "traceparent" and "tracestate". What is read and
 * malformed counts as absent, as the recommendation asks. What is taken for malformed is what Go's
 * OpenTelemetry propagation takes for it, which etcd uses.
 */
import type { Metadata } from '../metadata.ts';
import type { Span } from './span.ts';

/** The span that a caller says is ours to continue. */
export interface RemoteParent {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  readonly sampled: boolean;
  /** Handed on as it came; "" for none. */
  readonly state: string;
}

const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;
/** The recommendation asks for 512 characters at least to be handed on. */
const STATE_CHARACTERS_MAX = 512;

/** The header `traceparent` for whom a sampled span asks. */
export function traceparentOf({ start: { traceId, spanId } }: Span): string {
  return `00-${traceId}-${spanId}-01`;
}

/** Undefined when the caller names no parent, or not one that can be read. */
export function remoteParent(metadata: Metadata): RemoteParent | undefined {
  const match = PARENT.exec(metadata.text('traceparent') ?? '');
  if (match === null) return undefined;
  const [, version = '', traceId = '', spanId = '', flagsText = '', rest] = match;
  const flags = Number.parseInt(flagsText, 16);
  if (version === 'ff' || ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
  if (version === '00' && (rest !== undefined || flags > 2)) return undefined;
  const states = metadata.all('tracestate').filter((value) => typeof value === 'string');
  const state = states.join(',');
  return {
    traceId,
    spanId,
    sampled: (flags & 1) === 1,
    state: state.length > STATE_CHARACTERS_MAX ? '' : state,
  };
}
