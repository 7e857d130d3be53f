/**
 * A network of namespaces: one for each member, all on one bridge, the clients on the bridge's own side. A link is cut
 * by telling the sender a wrong hardware address, so that what it sends is lost on the way, silently and in that
 * direction alone. Needs root and iproute2. What a run that was killed has left is known by its name and removed.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { everyLink, type Network, type Place, type Seat } from './network.ts';

/** Of namespaces and devices; behind it the process they belong to, in base 36. */
const PREFIX = 'kks';
const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
/** Nobody's: frames to it end on the bridge. */
const NOWHERE = '02:6b:6b:ff:ff:ff';
const CLIENTS_HOST = 254;

/** Why namespaces cannot be used here; undefined when they can. */
export function namespacesMissing(): string | undefined {
  if (process.platform !== 'linux') return 'this is no Linux';
  if (process.getuid?.() !== 0) return 'the user is not root';
  const probe = `${PREFIX}${process.pid.toString(36)}p`;
  const made = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' });
  if (made.error !== undefined) return 'there is no iproute2';
  if (made.status !== 0) return `no namespaces: ${made.stderr.trim()}`;
  const bridge = spawnSync('ip', ['-n', probe, 'link', 'add', 'b0', 'type', 'bridge'], { encoding: 'utf8' });
  const veth = spawnSync('ip', ['-n', probe, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'], {
    encoding: 'utf8',
  });
  const entered = spawnSync('nsenter', [`--net=/run/netns/${probe}`, 'true']);
  spawnSync('ip', ['netns', 'del', probe]);
  if (bridge.status !== 0) return `no bridges: ${bridge.stderr.trim()}`;
  if (veth.status !== 0) return `no pairs of devices: ${veth.stderr.trim()}`;
  return entered.status === 0 ? undefined : 'there is no nsenter';
}

/** Removes namespaces, devices and the processes in them whose maker has ended. */
export function removeLeftNamespaces(): void {
  for (const name of names('/run/netns')) {
    if (!isLeft(name)) continue;
    const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
    for (const pid of (stdout ?? '').split(/\s+/).filter((word) => word !== '')) kill(Number(pid));
    spawnSync('ip', ['netns', 'del', name]);
  }
  for (const name of names('/sys/class/net')) if (isLeft(name)) spawnSync('ip', ['link', 'del', name]);
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name.startsWith(PREFIX));
  } catch {
    return [];
  }
}

function isLeft(name: string): boolean {
  const maker = Number.parseInt(name.slice(PREFIX.length, -1), 36);
  if (!Number.isSafeInteger(maker) || maker <= 0) return false;
  try {
    process.kill(maker, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

export class Namespaces implements Network {
  readonly kind = 'namespaces';
  readonly seats: readonly Seat[];
  private readonly tag: string;
  private readonly subnet: string;
  private readonly cuts = new Set<string>();

  /** @throws Error when the kernel refuses, with nothing left behind */
  constructor(size: number) {
    this.tag = `${PREFIX}${process.pid.toString(36)}`;
    this.subnet = `10.${200 + (process.pid % 40)}.${(process.pid >> 6) % 250}`;
    this.seats = Array.from({ length: size }, (_, i) => ({
      host: this.host(i),
      clientPort: CLIENT_PORT,
      peerPort: PEER_PORT,
      launcher: ['nsenter', `--net=/run/netns/${this.space(i)}`],
    }));
    try {
      this.make();
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  cut(from: Place, to: Place): void {
    this.cuts.add(`${from} ${to}`);
    this.point(from, to, NOWHERE);
  }

  join(from: Place, to: Place): void {
    if (this.cuts.delete(`${from} ${to}`)) this.point(from, to, hardware(to));
  }

  heal(): void {
    for (const [from, to] of everyLink(this.seats.length)) this.join(from, to);
  }

  dispose(): void {
    for (let i = 0; i < this.seats.length; i++) {
      spawnSync('ip', ['netns', 'del', this.space(i)]);
      spawnSync('ip', ['link', 'del', this.port(i)]);
    }
    spawnSync('ip', ['link', 'del', this.bridge]);
  }

  private make(): void {
    const { bridge, subnet } = this;
    ip(`link add ${bridge} address ${hardware('clients')} type bridge`);
    ip(`addr add ${subnet}.${CLIENTS_HOST}/24 dev ${bridge}`);
    ip(`link set ${bridge} up`);
    for (let i = 0; i < this.seats.length; i++) {
      const space = this.space(i);
      ip(`netns add ${space}`);
      ip(`link add ${this.port(i)} type veth peer name eth0 address ${hardware(i)} netns ${space}`);
      ip(`link set ${this.port(i)} master ${bridge}`);
      ip(`link set ${this.port(i)} up`);
      ip(`-n ${space} addr add ${this.host(i)}/24 dev eth0`);
      ip(`-n ${space} link set lo up`);
      ip(`-n ${space} link set eth0 up`);
    }
    // Nobody asks for a hardware address: what is known is what was said here.
    for (const [from, to] of everyLink(this.seats.length)) this.point(from, to, hardware(to));
  }

  private point(from: Place, to: Place, address: string): void {
    const [where, device] = from === 'clients' ? ['', this.bridge] : [`-n ${this.space(from)} `, 'eth0'];
    ip(`${where}neigh replace ${this.host(to)} lladdr ${address} nud permanent dev ${device}`);
  }

  private get bridge(): string {
    return `${this.tag}b`;
  }

  private space(seat: number): string {
    return `${this.tag}${seat}`;
  }

  /** The bridge's end of a member's cable. */
  private port(seat: number): string {
    return `${this.tag}${seat}`;
  }

  private host(place: Place): string {
    return `${this.subnet}.${place === 'clients' ? CLIENTS_HOST : place + 1}`;
  }
}

function hardware(place: Place): string {
  return `02:6b:6b:00:00:${(place === 'clients' ? CLIENTS_HOST : place + 1).toString(16).padStart(2, '0')}`;
}

function ip(line: string): void {
  const { status, stderr, error } = spawnSync('ip', line.split(' '), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${line}: ${error?.message ?? stderr.trim()}`, { cause: error });
}
