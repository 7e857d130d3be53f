/** Requests for certificates: approved, signed, refused, and cleared away. */

import { X509Certificate } from 'node:crypto';

import { afterEach, describe, expect, test } from '@jest/globals';
import type { CallAnswer, CallOptions, KubeObject } from '@keelson/kube-client';

import {
  certificateRequest,
  signersOf,
  type RequestOptions,
} from '../../apiserver/test/certificate-request.ts';
import { certificateOf, conditionsOf } from '../src/certificates/certificate-requests.ts';
import { dueAt } from '../src/certificates/request-cleaning.ts';
import { lifetimeMs, YEAR_MS } from '../src/certificates/request-signing.ts';
import { answerOf, cluster, shiftedClock, until, type Cluster } from './cluster.ts';

const PATH = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const HOUR_MS = 3_600_000;
const { authority, signers } = signersOf('kubelet-client', 'kubelet-serving', 'kube-apiserver-client');

let running: Cluster | undefined;
const clock = shiftedClock();

afterEach(async () => {
  await running?.stop();
  running = undefined;
  clock.shiftMs = 0;
  allowed = [];
  asked.length = 0;
});

/** Whether a review says yes, by the subresource that it is about. */
let allowed: readonly string[] = [];
const asked: string[] = [];

/** A server without authorization has no reviews: these answer for it. */
function review(target: string, { body }: CallOptions): Promise<CallAnswer> | undefined {
  if (!target.includes('/subjectaccessreviews')) return undefined;
  const object = JSON.parse(String(body)) as { spec: { resourceAttributes: { subresource: string } } };
  const { subresource } = object.spec.resourceAttributes;
  asked.push(subresource);
  const answer = { ...object, metadata: {}, status: { allowed: allowed.includes(subresource) } };
  return Promise.resolve(answerOf(201, answer));
}

async function begin(...controllers: string[]): Promise<Cluster> {
  running = await cluster({ controllers, clock, certificates: signers, instead: review });
  return running;
}

interface Asked extends RequestOptions {
  readonly name?: string;
  readonly signerName?: string;
  readonly usages?: readonly string[];
  readonly expirationSeconds?: number;
}

const CLIENT = 'kubernetes.io/kube-apiserver-client';
const KUBELET = 'kubernetes.io/kube-apiserver-client-kubelet';
const SERVING = 'kubernetes.io/kubelet-serving';
const NODE = { commonName: 'system:node:n1', organizations: ['system:nodes'] };
const USAGES = ['digital signature', 'client auth'];

async function ask(on: Cluster, asked: Asked): Promise<void> {
  const { name = 'r', signerName = CLIENT, usages = USAGES, expirationSeconds, ...request } = asked;
  await on.create(PATH, {
    metadata: { name },
    spec: {
      request: certificateRequest(request).encoded,
      signerName,
      usages,
      ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
    },
  });
}

async function settle(on: Cluster, type: 'Approved' | 'Denied', name = 'r'): Promise<void> {
  const { code, text } = await on.small.ask('PATCH', `${PATH}/${name}/approval`, {
    status: { conditions: [{ type, status: 'True', reason: 'Test', message: 'by hand' }] },
  });
  if (code !== 200) throw new Error(text);
}

async function issued(on: Cluster, name = 'r'): Promise<X509Certificate> {
  await until(async () => certificateOf(await got(on, name)) !== '', 'a certificate is issued');
  return new X509Certificate(Buffer.from(certificateOf(await got(on, name)), 'base64'));
}

async function got(on: Cluster, name = 'r'): Promise<KubeObject> {
  const object = await on.get(`${PATH}/${name}`);
  if (object === undefined) throw new Error('the request is gone');
  return object;
}

describe('signing', () => {
  test('an approved request gets a certificate, as short as it asks for', async () => {
    const on = await begin('csrsigning');
    await ask(on, { commonName: 'jane', organizations: ['team'], expirationSeconds: 3_600 });
    await on.calm();
    expect(certificateOf(await got(on))).toBe('');
    await settle(on, 'Approved');
    const made = await issued(on);
    expect(made.subject).toBe('O=team\nCN=jane');
    expect(made.verify(new X509Certificate(authority).publicKey)).toBe(true);
    const lifeMs = Date.parse(made.validTo) - Date.now();
    expect(lifeMs).toBeGreaterThan(HOUR_MS - 120_000);
    expect(lifeMs).toBeLessThanOrEqual(HOUR_MS);
  });

  test.each<[string, Asked, string]>([
    [
      'a client that would be a server',
      { usages: ['server auth', 'client auth'] },
      'invalid usage for client certificate: server auth',
    ],
    [
      'a client that is none',
      { usages: ['digital signature'] },
      'missing required usage for client certificate: client auth',
    ],
    [
      'a node in no group',
      { signerName: KUBELET, commonName: 'system:node:n' },
      'subject organization is not system:nodes',
    ],
    [
      'a node by another name',
      { signerName: KUBELET, ...NODE, commonName: 'n' },
      'subject common name does not begin with system:node:',
    ],
    [
      'a kubelet with names',
      { signerName: KUBELET, ...NODE, dnsNames: ['n'] },
      'DNS subjectAltNames are not allowed',
    ],
    [
      'a kubelet with an address',
      { signerName: KUBELET, ...NODE, addresses: ['10.0.0.1'] },
      'IP subjectAltNames are not allowed',
    ],
    [
      'a kubelet with an address for mail',
      { signerName: KUBELET, ...NODE, emailAddresses: ['a@b'] },
      'Email subjectAltNames are not allowed',
    ],
    [
      'a kubelet with a URI',
      { signerName: KUBELET, ...NODE, uris: ['a:b'] },
      'URI subjectAltNames are not allowed',
    ],
    [
      'a kubelet for other uses',
      { signerName: KUBELET, ...NODE, usages: ['client auth'] },
      'usages did not match [client auth digital signature key encipherment]',
    ],
    [
      'a server without names',
      { signerName: SERVING, ...NODE, usages: ['server auth', 'digital signature'] },
      'DNS or IP subjectAltName is required',
    ],
    [
      'a server for other uses',
      { signerName: SERVING, ...NODE, dnsNames: ['n'] },
      'usages did not match [digital signature key encipherment server auth]',
    ],
  ])('%s is marked Failed', async (_name, asked, message) => {
    const on = await begin('csrsigning');
    await ask(on, { commonName: 'jane', ...asked });
    await settle(on, 'Approved');
    await until(async () => conditionsOf(await got(on)).length === 2, 'it has failed');
    expect(conditionsOf(await got(on))[1]).toMatchObject({
      type: 'Failed',
      status: 'True',
      reason: 'SignerValidationFailure',
      message,
    });
    expect(certificateOf(await got(on))).toBe('');
  });

  test('a kubelet gets certificates for both of its roles', async () => {
    const on = await begin('csrsigning');
    await ask(on, { name: 'c', signerName: KUBELET, ...NODE, usages: [...USAGES, 'key encipherment'] });
    await ask(on, {
      name: 's',
      signerName: SERVING,
      ...NODE,
      addresses: ['10.0.0.1'],
      usages: ['server auth', 'digital signature'],
    });
    for (const name of ['c', 's']) await settle(on, 'Approved', name);
    expect((await issued(on, 'c')).subject).toBe('O=system:nodes\nCN=system:node:n1');
    expect((await issued(on, 's')).subjectAltName).toBe('IP Address:10.0.0.1');
  });

  test('of another signer, or of one whose key is not here, a request waits', async () => {
    running = await cluster({
      controllers: ['csrsigning'],
      certificates: signersOf('kube-apiserver-client').signers,
    });
    const on = running;
    await ask(on, { name: 'theirs', signerName: 'example.com/theirs' });
    await ask(on, {
      name: 'serving',
      signerName: SERVING,
      ...NODE,
      dnsNames: ['n'],
      usages: ['server auth', 'digital signature'],
    });
    await ask(on, { name: 'ours', commonName: 'u' });
    for (const name of ['theirs', 'serving', 'ours']) await settle(on, 'Approved', name);
    await issued(on, 'ours');
    await on.calm();
    for (const name of ['theirs', 'serving']) {
      expect([certificateOf(await got(on, name)), conditionsOf(await got(on, name)).length]).toEqual(['', 1]);
    }
  });

  test.each<[number | undefined, number]>([
    [undefined, YEAR_MS],
    [600, 600_000],
    [60, 600_000],
    [400 * 24 * 3_600, YEAR_MS],
  ])('who asks for %s seconds gets %s ms', (seconds, ms) => {
    expect(lifetimeMs(seconds, YEAR_MS)).toBe(ms);
  });
});

describe('approval', () => {
  const approval = {
    type: 'Approved',
    status: 'True',
    reason: 'AutoApproved',
    message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
  };

  test("a kubelet's request is approved where it may have it; others wait for somebody", async () => {
    const on = await begin('csrapproving');
    allowed = ['nodeclient'];
    await ask(on, { name: 'kubelet', signerName: KUBELET, ...NODE });
    await ask(on, { name: 'jane', commonName: 'jane' });
    await ask(on, { name: 'bad', signerName: KUBELET, commonName: 'n1' });
    await until(async () => conditionsOf(await got(on, 'kubelet')).length === 1, 'it is approved');
    expect(conditionsOf(await got(on, 'kubelet'))[0]).toMatchObject(approval);
    await on.calm();
    for (const name of ['jane', 'bad']) expect(conditionsOf(await got(on, name))).toEqual([]);
    // Nobody but the node itself may ask for its own.
    expect(new Set(asked)).toEqual(new Set(['nodeclient']));
  });

  test('who may not have it may later', async () => {
    const on = await begin('csrapproving');
    await ask(on, { signerName: KUBELET, ...NODE });
    await until(() => asked.length >= 2, 'it was asked for more than once');
    expect(conditionsOf(await got(on))).toEqual([]);
    allowed = ['nodeclient'];
    await until(async () => conditionsOf(await got(on)).length === 1, 'it is approved');
  });
});

describe('cleaning', () => {
  const at = (time: string): number => Date.parse(time);
  const made = '2030-01-01T00:00:00Z';
  const later = '2030-01-02T00:00:00Z';
  const request = (conditions: readonly object[], certificate = ''): KubeObject => ({
    metadata: { creationTimestamp: made },
    status: { conditions, certificate: Buffer.from(certificate).toString('base64') },
  });
  test.each<[string, KubeObject, number | undefined]>([
    ['one nobody looked at, after a day', request([]), at(made) + 24 * HOUR_MS],
    [
      'a denied one, after an hour',
      request([{ type: 'Denied', lastUpdateTime: later }]),
      at(later) + HOUR_MS,
    ],
    [
      'a failed one, after an hour',
      request([{ type: 'Failed', lastUpdateTime: later }]),
      at(later) + HOUR_MS,
    ],
    [
      'an approved one without a certificate, after a day',
      request([{ type: 'Approved', lastUpdateTime: later }]),
      at(later) + 24 * HOUR_MS,
    ],
    [
      'an issued one, after an hour',
      request([{ type: 'Approved', lastUpdateTime: later }], 'far'),
      at(later) + HOUR_MS,
    ],
    [
      'one whose certificate has ended, at once',
      request([{ type: 'Approved', lastUpdateTime: later }], 'near'),
      at(later) + 1,
    ],
    ['one that says no time, never', request([{ type: 'Denied' }]), undefined],
  ])('%s', (_name, object, expected) => {
    const ends: Readonly<Record<string, number>> = { far: at(later) + 99 * HOUR_MS, near: at(later) + 1 };
    expect(dueAt(object, (certificate) => ends[certificate])).toBe(expected);
  });

  test('requests go when their time has come', async () => {
    const on = await begin('csrcleaner');
    for (const name of ['denied', 'waits']) await ask(on, { name, commonName: 'u' });
    await settle(on, 'Denied', 'denied');
    clock.shiftMs = HOUR_MS + 60_000;
    await on.small.ask('PATCH', `${PATH}/denied`, { metadata: { labels: { looked: 'at' } } });
    await until(async () => String(await on.names(PATH)) === 'waits', 'the denied one is gone');
    clock.shiftMs = 25 * HOUR_MS;
    await on.small.ask('PATCH', `${PATH}/waits`, { metadata: { labels: { looked: 'at' } } });
    await until(async () => (await on.names(PATH)).length === 0, 'the other is gone');
  });
});
