/**
 * Two connections made one: what comes from either goes to the other, at the pace of who takes it, until one of them is
 * over; then what waits for the other is sent, and both are closed. Nothing is read that cannot be handed on.
 */

import type { Clock } from '@keelson/base';

import type { ByteConnection } from '../api/exchange.ts';

/** What is left to send when one side has ended gets so long; a side that takes nothing is cut off. */
const LAST_BYTES_MS = 10_000;

/** Resolves when both are closed. Never rejects: how a connection ends is the peers' affair. */
export async function tunnel(
  client: ByteConnection,
  backend: ByteConnection,
  clock: Pick<Clock, 'setTimer'>,
): Promise<void> {
  await Promise.race([copy(client, backend), copy(backend, client)]);
  await Promise.all([ended(client, clock), ended(backend, clock)]);
}

/** Sends what waits and closes; a side that takes nothing is cut off. */
export async function ended(connection: ByteConnection, clock: Pick<Clock, 'setTimer'>): Promise<void> {
  const timer = clock.setTimer(LAST_BYTES_MS, () => connection.destroy());
  connection.end();
  await connection.closed;
  timer.cancel();
}

/** Until the source is over, or broken. */
async function copy(source: ByteConnection, target: ByteConnection): Promise<void> {
  for (;;) {
    const chunk = await source.read().catch(() => undefined);
    if (chunk === undefined) return;
    if (!target.write(chunk)) await target.drained();
  }
}
