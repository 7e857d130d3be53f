/**
 * One operation of a trace while it is recorded. It is told the time and its ids, and knows nobody who reads it; what
 * is recorded after its end is dropped.
 */

/** OTLP's numbers. */
export const SpanKind = { Internal: 1, Server: 2, Client: 3 } as const;
export type SpanKind = (typeof SpanKind)[keyof typeof SpanKind];

export type AttributeValue = string | number | bigint | boolean;

export interface Attribute {
  readonly key: string;
  /** A number is an integer. */
  readonly value: AttributeValue;
}

export interface SpanEvent {
  readonly name: string;
  readonly atMs: number;
  readonly attributes: readonly Attribute[];
}

export interface SpanStart {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** 16 hex digits; "" for the first of a trace. */
  readonly parentId: string;
  /** Whether the parent is a caller's. */
  readonly remote: boolean;
  /** W3C's tracestate. */
  readonly state: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** Wall time at monotonic time 0, ms: one for all spans of a call, so that their times fit each other. */
  readonly epochMs: number;
  /** Monotonic. */
  readonly startMs: number;
}

/** So much of a key becomes an attribute: a thousand spans wait at a time. Go's exporter has no bound. */
const TEXT_CHARACTERS_MAX = 4_096;

export class Span {
  readonly start: SpanStart;
  readonly attributes: Attribute[] = [];
  readonly events: SpanEvent[] = [];
  /** Set when the operation failed by a fault of the server. */
  errorText: string | undefined = undefined;
  /** Monotonic; undefined while it is recorded. */
  endMs: number | undefined = undefined;

  constructor(start: SpanStart) {
    this.start = start;
  }

  attribute(key: string, value: AttributeValue): void {
    if (this.endMs !== undefined) return;
    const short = typeof value === 'string' && value.length > TEXT_CHARACTERS_MAX;
    this.attributes.push({ key, value: short ? value.slice(0, TEXT_CHARACTERS_MAX) : value });
  }

  event(name: string, atMs: number, attributes: readonly Attribute[] = []): void {
    if (this.endMs === undefined) this.events.push({ name, atMs, attributes });
  }

  /** As OpenTelemetry records an error. */
  exception(error: Error, atMs: number): void {
    this.event('exception', atMs, [
      { key: 'exception.type', value: error.name },
      { key: 'exception.message', value: error.message.slice(0, TEXT_CHARACTERS_MAX) },
    ]);
  }
}
