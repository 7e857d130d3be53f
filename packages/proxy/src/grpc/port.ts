/**
 * One address the proxy listens on. TLS is ended here if there is any; then gRPC goes to its server and HTTP/1 to its
 * own, by what the client says first, or by what TLS agreed on. It serves nothing itself. (etcd: cmux, as
 * grpc_proxy.go uses it.)
 */
import { createServer, type Server, type Socket } from 'node:net';
import { assert, type Clock, type Logger } from '@keelson/base';
import { sniff } from '@keelson/rpc';
import { TlsAcceptor, type TlsSettings } from '@keelson/store';

/** What a client says first must come within this time: as the TLS handshake. */
const FIRST_BYTES_MS = 10_000;

export interface PortDoors {
  /** Undefined: HTTP alone. @param head bytes that were read already */
  readonly grpc: ((socket: Socket, head?: Buffer) => void) | undefined;
  /** HTTP/1; what was read was put back. */
  readonly http: (socket: Socket) => void;
}

export interface PortOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tls: TlsSettings | undefined;
}

export class Port {
  private readonly options: PortOptions;
  private readonly doors: PortDoors;
  private readonly server: Server;
  private readonly acceptor: TlsAcceptor | undefined;
  /** Connections nobody serves yet. */
  private readonly undecided = new Set<Socket>();

  constructor(options: PortOptions, doors: PortDoors) {
    const { clock, logger, tls } = options;
    this.options = options;
    this.doors = doors;
    this.server = createServer({ noDelay: true, pauseOnConnect: true, keepAlive: true }, (socket) =>
      this.connected(socket),
    );
    this.acceptor =
      tls === undefined
        ? undefined
        : new TlsAcceptor({
            settings: tls,
            endpoint: 'client',
            clock,
            logger,
            protocol: (offered) => {
              if (doors.grpc !== undefined && offered.includes('h2')) return 'h2';
              return offered.includes('http/1.1') ? 'http/1.1' : undefined;
            },
          });
  }

  /** @returns the port. @throws node's listen errors */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      // Go takes "localhost" for IPv4's loopback, Node for whatever the resolver names first.
      const bound = host === 'localhost' ? '127.0.0.1' : host;
      this.server.listen({ port, ...(bound !== '' && { host: bound }) }, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    const address = this.server.address();
    assert(typeof address === 'object' && address !== null, 'a TCP server that listens has an address');
    return address.port;
  }

  /** Stops listening; connections that were handed over live on. */
  async close(): Promise<void> {
    for (const socket of this.undecided) socket.destroy();
    this.acceptor?.close();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private connected(socket: Socket): void {
    const { grpc, http } = this.doors;
    if (this.acceptor !== undefined) {
      this.acceptor.accept(socket, undefined, (secured) => {
        if (secured.alpnProtocol === 'h2' && grpc !== undefined) grpc(secured);
        else {
          http(secured);
          secured.resume();
        }
      });
      return;
    }
    this.undecided.add(socket);
    socket.once('close', () => this.undecided.delete(socket));
    sniff(socket, {
      clock: this.options.clock,
      timeoutMs: FIRST_BYTES_MS,
      told: (protocol, head) => {
        this.undecided.delete(socket);
        if (protocol === 'http2' && grpc !== undefined) grpc(socket, head);
        else if (protocol === 'http1') {
          socket.unshift(head);
          http(socket);
          socket.resume();
        } else socket.destroy();
      },
    });
  }
}
