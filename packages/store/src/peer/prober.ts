/**
 * Measures the round trip to a peer: GET /raft/probing, answered with {"OK":true,"Now":…}, every four
 * seconds. Feeds a metric and warns about clocks that differ; decides nothing. (github.com/xiang90/probing
 * as etcd uses it: rafthttp probing_status.go.)
 */
import type { ClientRequest } from 'node:http';
import { type Timer, hexId } from '@keelson/base';
import type { NodeId } from '@keelson/raft';
import { Deadline } from './deadline.ts';
import type { PeerContext } from './peer-options.ts';
import { dial, readAnswer } from './peer-request.ts';
import type { PeerStatus } from './peer-status.ts';
import type { UrlPicker } from './url-picker.ts';

/** Clocks further apart than this are worth a line, as in etcd. */
const CLOCK_DRIFT_MAX_MS = 1_000;

/** The answer to a probe, as Go writes a time: RFC 3339 in UTC. */
export function probeAnswer(nowMs: number): string {
  return `${JSON.stringify({ OK: true, Now: new Date(nowMs).toISOString() })}\n`;
}

/** The prober's clock in a probe's answer, ms since the epoch; undefined when it is no good answer. */
export function readProbeAnswer(body: string): number | undefined {
  try {
    const answer: unknown = JSON.parse(body);
    if (typeof answer !== 'object' || answer === null) return undefined;
    const { OK, Now } = answer as { OK?: unknown; Now?: unknown };
    const nowMs = typeof Now === 'string' ? Date.parse(Now) : Number.NaN;
    return OK === true && Number.isFinite(nowMs) ? nowMs : undefined;
  } catch {
    return undefined; // not JSON: no answer
  }
}

export class Prober {
  private readonly context: PeerContext;
  private readonly peer: NodeId;
  private readonly picker: UrlPicker;
  private readonly status: PeerStatus;
  private timer: Timer | undefined = undefined;
  private request: ClientRequest | undefined = undefined;
  private stopped = false;

  constructor(context: PeerContext, peer: NodeId, picker: UrlPicker, status: PeerStatus) {
    this.context = context;
    this.peer = peer;
    this.picker = picker;
    this.status = status;
  }

  start(): void {
    this.timer = this.context.clock.setTimer(this.context.limits.probeIntervalMs, () => this.probe());
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.request?.destroy();
  }

  private probe(): void {
    const { clock, limits } = this.context;
    const startMs = clock.monotonicMs();
    let body: string | undefined;
    const silence = new Deadline(clock, limits.readTimeoutMs, () => this.request?.destroy());
    silence.touch();
    this.request = dial(
      this.context,
      this.picker.pick(),
      { method: 'GET', path: '/raft/probing', headers: {} },
      (response) =>
        readAnswer(response, (text) => {
          body = text;
          if (response.statusCode === 200) this.measured(clock.monotonicMs() - startMs, text);
          this.request?.destroy();
        }),
      () => {},
    );
    this.request.on('close', () => {
      silence.stop();
      if (this.stopped) return;
      if (body === undefined && this.context.logger.enabled('debug')) {
        this.context.logger.debug('prober detected unhealthy status', { 'remote-peer-id': hexId(this.peer) });
      }
      this.start();
    });
    this.request.end();
  }

  private measured(elapsedMs: number, body: string): void {
    if (this.stopped) return;
    const nowMs = readProbeAnswer(body);
    if (nowMs === undefined) return;
    this.status.counters.roundTripMs = elapsedMs;
    this.context.handler.reportRoundTrip?.(this.peer, elapsedMs);
    const driftMs = this.context.clock.nowMs() - elapsedMs / 2 - nowMs;
    if (Math.abs(driftMs) > CLOCK_DRIFT_MAX_MS) {
      this.context.logger.warn('prober found high clock drift', {
        'remote-peer-id': hexId(this.peer),
        'clock-drift': `${driftMs.toFixed(0)}ms`,
        rtt: `${elapsedMs.toFixed(3)}ms`,
      });
    }
  }
}
