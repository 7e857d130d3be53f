// Stands in for a member in tests of `keelson up`: takes the same flags, listens on its client port, says that it
// is ready, and ends as told by the environment. FAKE_<name>: "crash" at once, "deaf" to SIGTERM.
import { createServer } from 'node:net';

const flag = (name) =>
  process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '';
const log = (level, msg, fields = {}) =>
  process.stderr.write(`${JSON.stringify({ level, msg, ...fields })}\n`);

const name = flag('name');
const mode = process.env[`FAKE_${name}`];
if (mode === 'crash') {
  log('fatal', 'failed to start', { error: 'the disk is a lie' });
  process.exit(3);
}
process.on('SIGTERM', () => {
  if (mode === 'deaf') return;
  log('info', 'closed server', { name });
  process.exit(0);
});
const { port } = new URL(flag('listen-client-urls'));
createServer((socket) => socket.end()).listen({ host: '127.0.0.1', port: Number(port) }, () => {
  log('info', 'ready to serve client requests', { etcd: process.env.ETCD_NAME ?? 'none' });
});
