/** Informers on a whole server: what they hear, what they keep, and that they go on after everything. */

import { afterEach, describe, expect, test } from '@jest/globals';
import { Prng, silentLogger, systemClock } from '@keelson/base';

import { smallServer, type SmallServer } from '../../apiserver/test/small-server.ts';
import { until } from '../../base/test/until.ts';
import { Informer, type InformerOptions } from '../src/informer.ts';
import { InformerSet } from '../src/informer-set.ts';
import { MetricSet } from '../src/metrics.ts';
import type { KubeObject } from '../src/objects.ts';
import { RestClient } from '../src/rest-client.ts';

const MAPS = { group: '', version: 'v1', resource: 'configmaps' };
const PATH = '/api/v1/namespaces/n/configmaps';

let small: SmallServer | undefined;
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
  await small?.stop();
});

function begin(): {
  small: SmallServer;
  parts: Pick<InformerOptions, 'client' | 'clock' | 'prng' | 'logger'>;
} {
  small = smallServer();
  const client = new RestClient({
    transport: small.server,
    clock: systemClock,
    metrics: new MetricSet(),
    userAgent: 'test/1',
  });
  return { small, parts: { client, clock: systemClock, prng: new Prng(1), logger: silentLogger } };
}

describe('an informer', () => {
  test('tells its handlers what there is and what changes, and finds objects by index', async () => {
    const { small: server, parts } = begin();
    await server.ask('POST', PATH, { metadata: { name: 'a', labels: { app: 'x' } }, data: { k: 'v' } });
    const heard: string[] = [];
    const informer = new Informer({
      ...parts,
      resource: MAPS,
      indexers: {
        app: ({ metadata }) => (metadata.labels?.['app'] === undefined ? [] : [metadata.labels['app']]),
      },
    });
    stops.push(() => informer.stop());
    informer.handle({
      added: ({ metadata }) => heard.push(`+ ${metadata.name}`),
      updated: ({ metadata }) => heard.push(`~ ${metadata.name}`),
      deleted: ({ metadata }) => heard.push(`- ${metadata.name}`),
    });
    informer.start();
    await informer.whenSynced();
    expect(heard).toEqual(['+ a']);
    const names = (value: string): string[] =>
      informer
        .byIndex('app', value)
        .map(({ metadata }) => metadata.name ?? '')
        .toSorted();
    expect(names('x')).toEqual(['a']);
    expect(informer.get('n/a')?.['data']).toEqual({ k: 'v' });
    expect(informer.get('n/a')?.metadata).not.toHaveProperty('managedFields');

    await server.ask('POST', PATH, { metadata: { name: 'b', labels: { app: 'x' } } });
    await server.ask('PATCH', `${PATH}/a`, { metadata: { labels: { app: 'y' } } });
    await server.ask('DELETE', `${PATH}/b`);
    await until(() => heard.length === 4, 'all was heard');
    expect(heard).toEqual(['+ a', '+ b', '~ a', '- b']);
    expect([names('x'), names('y'), informer.size]).toEqual([[], ['a'], 1]);
    const late: string[] = [];
    informer.handle({ added: ({ metadata }) => late.push(metadata.name ?? '') });
    expect(late).toEqual(['a']);
  });

  test('keeps metadata alone where that is enough, or what it is told', async () => {
    const { small: server, parts } = begin();
    await server.ask('POST', PATH, { metadata: { name: 'a' }, data: { k: 'v' } });
    const metadata = new Informer({ ...parts, resource: MAPS, metadataOnly: true });
    const chosen = new Informer({
      ...parts,
      resource: MAPS,
      fieldSelector: 'metadata.name=other',
      transform: (object: KubeObject) => ({ metadata: object.metadata, kept: true }),
    });
    stops.push(
      () => metadata.stop(),
      () => chosen.stop(),
    );
    metadata.start();
    chosen.start();
    await Promise.all([metadata.whenSynced(), chosen.whenSynced()]);
    expect(metadata.get('n/a')?.['data']).toBeUndefined();
    expect(metadata.get('n/a')?.metadata.uid).toBeDefined();
    expect(chosen.size).toBe(0);
    await server.ask('POST', PATH, { metadata: { name: 'other' } });
    await until(() => chosen.size === 1, 'the chosen one is there');
    expect(chosen.get('n/other')?.['kept']).toBe(true);
  });

  test('is shared by those who ask for the same', async () => {
    const { parts } = begin();
    const set = new InformerSet(parts);
    stops.push(() => set.stop());
    const a = set.informer(MAPS, { metadataOnly: true });
    expect(set.informer(MAPS, { metadataOnly: true })).toBe(a);
    expect(set.informer(MAPS)).not.toBe(a);
    expect(set.informer(MAPS, { metadataOnly: true, namespace: 'n' })).not.toBe(a);
    set.start();
    await set.whenSynced();
    expect(a.synced).toBe(true);
    const later = set.informer(MAPS, { purpose: 'another' });
    await later.whenSynced();
    expect(later.synced).toBe(true);
  });

  test('that is stopped before it has begun keeps nobody waiting', async () => {
    const { parts } = begin();
    const informer = new Informer({ ...parts, resource: { ...MAPS, resource: 'nothing' } });
    informer.start();
    const waiting = informer.whenSynced();
    await informer.stop();
    await waiting;
    expect(informer.synced).toBe(false);
  });
});
