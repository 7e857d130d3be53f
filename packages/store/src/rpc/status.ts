/** Where operating errors become gRPC statuses: errors.ts says code and text, this only carries them over. */
import { RpcError, StatusCode, type StatusCode as Code } from '@keelson/rpc';
import { messageOf, statusOf, StoreError, type ErrorCode } from '../errors.ts';

/** An operating error as what leaves. */
export function rpcErrorOf(code: ErrorCode): RpcError {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- errors.ts keeps gRPC's numbers without knowing gRPC
  return new RpcError(statusOf(code) as Code, messageOf(code));
}

/** Any thrown value as what leaves, asked once for all handlers (access.ts); what is not ours stays as it is. */
export function toRpcError(reason: unknown): unknown {
  return reason instanceof StoreError ? rpcErrorOf(reason.code) : reason;
}

/** The form in which a watch's cancel_reason quotes a status, Go's status.Error text. */
export function statusText(reason: unknown): string {
  const error = toRpcError(reason);
  if (!(error instanceof RpcError)) return String(reason);
  const name = Object.entries(StatusCode).find(([, code]) => code === error.code)?.[0] ?? 'Unknown';
  return `rpc error: code = ${name} desc = ${error.message}`;
}
