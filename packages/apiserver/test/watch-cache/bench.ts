/**
 * What the watch cache costs: a list of 10,000 pods, and one event a time for 1,000 watchers. Started by hand:
 * `node packages/apiserver/test/watch-cache/bench.ts`.
 */

import { silentLogger, systemClock } from '@keelson/base';

import { ProtobufCodec } from '../../src/codec/protobuf.ts';
import { TypeTable } from '../../src/schema/type-table.ts';
import { Cacher } from '../../src/storage/cacher.ts';
import { MemoryBackend } from '../../src/storage/memory-storage.ts';
import { builtInCodec } from '../../src/storage/object-codec.ts';
import type { Watch } from '../../src/storage/storage.ts';
import type { KubeObject } from '../../src/api/meta.ts';

const PODS = 10_000;
const WATCHERS = 1_000;
const EVENTS = 500;

const table = new TypeTable();
const schemaProps = table.struct('apiextensions.v1.JSONSchemaProps');
const backend = new MemoryBackend({ clock: systemClock });
const storage = backend.storage({
  resource: { group: '', resource: 'pods' },
  prefix: '/pods',
  codec: builtInCodec({
    protobuf: new ProtobufCodec(schemaProps),
    schemaProps,
    stored: { apiVersion: 'v1', kind: 'Pod', struct: table.struct('core.v1.Pod') },
  }),
  fieldsOf: ({ metadata, ...rest }) => ({
    'metadata.name': metadata.name ?? '',
    'metadata.namespace': metadata.namespace ?? '',
    'spec.nodeName': nodeOf(rest['spec']),
  }),
});
const cacher = new Cacher(storage, { clock: systemClock, logger: silentLogger });

function nodeOf(spec: unknown): string {
  if (typeof spec !== 'object' || spec === null || !('nodeName' in spec)) return '';
  return typeof spec.nodeName === 'string' ? spec.nodeName : '';
}

function pod(index: number): KubeObject {
  const labels = { app: `app-${index % 50}`, 'pod-template-hash': `h${index % 500}`, tier: 'backend' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `pod-${index}`, namespace: `ns-${index % 20}`, uid: `uid-${index}`, labels },
    spec: {
      nodeName: `node-${index % 100}`,
      containers: [
        {
          name: 'main',
          image: 'registry.example/app:v1.2.3',
          args: ['--flag=value', '--other=value', '--third=another longer value'],
          env: Array.from({ length: 8 }, (_, env) => ({ name: `NAME_${env}`, value: `value of it ${env}` })),
          resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '100m', memory: '128Mi' } },
        },
      ],
    },
    status: { phase: 'Running', podIP: '10.0.0.1', hostIP: '10.1.0.1' },
  };
}

/** The most CPU time between two turns of the event loop: others on the machine do not count. */
class LoopGap {
  longestMs = 0;
  private last = process.cpuUsage();
  private readonly timer = setInterval(() => this.look(), 1);

  stop(): number {
    clearInterval(this.timer);
    this.look();
    return this.longestMs;
  }

  private look(): void {
    const { user, system } = process.cpuUsage(this.last);
    this.longestMs = Math.max(this.longestMs, (user + system) / 1000);
    this.last = process.cpuUsage();
  }
}

function report(name: string, values: Readonly<Record<string, number>>): void {
  const text = Object.entries(values).map(([unit, value]) => `${value.toFixed(1)} ${unit}`);
  process.stdout.write(`${name}: ${text.join(', ')}\n`);
}

async function lists(): Promise<void> {
  for (let index = 0; index < PODS; index += 1) {
    const value = pod(index);
    await storage.create(`/pods/${value.metadata.namespace}/${value.metadata.name}`, value);
  }
  const filling = performance.now();
  const gap = new LoopGap();
  await cacher.whenReady(60_000);
  report('fill', { ms: performance.now() - filling, 'CPU ms longest turn': gap.stop() });
  const node = { labels: [], fields: [{ field: 'spec.nodeName', operator: '=' as const, value: 'node-7' }] };
  const label = { labels: [{ key: 'app', operator: '=' as const, values: ['app-7'] }], fields: [] };
  for (const [name, options] of [
    ['list, newest', {}],
    ['list, newest', {}],
    ['list, any', { resourceVersion: '0' }],
    ['list, a label', { selection: label }],
    ['list, a node', { selection: node }],
    ['list, a page of 500', { limit: 500 }],
  ] as const) {
    const start = performance.now();
    const { objects } = await cacher.list('/pods', options);
    const first = objects[0]?.json().length ?? 0;
    const firstMs = performance.now() - start;
    const body = Buffer.concat(objects.map((object) => object.json()));
    report(name, {
      objects: objects.length,
      MB: body.length / 1e6,
      'ms first': firstMs,
      'ms whole': performance.now() - start,
      'bytes of the first': first,
    });
  }
}

async function fanOut(): Promise<void> {
  const { revision } = cacher;
  const watches: Watch[] = [];
  for (let index = 0; index < WATCHERS; index += 1) {
    watches.push(await cacher.watch('/pods', { resourceVersion: String(revision) }));
  }
  let bytes = 0;
  const done = watches.map(async (watch) => {
    let seen = 0;
    for await (const batch of watch) {
      for (const event of batch) {
        if (event.type === 'BOOKMARK' || event.type === 'ERROR') continue;
        bytes += event.object.json().length;
        seen += 1;
      }
      if (seen >= EVENTS) return seen;
    }
    return seen;
  });
  const gap = new LoopGap();
  const start = performance.now();
  for (let index = 0; index < EVENTS; index += 1) {
    await storage.guaranteedUpdate(`/pods/ns-7/pod-7`, (current) => ({
      value: { ...(current?.value ?? pod(7)), status: { phase: 'Running', message: `update ${index}` } },
    }));
    // As if it came from a socket.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const seen = (await Promise.all(done)).reduce((sum, count) => sum + count, 0);
  const seconds = (performance.now() - start) / 1000;
  report('fan-out', {
    watchers: WATCHERS,
    'events/s': seen / seconds,
    'MB/s of shared bytes': bytes / 1e6 / seconds,
    'CPU ms longest turn': gap.stop(),
  });
}

await lists();
await fanOut();
cacher.stop();
backend.close();
