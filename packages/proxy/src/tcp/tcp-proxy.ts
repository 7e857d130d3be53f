/**
 * Forwards connections, byte for byte, to one of the members each. It looks into none of them: TLS passes through, and
 * a member that can be reached is good. A member that cannot is left out until a probe, an interval later, reaches
 * it (etcd's server/proxy/tcpproxy). The end of one direction is carried on and leaves the other open, where the
 * original closes both: a client may say its last word and still read the answer.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Clock, Logger, Timer } from '@keelson/base';
import { dialText } from './dial-text.ts';
import type { Remote, Remotes } from './remotes.ts';

export interface TcpProxyOptions {
  readonly remotes: Remotes;
  /** Between two probes of the members that could not be reached. */
  readonly retryDelayMs: number;
  /** As log lines name it. */
  readonly retryDelayText: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly connectionCountMax?: number;
  readonly dialTimeoutMs?: number;
}

/**
 * Two file descriptors each; Node raises the process's limit to the hard one, 2^19 or more on today's systems. What
 * comes beyond is closed at once and logged. If "connections refused" is ever seen, raise it or add a gateway.
 */
const CONNECTION_COUNT_MAX = 20_000;
/** The original has none, and then waits as long as the system tries: two minutes with a packet filter in between. */
const DIAL_TIMEOUT_MS = 5_000;
/** As Go's for both ends: one that has gone without a word is noticed. */
const KEEPALIVE_MS = 15_000;
/** Between two log lines about connections that were refused. */
const REFUSED_LOG_MS = 10_000;
/** However short a delay is asked for. */
const RETRY_DELAY_MS_MIN = 10;

/** What became of an attempt to reach a member; the problem is in Go's words. */
type Dialled =
  { readonly kind: 'open'; readonly socket: Socket } | { readonly kind: 'failed'; readonly problem: string };

export class TcpProxy {
  private readonly options: TcpProxyOptions;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private probe: Timer | undefined = undefined;
  private refusals: { count: number; timer: Timer } | undefined = undefined;
  private closing = false;

  constructor(options: TcpProxyOptions) {
    this.options = options;
    // Nothing is read before there is somebody to read it.
    this.server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    this.server.maxConnections = options.connectionCountMax ?? CONNECTION_COUNT_MAX;
    this.server.on('connection', (socket) => this.serve(socket));
    this.server.on('drop', () => this.refused());
  }

  /** @returns where it listens. @throws Error of node's, when it cannot */
  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ host, port }, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    // A connection that could not be accepted ends nothing else.
    this.server.on('error', (error) =>
      this.options.logger.warn('failed to accept', { error: error.message }),
    );
    this.options.logger.info('ready to proxy client requests', { endpoints: this.options.remotes.addresses });
    this.watch();
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening on a TCP address');
    return address;
  }

  /** Connections that are forwarded, or about to be. */
  get connectionCount(): number {
    return this.sockets.size;
  }

  /** Ends at once, with all connections. */
  close(): Promise<void> {
    this.closing = true;
    this.probe?.cancel();
    this.refusals?.timer.cancel();
    const closed = new Promise<void>((resolve) => void this.server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    return closed;
  }

  private serve(client: Socket): void {
    this.sockets.add(client);
    client.on('close', () => this.sockets.delete(client));
    // Whatever it is, the close that follows says the rest.
    client.on('error', () => {});
    this.offer(client);
  }

  /** To one after the other, until one takes it. */
  private offer(client: Socket): void {
    const remote = client.destroyed || this.closing ? undefined : this.options.remotes.pick();
    if (remote === undefined) {
      client.destroy();
      return;
    }
    this.dial(remote, (outcome) => {
      if (outcome.kind === 'failed') {
        this.deactivated(remote, outcome.problem);
        this.offer(client);
      } else if (client.destroyed || this.closing) outcome.socket.destroy();
      else join(client, outcome.socket);
    });
  }

  /** Answers once, when it is known. */
  private dial({ target, address }: Remote, answer: (outcome: Dialled) => void): void {
    const { clock, dialTimeoutMs = DIAL_TIMEOUT_MS } = this.options;
    const socket = connect({ host: target.host, port: target.port, allowHalfOpen: true });
    this.sockets.add(socket);
    const timer = clock.setTimer(dialTimeoutMs, () => socket.destroy(new Error('i/o timeout')));
    let known = false;
    const settle = (outcome: Dialled): void => {
      timer.cancel();
      if (known) return;
      known = true;
      answer(outcome);
    };
    const fail = (error: Error): void => settle({ kind: 'failed', problem: dialText(address, error) });
    socket.once('connect', () => settle({ kind: 'open', socket }));
    socket.on('error', fail);
    socket.on('close', () => {
      this.sockets.delete(socket);
      fail(new Error('use of closed network connection'));
    });
  }

  private deactivated(remote: Remote, error: string): void {
    const { remotes, logger, retryDelayText } = this.options;
    if (this.closing || !remotes.deactivate(remote)) return;
    logger.warn('deactivated endpoint', { address: remote.address, interval: retryDelayText, error });
  }

  private watch(): void {
    const { clock, retryDelayMs } = this.options;
    this.probe = clock.setTimer(Math.max(RETRY_DELAY_MS_MIN, retryDelayMs), () => {
      for (const remote of this.options.remotes.inactive) this.tryAgain(remote);
      this.watch();
    });
  }

  private tryAgain(remote: Remote): void {
    const { remotes, logger, retryDelayText } = this.options;
    const { address } = remote;
    this.dial(remote, (outcome) => {
      if (outcome.kind === 'failed') {
        if (this.closing) return;
        logger.warn('failed to activate endpoint (stay inactive for another interval)', {
          address,
          interval: retryDelayText,
          error: outcome.problem,
        });
        return;
      }
      outcome.socket.destroy();
      if (remotes.activate(remote)) logger.info('activated', { address });
    });
  }

  /** Counted, and told once in a while. */
  private refused(): void {
    const { clock, logger } = this.options;
    if (this.refusals !== undefined) {
      this.refusals.count++;
      return;
    }
    const max = this.server.maxConnections;
    logger.warn('connections refused', { count: 1, 'connections-max': max });
    const timer = clock.setTimer(REFUSED_LOG_MS, () => {
      const { count } = this.refusals ?? { count: 0 };
      this.refusals = undefined;
      if (count > 0) logger.warn('connections refused', { count, 'connections-max': max });
    });
    this.refusals = { count: 0, timer };
  }
}

/** Both directions, each with its own end and its own pace; a break of one side is the other's break too. */
function join(client: Socket, member: Socket): void {
  for (const [from, to] of [
    [client, member],
    [member, client],
  ] as const) {
    from.setNoDelay(true);
    from.setKeepAlive(true, KEEPALIVE_MS);
    // A reset goes on as one, so that what was cut short is not taken for the whole. After an end there is nothing to say.
    from.on('close', () => {
      if (!from.readableEnded && !to.destroyed) to.resetAndDestroy();
    });
    from.on('error', () => {
      if (!to.destroyed) to.resetAndDestroy();
    });
    from.pipe(to);
  }
}
