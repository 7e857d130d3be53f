/**
 * Debian's unit starts etcd with Type=notify: systemd waits to be told that it serves, and hears only the process
 * it started. A socket of ours stands for systemd's; it is told who spoke, as systemd is.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { KEELSON_ETCD, missingServer } from '../harness/binaries.ts';
import { freePorts } from '../../packages/base/test/free-ports.ts';

/** Prints each message with the process id the kernel says it is from. Argument: the socket's path; '@' is abstract. */
const LISTENER = String.raw`
use Socket; $| = 1; my $path = $ARGV[0] =~ s/^@/\0/r;
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die $!; bind($s, pack_sockaddr_un($path)) or die "bind: $!";
setsockopt($s, SOL_SOCKET, 16, 1) or die $!; print "listening\n";
my $iov; my $control = "\0" x 64; my $data = "\0" x 256;
my $vector = pack("PQ", $data, length $data);
my $header = pack("QQPQPQi", 0, 0, $vector, 1, $control, length $control, 0);
my $length = syscall(47, fileno($s), $header, 0); die $! if $length < 0;
my (undef, undef, undef, $pid) = unpack("Qiii", $control);
print "$pid ", substr($data, 0, $length), "\n";`;

const missing =
  missingServer() ??
  (process.platform === 'linux' && process.arch === 'x64'
    ? undefined
    : 'the listener is written for Linux on x64') ??
  (spawnSync('perl', ['-MSocket', '-e', '1']).status === 0 ? undefined : 'there is no perl');

if (missing === undefined) {
  test.each(['a path', 'an abstract name'])('systemd is told that the member serves: %s', async (kind) => {
    const home = mkdtempSync(path.join(tmpdir(), 'keelson-notify-'));
    const address = kind === 'a path' ? path.join(home, 'notify') : `@${path.basename(home)}`;
    const listener = spawn('perl', ['-e', LISTENER, address], { stdio: ['ignore', 'pipe', 'inherit'] });
    let member: ChildProcess | undefined;
    try {
      const lines = linesOf(listener);
      expect(await lines.next()).toEqual({ done: false, value: 'listening' });
      const [client, peer] = await freePorts(2);
      const clientUrl = `http://127.0.0.1:${client}`;
      const peerUrl = `http://127.0.0.1:${peer}`;
      member = spawn(
        KEELSON_ETCD,
        [
          ...['--data-dir', path.join(home, 'data'), '--initial-cluster', `default=${peerUrl}`],
          ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
          ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
        ],
        { stdio: 'ignore', env: { PATH: process.env['PATH'], NOTIFY_SOCKET: address } },
      );
      expect(await lines.next()).toEqual({ done: false, value: `${member.pid} READY=1` });
      expect((await fetch(`${clientUrl}/health`)).status).toBe(200);
    } finally {
      for (const child of [member, listener]) if (child !== undefined) await ended(child);
      rmSync(home, { recursive: true });
    }
  });
} else {
  test.skip(`systemd is told that the member serves: ${missing}`, () => {});
}

async function* linesOf(child: ChildProcess): AsyncGenerator<string, undefined> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
  return undefined;
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
