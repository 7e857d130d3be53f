/** Where operating errors become gRPC statuses: errors.ts says code and text, this only carries them over. */
import { RpcError, StatusCode, type StatusCode as Code } from '@keelson/rpc';
import { statusOf, StoreError } from '../errors.ts';

/** Any thrown value as what leaves; what is not ours stays as it is and becomes Unknown further out. */
export function toRpcError(reason: unknown): unknown {
  if (!(reason instanceof StoreError)) return reason;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- errors.ts keeps gRPC's numbers without knowing gRPC
  return new RpcError(statusOf(reason.code) as Code, reason.message);
}

/** The form in which a watch's cancel_reason quotes a status, Go's status.Error text. */
export function statusText(reason: unknown): string {
  const error = toRpcError(reason);
  if (!(error instanceof RpcError)) return String(reason);
  const name = Object.entries(StatusCode).find(([, code]) => code === error.code)?.[0] ?? 'Unknown';
  return `rpc error: code = ${name} desc = ${error.message}`;
}
