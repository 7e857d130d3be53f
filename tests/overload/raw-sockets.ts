/** Connections that speak no protocol to its end: opened many at a time, and told apart by who closed them. */
import { connect, type Socket } from 'node:net';

/** Connections being made at once: a listener's queue holds 511. */
const AT_ONCE = 200;

/** Opens `count` connections and says `bytes` on each; those that are refused are left out. */
export async function openSockets(address: string, count: number, bytes?: Buffer): Promise<Socket[]> {
  const [host, port] = address.split(':');
  const sockets: Socket[] = [];
  const open = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect({ host, port: Number(port) });
      socket.once('connect', () => {
        if (bytes !== undefined) socket.write(bytes);
        sockets.push(socket);
        resolve();
      });
      socket.on('error', () => resolve());
    });
  for (let left = count; left > 0; left -= AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, left) }, open));
  return sockets;
}

/** Waits until the other end has closed them all, at most so long. @returns how many it closed */
export async function closedByServer(sockets: readonly Socket[], timeoutMs: number): Promise<number> {
  let closed = sockets.filter((socket) => socket.destroyed).length;
  let timer: NodeJS.Timeout | undefined;
  const all = sockets
    .filter((socket) => !socket.destroyed)
    .map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.once('close', () => {
            closed++;
            resolve();
          });
          socket.resume();
        }),
    );
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([Promise.all(all), timeout]);
  clearTimeout(timer);
  return closed;
}
