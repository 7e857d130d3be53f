/** Lines as etcd's client logs them: JSON, one a line, on standard error. */
import { formatTimestamp } from '@keelson/base';
import type { Io } from '../io.ts';

/** @param fields follow the message, in their order */
export function logLine(
  io: Io,
  level: 'info' | 'warn',
  msg: string,
  fields: Readonly<Record<string, unknown>>,
): void {
  const line = { level, ts: formatTimestamp(Date.now()), logger: 'etcd-client', caller: 'ctl/ctl.ts', msg };
  io.err(`${JSON.stringify({ ...line, ...fields })}\n`);
}
