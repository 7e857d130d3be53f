// Stands in for a member, or for the API server, in tests of `keelson up`: takes the same flags, listens on its port, says
// that it is ready, and ends as told by the environment. FAKE_<name>: "crash" at once, "deaf" to SIGTERM.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';

const flag = (name) =>
  process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '';
const log = (level, msg, fields = {}) =>
  process.stderr.write(`${JSON.stringify({ level, msg, ...fields })}\n`);

const isFront = process.argv[2] === 'apiserver';
const name = isFront ? 'apiserver' : flag('name');
const mode = process.env[`FAKE_${name}`];
if (isFront && mode === 'crash') {
  process.stderr.write(
    'E1121 10:00:00.000000       1 apiserver:1] "command failed" err="the port is a lie"\n',
  );
  process.exit(1);
}
if (mode === 'crash') {
  log('fatal', 'failed to start', { error: 'the disk is a lie' });
  process.exit(3);
}
process.on('SIGTERM', () => {
  if (mode === 'deaf') return;
  log('info', 'closed server', { name });
  process.stderr.write(`closed at ${Date.now()}\n`);
  process.exit(0);
});
const port = isFront ? flag('secure-port') : new URL(flag('listen-client-urls')).port;
createServer((socket) => socket.end()).listen({ host: '127.0.0.1', port: Number(port) }, () => {
  if (isFront) {
    mkdirSync(flag('cert-dir'), { recursive: true });
    writeFileSync(`${flag('cert-dir')}/admin.conf`, `server: ${port}\n`);
    process.stderr.write(
      `etcd-servers=${flag('etcd-servers')}\nI1121 10:00:00.000000       1 apiserver:1] "Serving securely on 127.0.0.1"\n`,
    );
    return;
  }
  log('info', 'ready to serve client requests', { etcd: process.env.ETCD_NAME ?? 'none' });
});
