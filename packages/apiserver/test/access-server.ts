/**
 * A server on memory storage that knows its users and asks what they may: tokens of a file and of service accounts,
 * RBAC from watches, the default roles. What access is tested against, in process and with kubectl.
 */

import { Prng, silentLogger, systemClock } from '@keelson/base';

import { until } from '../../base/test/until.ts';
import type { Aggregation } from '../src/aggregation/aggregation.ts';
import type { Filter } from '../src/api/exchange.ts';
import type { KubeObject } from '../src/api/meta.ts';
import type { JsonObject } from '../src/api/json.ts';
import { authenticate } from '../src/authn/authenticate.ts';
import { firstToken } from '../src/authn/authenticator.ts';
import { BearerToken } from '../src/authn/bearer-token.ts';
import { ServiceAccountTokens } from '../src/authn/service-account.ts';
import { TokenFile } from '../src/authn/token-file.ts';
import { TokenIssuer } from '../src/authn/token-request.ts';
import { authorize } from '../src/authz/authorize.ts';
import { impersonate } from '../src/authz/impersonate.ts';
import { Access } from '../src/bootstrap/access.ts';
import { withAccessResources } from '../src/bootstrap/access-resources.ts';
import { Bootstrap } from '../src/bootstrap/bootstrap.ts';
import { TokenObjects } from '../src/bootstrap/token-objects.ts';
import { readJson } from '../src/codec/json-reader.ts';
import { newKeys } from '../src/pki/authority.ts';
import { builtInResources } from '../src/registry/kinds/built-in.ts';
import { ApiServer } from '../src/server.ts';
import { TypeTable } from '../src/schema/type-table.ts';
import { MemoryBackend } from '../src/storage/memory-storage.ts';
import type { Answer } from './small-server.ts';

/** Token, name, uid and groups; the token is the name with `-token` behind it. */
const USERS = [
  'admin-token,admin,1,"system:masters"',
  'editor-token,editor,2,"team"',
  'viewer-token,viewer,3',
  'nobody-token,nobody,4',
  'system:node:n1-token,system:node:n1,5,"system:nodes"',
].join('\n');

const ISSUER = 'https://kubernetes.default.svc';

export interface AccessServer {
  readonly server: ApiServer;
  readonly access: Access;
  readonly bootstrap: Bootstrap;
  /** Sends JSON as a user of the file, or with a token of one's own; gets JSON. */
  ask(
    user: string,
    method: string,
    target: string,
    body?: object,
    headers?: Record<string, string>,
  ): Promise<Answer>;
  /** Resolves when the roles of the start are there and known. */
  ready(): Promise<void>;
  stop(): Promise<void>;
}

export interface AccessServerParts {
  /** Other servers' APIs; the server knows none without. */
  readonly aggregation?: Aggregation;
  readonly audit?: Filter;
}

export function accessServer({ aggregation, audit }: AccessServerParts = {}): AccessServer {
  const clock = systemClock;
  const logger = silentLogger;
  const backend = new MemoryBackend({ clock });
  const prng = new Prng(11);
  let serial = 0;
  const uuid = (): string => `00000000-0000-4000-8000-${String((serial += 1)).padStart(12, '0')}`;
  const lookups = new TokenObjects();
  const { privateKey } = newKeys();
  const nowMs = (): number => clock.nowMs();
  const issuer = new TokenIssuer({
    issuer: ISSUER,
    privateKey,
    audiences: [ISSUER],
    maxSeconds: 86_400,
    lookups,
    nowMs,
    uuid,
  });
  const tokens = firstToken([
    new TokenFile(USERS, 'users.csv'),
    new ServiceAccountTokens({
      issuers: [ISSUER],
      keys: [issuer.verificationKey],
      audiences: [ISSUER],
      lookups,
      nowMs,
    }),
  ]);
  const access = new Access({ modes: ['Node', 'RBAC'], clock, logger });
  const bootstrap = new Bootstrap({
    clock,
    logger,
    serviceRanges: ['10.0.0.0/24'],
    advertised: () => ({ address: '10.1.2.3', port: 6443 }),
    hostname: 'test',
    instance: 'test',
    authentication: {},
    ...(aggregation === undefined
      ? {}
      : {
          apiServices: {
            settled: () => server.customResources?.settled ?? true,
            changes: () => aggregation.changes,
          },
        }),
  });
  const server = new ApiServer({
    backend,
    clock,
    logger,
    uuid,
    random: (limit) => prng.below(limit),
    ...(aggregation === undefined ? {} : { aggregation, customResources: true }),
    ...(audit === undefined ? {} : { audit }),
    resources: withAccessResources(builtInResources(new TypeTable()), {
      access,
      issuer,
      tokens,
      audiences: [ISSUER],
    }),
    authenticate: authenticate(new BearerToken(tokens), { anonymous: { enabled: true } }),
    impersonate: impersonate(access.authorizer),
    authorize: authorize(access.authorizer),
    mayCreate: (request) => access.mayCreate(request),
    healthChecks: [...access.checks, ...bootstrap.checks],
  });
  lookups.start(server.scheme);
  access.start(server.scheme);
  if (aggregation !== undefined) {
    server.customResources?.start();
    aggregation.start(server.scheme);
  }
  bootstrap.start(server.scheme, backend);
  const ask: AccessServer['ask'] = async (user, method, target, body, headers = {}) => {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const answer = await server.call(target, {
      method,
      headers: {
        'user-agent': 'test/1',
        ...(user === '' ? {} : { authorization: `Bearer ${user.includes('.') ? user : `${user}-token`}` }),
        ...(bytes === undefined ? {} : { 'content-type': type, 'content-length': String(bytes.length) }),
        ...headers,
      },
      ...(bytes === undefined ? {} : { body: bytes }),
    });
    const text = (await answer.bytes()).toString('utf8');
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- tests look at what they asked for
    const json = (text.startsWith('{') ? readJson(text) : {}) as KubeObject & JsonObject;
    return { code: answer.code, json, text, warnings: answer.headers.get('warning') ?? [] };
  };
  return {
    server,
    access,
    bootstrap,
    ask,
    async ready() {
      await bootstrap.whenDone();
      await until(async () => (await ask('admin', 'GET', '/readyz')).code === 200);
      // What edit and view gather is gathered after that, and admin gathers both.
      await until(async () => {
        const { text } = await ask('admin', 'GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles/admin');
        return text.includes('pods/log') && text.includes('pods/exec');
      });
    },
    async stop() {
      await bootstrap.stop();
      await access.stop();
      await aggregation?.stop();
      await server.stop(1_000);
    },
  };
}
