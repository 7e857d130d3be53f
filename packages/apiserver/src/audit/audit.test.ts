/** Audit: which requests, which stages, events to the letter, backends that wait, drop, cut and rotate. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger, type Clock } from '@keelson/base';

import { pathSegments, requestInfo } from '../api/request-info.ts';
import { eventOf, truncated, withoutManagedFields, type AuditedRequest, type AuditEvent } from './event.ts';
import { makeBackend, union, type BackendOptions, type EventSink } from './backend.ts';
import { logSink } from './log-sink.ts';
import { AuditPolicy } from './policy.ts';
import { RotatingFile } from './rotating-file.ts';
import { webhookSink } from './webhook-sink.ts';

interface Matching {
  readonly name: string;
  readonly policy: object;
  readonly user: string;
  readonly groups: string[];
  readonly method: string;
  readonly target: string;
  readonly want: string;
  readonly omitStages?: string[];
  readonly omitManagedFields?: boolean;
}
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own data
const DATA = JSON.parse(
  readFileSync(new URL('../../test/testdata/audit/policies.json', import.meta.url), 'utf8'),
) as { matching: Matching[]; refused: { name: string; policy: object; error: string }[] };

const policyFile = (policy: object): string =>
  JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', ...policy });

function infoOf(method: string, target: string) {
  const { pathname, searchParams } = new URL(target, 'https://server');
  return requestInfo(method, pathname, pathSegments(pathname), searchParams);
}

describe('policies', () => {
  test.each(DATA.matching.map((one) => [one.name, one] as const))('%s', (_name, one) => {
    const user = { name: one.user, uid: '', groups: one.groups, extra: {} };
    const choice = new AuditPolicy(policyFile(one.policy)).choose(user, infoOf(one.method, one.target));
    expect(choice.level).toBe(one.want);
    if (one.omitStages !== undefined) expect([...choice.omitStages].toSorted()).toEqual(one.omitStages);
    if (one.omitManagedFields !== undefined) expect(choice.omitManagedFields).toBe(one.omitManagedFields);
  });

  test.each(DATA.refused.map((one) => [one.name, one] as const))(
    'refused: %s',
    (_name, { policy, error }) => {
      expect(() => new AuditPolicy(policyFile(policy))).toThrow(new Error(error));
    },
  );

  test('fields that nobody knows are passed over, and told', () => {
    const told: string[] = [];
    const policy = new AuditPolicy(policyFile({ rules: [{ level: 'Metadata', user: ['a'] }] }), (message) =>
      told.push(message),
    );
    expect(policy.choose(undefined, infoOf('GET', '/api/v1/pods')).level).toBe('Metadata');
    expect(told).toEqual([
      'Audit policy contains errors, falling back to lenient decoding: strict decoding error: unknown field "rules[0].user"',
    ]);
  });

  test('nobody is known before authentication', () => {
    const policy = new AuditPolicy(
      policyFile({ rules: [{ level: 'None', users: ['a'] }, { level: 'Metadata' }] }),
    );
    expect(policy.choose(undefined, infoOf('GET', '/api/v1/pods')).level).toBe('Metadata');
  });
});

function audited(more: Partial<AuditedRequest> = {}): AuditedRequest {
  return {
    level: 'RequestResponse',
    auditId: 'id-1',
    uri: '/api/v1/namespaces/a/configmaps?fieldManager=kubectl',
    info: infoOf('POST', '/api/v1/namespaces/a/configmaps?fieldManager=kubectl'),
    sourceIPs: ['10.0.0.1'],
    userAgent: 'kubectl/v1.36',
    receivedMs: 1_700_000_000_123.456,
    annotations: new Map([
      ['authorization.k8s.io/reason', 'because'],
      ['authorization.k8s.io/decision', 'allow'],
    ]),
    user: { name: 'alice', uid: '7', groups: ['team'], extra: { b: ['2'], a: ['1'] } },
    impersonated: undefined,
    requestObject: { metadata: { name: 'x', uid: 'u' } },
    responseObject: { kind: 'ConfigMap' },
    responseStatus: { metadata: {}, code: 201 },
    ...more,
  };
}

describe('events', () => {
  test('to the letter', () => {
    const lines: string[] = [];
    const sink = logSink({ write: (text) => void lines.push(text), close: () => undefined }, 'json');
    void sink.write([eventOf(audited(), 'ResponseComplete', 1_700_000_000_200)]);
    expect(lines.join('')).toBe(
      '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"id-1","stage":"ResponseComplete",' +
        '"requestURI":"/api/v1/namespaces/a/configmaps?fieldManager=kubectl","verb":"create",' +
        '"user":{"username":"alice","uid":"7","groups":["team"],"extra":{"a":["1"],"b":["2"]}},"sourceIPs":["10.0.0.1"],' +
        '"userAgent":"kubectl/v1.36","objectRef":{"resource":"configmaps","namespace":"a","name":"x","uid":"u","apiVersion":"v1"},' +
        '"responseStatus":{"metadata":{},"code":201},"requestObject":{"metadata":{"name":"x","uid":"u"}},' +
        '"responseObject":{"kind":"ConfigMap"},"requestReceivedTimestamp":"2023-11-14T22:13:20.123456Z",' +
        '"stageTimestamp":"2023-11-14T22:13:20.200000Z","annotations":{"authorization.k8s.io/decision":"allow",' +
        '"authorization.k8s.io/reason":"because"}}\n',
    );
  });

  test.each<[AuditedRequest['level'], boolean, boolean]>([
    ['Metadata', false, false],
    ['Request', true, false],
    ['RequestResponse', true, true],
  ])('%s', (level, sent, answered) => {
    const { object } = eventOf(audited({ level }), 'ResponseComplete', 0);
    expect([object['requestObject'] !== undefined, object['responseObject'] !== undefined]).toEqual([
      sent,
      answered,
    ]);
  });

  test('the legacy form', () => {
    const lines: string[] = [];
    const sink = logSink({ write: (text) => void lines.push(text), close: () => undefined }, 'legacy');
    const { responseStatus: _status, ...early } = audited({
      impersonated: { name: 'bob', uid: '', groups: ['g', 'h'], extra: {} },
    });
    void sink.write([eventOf({ ...early, responseStatus: undefined }, 'RequestReceived', 0)]);
    expect(lines.join('')).toBe(
      '2023-11-14T22:13:20.123456Z AUDIT: id="id-1" stage="RequestReceived" ip="10.0.0.1" method="create" user="alice" groups="team" as="bob" asgroups="g","h" user-agent="kubectl/v1.36" namespace="a" uri="/api/v1/namespaces/a/configmaps?fieldManager=kubectl" response="<deferred>"\n',
    );
  });

  test('without managed fields, in lists and tables too', () => {
    const object = { metadata: { name: 'a', managedFields: [1] } };
    expect(withoutManagedFields({ items: [object], rows: [{ cells: [], object }], ...object })).toEqual({
      metadata: { name: 'a' },
      items: [{ metadata: { name: 'a' } }],
      rows: [{ cells: [], object: { metadata: { name: 'a' } } }],
    });
  });

  test('cut', () => {
    const { object } = truncated(eventOf(audited(), 'ResponseComplete', 0));
    expect(object['requestObject']).toBeUndefined();
    expect(object['responseObject']).toBeUndefined();
    expect(object['annotations']).toMatchObject({ 'audit.k8s.io/truncated': 'true' });
  });
});

/** Timers that are due when somebody says so. */
class Timers implements Pick<Clock, 'monotonicMs' | 'setTimer'> {
  time = 0;
  waiting: { readonly atMs: number; readonly task: () => void }[] = [];

  monotonicMs(): number {
    return this.time;
  }

  setTimer(delayMs: number, task: () => void): { cancel: () => void } {
    const timer = { atMs: this.time + delayMs, task };
    this.waiting.push(timer);
    return { cancel: () => void (this.waiting = this.waiting.filter((each) => each !== timer)) };
  }

  async pass(ms: number): Promise<void> {
    this.time += ms;
    for (const timer of this.waiting.filter(({ atMs }) => atMs <= this.time)) {
      this.waiting = this.waiting.filter((each) => each !== timer);
      timer.task();
    }
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  }
}

const event = (id: string, size = 0): AuditEvent =>
  eventOf(audited({ auditId: id, requestObject: { filling: 'x'.repeat(size) } }), 'ResponseComplete', 0);
const idsOf = (events: readonly AuditEvent[]): unknown[] => events.map(({ object }) => object['auditID']);

function backend(more: Partial<BackendOptions> = {}, fail: () => boolean = () => false) {
  const batches: unknown[][] = [];
  const failures: [string, number][] = [];
  const clock = new Timers();
  const sink: EventSink = {
    write(events) {
      if (fail()) throw new Error('the disk is full');
      batches.push(idsOf(events));
    },
  };
  const made = makeBackend(sink, {
    name: 'log',
    mode: 'batch',
    batch: { bufferMax: 5, sizeMax: 3, waitMs: 1_000, throttle: undefined },
    truncate: undefined,
    clock,
    logger: silentLogger,
    observer: { failed: (plugin, count) => void failures.push([plugin, count]) },
    ...more,
  });
  return { backend: made, batches, failures, clock };
}

describe('backends', () => {
  test('a batch is written when it is full, when its time is up, and at the end', async () => {
    const rig = backend();
    for (const id of ['1', '2', '3', '4']) expect(await rig.backend.process(event(id))).toBe(true);
    await rig.clock.pass(0);
    expect(rig.batches).toEqual([['1', '2', '3']]);
    await rig.clock.pass(1_000);
    expect(rig.batches).toEqual([['1', '2', '3'], ['4']]);
    void rig.backend.process(event('5'));
    await rig.backend.stop();
    expect(rig.batches.at(-1)).toEqual(['5']);
  });

  test('what the queue does not hold is lost and counted; the request goes on', async () => {
    const rig = backend({ batch: { bufferMax: 2, sizeMax: 10, waitMs: 1_000, throttle: undefined } });
    for (const id of ['1', '2', '3', '4']) expect(await rig.backend.process(event(id))).toBe(true);
    expect(rig.failures).toEqual([
      ['log', 1],
      ['log', 1],
    ]);
    await rig.clock.pass(1_000);
    expect(rig.batches).toEqual([['1', '2']]);
  });

  test('batches by and by', async () => {
    const rig = backend({
      batch: { bufferMax: 100, sizeMax: 1, waitMs: 1_000, throttle: { perSecond: 2, burst: 2 } },
    });
    for (const id of ['1', '2', '3', '4']) void rig.backend.process(event(id));
    await rig.clock.pass(0);
    expect(rig.batches.flat()).toEqual(['1', '2']);
    await rig.clock.pass(500);
    expect(rig.batches.flat()).toEqual(['1', '2', '3']);
    await rig.clock.pass(500);
    expect(rig.batches.flat()).toEqual(['1', '2', '3', '4']);
  });

  test.each<[BackendOptions['mode'], boolean]>([
    ['blocking', true],
    ['blocking-strict', false],
  ])('%s: an event that cannot be written', async (mode, taken) => {
    const rig = backend({ mode }, () => true);
    expect(await rig.backend.process(event('1'))).toBe(taken);
    expect(rig.failures).toEqual([['log', 1]]);
    const both = union([rig.backend, backend({ mode: 'blocking' }).backend]);
    expect(await both.process(event('2'))).toBe(taken);
  });

  test('long events are cut, what is too long even so is dropped, batches are parted', async () => {
    const batches: AuditEvent[][] = [];
    const failures: string[] = [];
    const size = Buffer.byteLength(JSON.stringify(event('1').object));
    const made = makeBackend(
      { write: (events) => void batches.push([...events]) },
      {
        name: 'log',
        mode: 'batch',
        batch: { bufferMax: 10, sizeMax: 3, waitMs: 0, throttle: undefined },
        truncate: { eventBytesMax: size + 50, batchBytesMax: 2 * size + 60 },
        clock: new Timers(),
        logger: silentLogger,
        observer: { failed: (plugin) => void failures.push(plugin) },
      },
    );
    void made.process(event('1'));
    void made.process(event('2', 10_000));
    void made.process(event('3'));
    await made.stop();
    expect(batches.map(idsOf)).toEqual([['1', '2'], ['3']]);
    expect(batches[0][1].object['annotations']).toMatchObject({ 'audit.k8s.io/truncated': 'true' });
    expect(failures).toEqual([]);
  });
});

describe('a webhook', () => {
  const send = async (codes: number[]): Promise<{ bodies: string[]; pauses: number[]; error: string }> => {
    const bodies: string[] = [];
    const pauses: number[] = [];
    const sink = webhookSink({
      post: (body) => {
        bodies.push(body.toString('utf8'));
        const code = codes.shift() ?? 200;
        return code === 0 ? Promise.reject(new Error('connection refused')) : Promise.resolve(code);
      },
      pause: (ms) => {
        pauses.push(ms);
        return Promise.resolve();
      },
      firstPauseMs: 100,
    });
    let error = '';
    try {
      await sink.write([event('1')]);
    } catch (caught) {
      error = caught instanceof Error ? caught.message : '';
    }
    return { bodies, pauses, error };
  };

  test('gets a list, again after a failure, and is let be when it refuses', async () => {
    const { bodies, pauses } = await send([503, 0, 200]);
    expect(bodies.length).toBe(3);
    expect(pauses).toEqual([100, 150]);
    expect(bodies[0]).toMatch(
      /^\{"kind":"EventList","apiVersion":"audit.k8s.io\/v1","metadata":\{\},"items":\[\{"level":/,
    );
    expect(await send([400])).toMatchObject({ error: 'the audit webhook answered 400', pauses: [] });
    const given = await send([500, 500, 500, 500, 500]);
    expect([given.error, given.bodies.length]).toEqual(['the audit webhook answered 500', 5]);
  });
});

describe('a file that is put aside', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'audit-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('when it is long enough, under the time, so many, compressed', async () => {
    let nowMs = Date.UTC(2026, 0, 2, 15, 4, 5);
    const problems: unknown[] = [];
    const file = new RotatingFile(join(folder, 'audit.log'), {
      megabytesMax: 1,
      daysMax: 0,
      backupsMax: 2,
      compress: true,
      nowMs: () => nowMs,
      warn: (_message, error) => void problems.push(error),
    });
    const line = `${'x'.repeat(700 * 1024)}\n`;
    for (let index = 0; index < 4; index += 1) {
      file.write(line);
      nowMs += 1_000;
    }
    await file.settled();
    file.close();
    expect(problems).toEqual([]);
    expect(readdirSync(folder).toSorted()).toEqual([
      'audit-2026-01-02T15-04-07.000.log.gz',
      'audit-2026-01-02T15-04-08.000.log.gz',
      'audit.log',
    ]);
    expect(readFileSync(join(folder, 'audit.log'), 'utf8')).toBe(line);
  });
});
