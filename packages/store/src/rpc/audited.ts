/**
 * Around every method that writes: what a client asked this member for, and what came of it, as one line of the audit
 * log. It stands outside of the guard, so refusals are told as well; which way a call came makes no difference. No
 * handler knows of it.
 */
import { formatTimestamp } from '@keelson/base';
import {
  RpcError,
  statusName,
  StatusCode,
  toRpcError as anyRpcError,
  type CallContext,
  type CallHooks,
  type UnaryHandler,
} from '@keelson/rpc';
import { AuditError, type AuditLog } from '../audit/audit-log.ts';
import { describeAnswer, describerOf, type Fields } from '../audit/describe.ts';
import { originOf } from '../audit/origin.ts';
import type { Access, Interceptor } from './access.ts';
import { messageOf } from './services.ts';
import { toRpcError } from './status.ts';

export interface AuditedOptions {
  /** This member's id, in hex. */
  readonly member: string;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
}

/** What came of a request. */
interface Outcome {
  readonly code: StatusCode;
  readonly error?: string;
  readonly revision?: number;
  readonly result?: Fields | undefined;
  readonly tookMs: number;
}

export class Audited implements Interceptor {
  private readonly log: AuditLog;
  private readonly access: Access;
  private readonly options: AuditedOptions;

  constructor(log: AuditLog, access: Access, options: AuditedOptions) {
    this.log = log;
    this.access = access;
    this.options = options;
  }

  around<Req, Res>(path: string, handler: UnaryHandler<Req, Res>): UnaryHandler<Req, Res> {
    const describe = describerOf(path);
    if (describe === undefined) return handler;
    return async (request, call) => {
      const fields = describe(messageOf(request));
      if (fields === undefined) return handler(request, call);
      const startedMs = this.options.monotonicMs();
      const tookMs = (): number => this.options.monotonicMs() - startedMs;
      await this.admit();
      let response: Res;
      try {
        response = await handler(request, call);
      } catch (reason) {
        const { code, message } = anyRpcError(toRpcError(reason));
        // It fails in any case, and for its own reason.
        await this.log
          .append(this.line(call, fields, { code, error: message, tookMs: tookMs() }))
          ?.catch(() => {});
        throw reason;
      }
      try {
        await this.log.append(
          this.line(call, fields, { code: StatusCode.OK, ...describeAnswer(response), tookMs: tookMs() }),
        );
      } catch (error) {
        throw unavailable(error, 'the request was carried out, but the audit log cannot be written');
      }
      return response;
    };
  }

  /** The same hooks; a write that they refuse before any handler sees it is told too, without its request. */
  hooks(inner: CallHooks): CallHooks {
    return {
      ...inner,
      after: (call, outcome) => {
        inner.after?.(call, outcome);
        const { code, details, durationMs, receivedCount } = outcome;
        if (receivedCount > 0 || code === StatusCode.OK || code === StatusCode.Cancelled) return;
        if (describerOf(call.path) === undefined) return;
        // Nobody waits for it, and nobody was asked whether there is room.
        void this.log.append(this.line(call, undefined, { code, error: details, tookMs: durationMs }), false);
      },
    };
  }

  private async admit(): Promise<void> {
    try {
      await this.log.admit();
    } catch (error) {
      throw unavailable(error, 'writes are refused, since the audit log cannot be written');
    }
  }

  private line(call: CallContext, request: Fields | undefined, outcome: Outcome): string {
    const { member, nowMs } = this.options;
    const { remote, via } = originOf(call);
    const { code, error, revision, result, tookMs } = outcome;
    return JSON.stringify({
      ts: formatTimestamp(nowMs()),
      member,
      method: call.path,
      user: this.access.known(call)?.username,
      remote,
      via: via === '' ? undefined : via,
      common_name: call.peerCertificate?.commonName,
      request,
      code: statusName(code),
      error,
      revision: revision === 0 ? undefined : revision,
      result,
      took_ms: Math.round(tookMs * 1_000) / 1_000,
    });
  }
}

function unavailable(error: unknown, what: string): unknown {
  if (!(error instanceof AuditError)) return error;
  return new RpcError(StatusCode.Unavailable, `keelson: ${what}: ${error.message}`);
}
