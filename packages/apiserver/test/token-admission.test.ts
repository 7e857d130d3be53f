/** What admission is shown of a request for a token: mutating plugins what was sent, validating ones what will be signed. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import type { AdmissionAttributes, AdmissionPlugin } from '../src/admission/admission.ts';
import type { TokenLookups } from '../src/authn/service-account.ts';
import { TokenIssuer } from '../src/authn/token-request.ts';
import { newKeys } from '../src/pki/authority.ts';
import { serviceAccountToken } from '../src/registry/core/serviceaccount-token.ts';
import { builtInResources } from '../src/registry/kinds/built-in.ts';
import { TypeTable } from '../src/schema/type-table.ts';
import { smallServer, type SmallServer } from './small-server.ts';

const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts';
const NOW = Date.parse('2030-01-02T00:00:00Z');

const seen: Record<'admit' | 'validate', unknown[]> = { admit: [], validate: [] };
const note = (phase: 'admit' | 'validate', { subresource, object }: AdmissionAttributes): void => {
  if (subresource === 'token') seen[phase].push(object);
};
const plugin: AdmissionPlugin = {
  name: 'Noting',
  handles: () => true,
  admit: (attributes) => {
    note('admit', attributes);
    return Promise.resolve(attributes.object);
  },
  validate: (attributes) => {
    note('validate', attributes);
    return Promise.resolve();
  },
};

const absent = (): Promise<undefined> => Promise.resolve(undefined);
const lookups: TokenLookups = { serviceAccount: absent, pod: absent, secret: absent, node: absent };
const issuer = new TokenIssuer({
  issuer: 'https://issuer.example',
  privateKey: newKeys().privateKey,
  audiences: ['api'],
  lookups,
  nowMs: () => NOW,
  uuid: () => 'id',
});

let small: SmallServer;

beforeAll(async () => {
  small = smallServer({
    plugins: [plugin],
    resources: builtInResources(new TypeTable()).map((definition) =>
      definition.resource === 'serviceaccounts'
        ? { ...definition, subresources: [serviceAccountToken(issuer)] }
        : definition,
    ),
  });
  await small.ask('POST', '/api/v1/namespaces', { metadata: { name: 'default' } });
  await small.ask('POST', ACCOUNTS, { metadata: { name: 'robot' } });
});

afterAll(async () => {
  await small.stop();
});

test('whose, for whom and how long is known before it is judged; an answer that is sent is not', async () => {
  const { json: account } = await small.ask('GET', `${ACCOUNTS}/robot`);
  const { code, json } = await small.ask('POST', `${ACCOUNTS}/robot/token`, {
    spec: {},
    status: { token: 'mine', expirationTimestamp: '2040-01-01T00:00:00Z' },
  });
  expect(code).toBe(201);
  expect(seen.admit).toHaveLength(1);
  expect(seen.validate).toEqual([
    expect.objectContaining({
      metadata: expect.objectContaining({
        name: 'robot',
        namespace: 'default',
        uid: account.metadata.uid,
        creationTimestamp: '2030-01-02T00:00:00Z',
      }),
      spec: expect.objectContaining({ audiences: ['api'], expirationSeconds: 3600 }),
      status: { token: '', expirationTimestamp: null },
    }),
  ]);
  expect(json['status']).toEqual({
    token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
    expirationTimestamp: '2030-01-02T01:00:00Z',
  });
});

test.each<[string, string, object, number]>([
  ['an account that is not there', 'nobody', { spec: {} }, 404],
  ['a duration that is too short', 'robot', { spec: { expirationSeconds: 60 } }, 422],
  ['metadata of another account', 'robot', { metadata: { name: 'other' }, spec: {} }, 422],
  ['an account that was made anew', 'robot', { metadata: { uid: 'old' }, spec: {} }, 409],
])('%s is refused before it is judged', async (_name, account, body, code) => {
  const before = seen.validate.length;
  expect((await small.ask('POST', `${ACCOUNTS}/${account}/token`, body)).code).toBe(code);
  expect(seen.validate).toHaveLength(before);
});
