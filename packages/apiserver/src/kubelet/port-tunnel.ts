/**
 * A port-forward whose SPDY comes in the messages of a WebSocket: the bytes of the messages are what the kubelet gets,
 * and its bytes come back as messages. Nobody here looks at them.
 *
 * Modelled on apiserver's util/proxy streamtunnel.
 */

import type { Clock } from '@keelson/base';

import type { ByteConnection } from '../api/exchange.ts';
import { ended } from '../outbound/tunnel.ts';
import { WebSocketServer } from './websocket.ts';

/** `SPDY/3.1+portforward.k8s.io`: a protocol of SPDY, in a WebSocket. */
const PREFIX = 'SPDY/3.1+';
const SUFFIX = '.k8s.io';

/** Protocols for SPDY among those that a WebSocket's client offers, as a kubelet is told of them. */
export function tunnelledProtocols(offered: readonly string[]): string[] {
  return offered
    .filter((name) => name.startsWith(PREFIX) && name.endsWith(SUFFIX))
    .map((name) => name.slice(PREFIX.length));
}

/** The kubelet's choice as the client knows it; empty for none. */
export function tunnelProtocol(chosen: string): string {
  return chosen === '' ? '' : PREFIX + chosen;
}

/** Until one side is over; then both are. Never rejects. */
export async function tunnelPorts(
  client: ByteConnection,
  kubelet: ByteConnection,
  clock: Pick<Clock, 'setTimer'>,
): Promise<void> {
  const socket = new WebSocketServer(client);
  await Promise.race([toKubelet(socket, kubelet), toClient(kubelet, socket)]);
  socket.close();
  await Promise.all([ended(client, clock), ended(kubelet, clock)]);
}

async function toKubelet(socket: WebSocketServer, kubelet: ByteConnection): Promise<void> {
  for (let piece = await socket.next(); piece !== undefined; piece = await socket.next()) {
    if (piece.data.length > 0 && !kubelet.write(piece.data)) await kubelet.drained();
  }
}

async function toClient(kubelet: ByteConnection, socket: WebSocketServer): Promise<void> {
  const read = (): Promise<Buffer | undefined> => kubelet.read().catch(() => undefined);
  for (let chunk = await read(); chunk !== undefined; chunk = await read()) await socket.send(chunk);
}
