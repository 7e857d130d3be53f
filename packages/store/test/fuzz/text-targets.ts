/**
 * Fuzz targets of what operators and clients write as text: the gateway's JSON, configuration files, flags, URLs, rules
 * below prefixes, tokens, trace parents, what DNS and a registry say of a cluster. A second reader says the same where
 * there is one (JSON.parse, the message's own decoder, formatting and parsing again); otherwise the answer is a value
 * that keeps its type's laws, or a refusal of the kind that is promised.
 */
import { createHmac } from 'node:crypto';
import { type Clock, silentLogger } from '@keelson/base';
import { loadDescriptors } from '@keelson/proto';
import { Metadata } from '@keelson/rpc';
import { Mutator } from '../../../base/test/fuzz/mutator.ts';
import {
  promise,
  PromiseBroken,
  promiseSame,
  type Execution,
  type FuzzTarget,
} from '../../../base/test/fuzz/target.ts';
import { messageOf, messages } from '../../../../proto/test/codecs.ts';
import { WireMaker } from '../../../../proto/test/fuzz/wire-maker.ts';
import { indexOfToken } from '../../src/auth/simple-tokens.ts';
import { parseTokenOptions } from '../../src/auth/token-options.ts';
import { parseServerConfig } from '../../src/config/config.ts';
import { FLAGS } from '../../src/config/flag-table.ts';
import { formatGoDuration, parseGoDecimal, parseGoDuration, parseGoInt, parseGoUint } from '../../src/config/go-values.ts'; // prettier-ignore
import { formatInitialCluster, parseInitialCluster } from '../../src/config/initial-cluster.ts';
import { parsePrefixLimits, parsePrefixLimitsFile } from '../../src/config/prefix-rules.ts';
import { parseUniqueUrls, parseUrl, urlTexts } from '../../src/config/urls.ts';
import { joinByRegistry } from '../../src/discovery/registry.ts';
import { srvCluster } from '../../src/discovery/srv-cluster.ts';
import { FatalError } from '../../src/errors.ts';
import { JsonError, readJson, type JsonValue } from '../../src/http/json-reader.ts';
import { MappingError, ProtoJson } from '../../src/http/proto-json.ts';
import { decodeMemberChange, encodeMemberChange } from '../../src/membership/member.ts';
import { decodeV2Store, encodeV2Store } from '../../src/membership/v2-store.ts';
import { openJwt } from '../../src/secrets/jwt.ts';
import { remoteParent } from '@keelson/rpc';

const bytesOf = (texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text));

const JSON_WORDS: readonly string[] = [
  '{"__proto__":{"polluted":1}}', '"__proto__":', '"constructor":{"prototype":{"polluted":1}}', '1e400', '-0', '9223372036854775808',
  '"\\ud800"', '\ufeff', '[[[[', '{"a":', '}}', '"key":"YQ=="', '"key":"YQ","key":"Yg"', '"requestPut":{},"requestRange":{}', 'null', '1.5e3',
  '"\\u0000"', '\\', '"success":[{"requestTxn":{', ',', ':', '0x1', 'tru', '18446744073709551616', '"NONE"', '"sort_order":"DESCEND"',
]; // prettier-ignore

const JSON_CORPUS: readonly string[] = [
  '{"key":"Zm9v","value":"YmFy","lease":"7587848390000000001","prev_kv":true}',
  '{"key":"Zm9v","range_end":"Zm9w","limit":10,"sort_order":"ASCEND","sort_target":"KEY","keys_only":true}',
  '{"compare":[{"result":"EQUAL","target":"VALUE","key":"YQ==","value":"Yg=="}],"success":[{"requestPut":{"key":"YQ==","value":"MQ=="}}],"failure":[{"request_range":{"key":"YQ=="}}]}',
  '{"create_request":{"key":"YQ==","start_revision":"-1","filters":["NOPUT",1],"watch_id":5}}',
  '{"name":"root","password":"\\u00e4\\n","options":{"no_password":false}}',
  '{"ID":1,"TTL":60}',
  '[1,2,{"a":[true,false,null,"x\\ty"]},-1.5e-3]',
];

/** As JSON.parse would say it; undefined for what cannot be compared (a name that comes twice, a number beyond a double). */
function plain(value: JsonValue): unknown {
  switch (value.kind) {
    case 'null':
      return null;
    case 'boolean':
    case 'string':
      return value.value;
    case 'number':
      return Number(value.text);
    case 'array':
      return value.items.map(plain);
    case 'object':
      return Object.fromEntries(value.members.map(({ name, value: member }) => [name, plain(member)]));
  }
}

function openJson(): Execution {
  const mutator = new Mutator(bytesOf(JSON_CORPUS), bytesOf(JSON_WORDS), 4096);
  return (prng) => {
    const text = mutator.next(prng).toString('utf8');
    let ours: JsonValue | undefined;
    try {
      ours = readJson(text);
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
    }
    let theirs: { readonly value: unknown } | undefined;
    try {
      theirs = { value: JSON.parse(text) };
    } catch {
      theirs = undefined;
    }
    // Ours stops behind the first value, so it takes more; what JSON.parse takes, it takes as well and alike.
    if (theirs === undefined) return ours === undefined ? 'refused' : 'taken to the end of its first value';
    promise(ours !== undefined, () => `JSON.parse takes what we refuse: ${text}`);
    promiseSame('a JSON value', JSON.stringify(plain(ours!)), JSON.stringify(theirs.value));
    return 'accepted';
  };
}

/** JSON to bytes and back: what the gateway hands on is what the message's own decoder reads, and is told as it came. */
async function openGateway(): Promise<Execution> {
  const mapping = new ProtoJson(await loadDescriptors());
  const names = [...messages.keys()].filter((name) => /^etcdserverpb\..*Request$/.test(name));
  const maker = new WireMaker(0);
  const seeds = JSON_CORPUS.slice(0, 6);
  const mutator = new Mutator(bytesOf(seeds), bytesOf(JSON_WORDS), 4096);
  return (prng) => {
    const name = prng.pick(names);
    const message = messageOf(name);
    let text: string;
    if (prng.chance(1, 2)) {
      // From a message of this kind: canonical bytes, their JSON, and maybe a change of it.
      const canonical = message.encode(message.decode(maker.make(prng, message.model)));
      text = mapping.decode(name, canonical);
      if (prng.chance(1, 2)) {
        const back = mapping.encode(name, readJson(text), text);
        promiseSame(
          `${name} ${text}`,
          message.encode(message.decode(back)).toString('hex'),
          canonical.toString('hex'),
        );
        return 'there and back';
      }
      text = mutator.of(prng, Buffer.from(text)).toString('utf8');
    } else text = mutator.next(prng).toString('utf8');
    let bytes: Buffer;
    try {
      bytes = mapping.encode(name, readJson(text), text);
    } catch (error) {
      if (error instanceof JsonError || error instanceof MappingError) return 'refused';
      throw error;
    }
    const read = message.encode(message.decode(bytes));
    const again = mapping.decode(name, read);
    const back = mapping.encode(name, readJson(again), again);
    promiseSame(
      `${name} ${text}`,
      message.encode(message.decode(back)).toString('hex'),
      read.toString('hex'),
    );
    return 'accepted';
  };
}

const YAML_WORDS: readonly string[] = [
  'a: &a [x]\n', '*a', '<<: *a\n', '__proto__:\n  polluted: 1\n', '--- \n', '\t', '!!js/function "x"', '!!binary aGk=', '? ', '|', '>-', '{}', '[]',
  'constructor: {prototype: {polluted: 1}}\n', '\0', '0x10', '1e400', '~', 'yes', "'", '"', '- ', ': ', '#', '%TAG', '\r', '&a', 'name: 5\n',
]; // prettier-ignore

const CONFIG = `name: m1
data-dir: /var/lib/x
listen-client-urls: http://127.0.0.1:2379,http://10.0.0.1:2379
advertise-client-urls: http://10.0.0.1:2379
initial-cluster: m1=http://10.0.0.1:2380
heartbeat-interval: 100
snapshot-count: 10000
quota-backend-bytes: 2147483648
log-outputs: [stderr]
cors: '*'
auto-compaction-mode: periodic
client-transport-security:
  cert-file: /x.pem
  client-cert-auth: true
`;

function openConfigFile(): Execution {
  const corpus = [CONFIG, JSON.stringify({ name: 'm1', 'log-level': 'debug', 'max-txn-ops': 128 }), ''];
  const mutator = new Mutator(bytesOf(corpus), bytesOf(YAML_WORDS), 4096);
  return (prng) =>
    configOutcome(parseServerConfig(['--config-file=/c'], {}, () => mutator.next(prng).toString('utf8')));
}

function configOutcome(result: ReturnType<typeof parseServerConfig>): string {
  if (result.kind !== 'config') {
    if ('message' in result) promise(result.message.length > 0, () => 'a refusal says why');
    return result.kind;
  }
  const { config } = result;
  for (const urls of [config.listenClientUrls, config.listenPeerUrls, config.advertiseClientUrls])
    for (const { text } of urls) promise(parseUrl(text).ok, () => `a URL that is none: ${text}`);
  promise(
    Number.isSafeInteger(config.maxTxnOps) && Number.isSafeInteger(config.maxRequestBytes),
    () => 'counts are numbers',
  );
  return 'config';
}

/** Aliases within aliases, merges, many anchors: refused or read with work in proportion to the text. */
function openYamlBombs(): Execution {
  return (prng) => {
    const levels = prng.between(2, 12);
    const width = prng.between(2, 12);
    const lines = ['a0: &a0 [x]'];
    for (let i = 1; i < levels; i++) {
      const uses = Array.from({ length: width }, () => `*a${i - 1}`);
      lines.push(
        prng.chance(1, 2)
          ? `a${i}: &a${i} [${uses.join(',')}]`
          : `a${i}: &a${i} {k: ${uses[0]}, <<: {z: ${uses.at(-1)}}}`,
      );
    }
    if (prng.chance(1, 8)) lines.push('['.repeat(prng.pick([50, 500])));
    const result = parseServerConfig(['--config-file=/c'], {}, () => lines.join('\n'));
    return configOutcome(result);
  };
}

function openFlags(): Execution {
  const rows = FLAGS.map(({ name, kind }) => ({ name, kind }));
  const values = ['', '0', '-1', '1', '5s', '1h', 'true', 'http://127.0.0.1:2379', 'https://[::1]:1,unix://a', 'm1=http://a:1,m2=http://b:2', 'new', '99999999999999999999', '1e3', 'periodic', 'a,b', '__proto__', 'info', 'X=true', 'host', '\0', '*']; // prettier-ignore
  const mutator = new Mutator(bytesOf(values), [], 64);
  return (prng) => {
    const argv: string[] = [];
    const env: Record<string, string> = {};
    for (let left = 1 + prng.below(4); left > 0; left--) {
      const name = prng.below(16) === 0 ? prng.pick(['__proto__', 'constructor', 'x', '', 'help', 'version', '-']) : prng.pick(rows).name; // prettier-ignore
      const value = mutator.next(prng).toString('latin1');
      const kind = prng.below(4);
      if (kind === 0) argv.push(`--${name}`, value);
      else if (kind === 1) argv.push(`-${name}=${value}`);
      else if (kind === 2) argv.push(`--${name}=${value}`);
      else env[`ETCD_${name.toUpperCase().replaceAll('-', '_')}`] = value;
    }
    return configOutcome(parseServerConfig(argv, env, () => ''));
  };
}

function openUrls(): Execution {
  const corpus = ['http://127.0.0.1:2379', 'https://[::1]:2380', 'unix:///run/e.sock', 'unixs:a%20b', 'http://a:1,https://b:2,http://a:1', 'http://u:p@h:1/', 'm1=http://a:1,m1=http://b:2,m2=https://c:3', 'http://ä:1?q#f']; // prettier-ignore
  const words = ['%', '%zz', '@', '://', '[', ']', ':', '//', '#', '?', ',', '=', ' ', '\0', '%25', '\u007f'];
  const mutator = new Mutator(bytesOf(corpus), bytesOf(words), 512);
  return (prng) => {
    const text = mutator.next(prng).toString('utf8');
    const url = parseUrl(text);
    if (url.ok) {
      const again = parseUrl(url.value.text);
      promise(again.ok, () => `the canonical text of ${text} is refused: ${url.value.text}`);
      if (again.ok)
        promiseSame(
          `the URL ${JSON.stringify(text)}`,
          JSON.stringify(again.value),
          JSON.stringify(url.value),
        );
      promise(url.value.port >= 0 && !Number.isNaN(url.value.port), () => `port ${url.value.port}`);
    }
    const list = parseUniqueUrls(text);
    if (list.ok) {
      const texts = urlTexts(list.value);
      promise(new Set(texts).size === texts.length, () => `a URL twice: ${texts.join(' ')}`);
    }
    const cluster = parseInitialCluster(text);
    if (cluster.ok && [...cluster.value.keys()].every((name) => !name.includes(','))) {
      const formatted = formatInitialCluster(cluster.value);
      const again = parseInitialCluster(formatted);
      if (!formatted.includes(',') || !/[?#%]|unix/.test(formatted))
        promise(
          again.ok && formatInitialCluster(again.value) === formatted,
          () => `the cluster ${formatted}`,
        );
    }
    return url.ok ? 'url' : list.ok ? 'list' : cluster.ok ? 'cluster' : 'refused';
  };
}

function openValues(): Execution {
  const corpus = ['1h2m3.5s', '-1.5ms', '0', '0x1f', '1_000', '07', '18446744073709551615', '1µs', '+5', '.5s', '9223372036854775808ns', 'prefix=/a/,keys=100,bytes=64MiB,writes-per-second=50,burst=100;prefix=/b/,keys=1', 'jwt,sign-method=RS256,priv-key=/a,ttl=5m', 'limits:\n- prefix: /a/\n  keys: 5\n', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'abcdefgh.12']; // prettier-ignore
  const words = [
    '__proto__=1',
    '=',
    ',',
    ';',
    'e9',
    '_',
    '0b',
    'NaN',
    'Infinity',
    '-',
    '.',
    'h',
    '999999999999',
    'KiB',
    'prefix=',
  ];
  const mutator = new Mutator(bytesOf(corpus), bytesOf(words), 256);
  return (prng) => {
    const text = mutator.next(prng).toString('utf8');
    const duration = parseGoDuration(text);
    if (duration.ok) {
      promise(Number.isFinite(duration.value), () => `${text} is ${duration.value}`);
      if (Math.abs(duration.value) < 2 ** 40) {
        const again = parseGoDuration(formatGoDuration(duration.value));
        promise(again.ok && Math.abs(again.value - duration.value) <= 1e-5, () => `${text}: ${formatGoDuration(duration.value)}`); // prettier-ignore
      }
    }
    for (const integer of [
      parseGoInt(text),
      parseGoUint(text, 64),
      parseGoUint(text, 32),
      parseGoDecimal(text),
    ])
      if (integer.ok) promise(Number.isSafeInteger(integer.value), () => `${text} is ${integer.value}`);
    for (const rules of [
      parsePrefixLimits(text),
      ...(prng.below(8) === 0 ? [parsePrefixLimitsFile(text)] : []),
    ])
      if (rules.ok)
        for (const rule of rules.value)
          promise(rule.keysMax >= 0 && rule.bytesMax >= 0 && rule.burst >= 1, () => `a limit of ${text}`);
    const options = parseTokenOptions(text);
    if (options?.kind === 'jwt')
      promise(Number.isFinite(options.jwt.ttlMs), () => 'a token lives for a time');
    const metadata = new Metadata();
    metadata.addReceived('traceparent', text);
    const parent = remoteParent(metadata);
    if (parent !== undefined) promise(/^[0-9a-f]{32}$/.test(parent.traceId) && /^[0-9a-f]{16}$/.test(parent.spanId), () => 'ids of a trace'); // prettier-ignore
    indexOfToken(text);
    return duration.ok ? 'duration' : parent !== undefined ? 'parent' : 'other';
  };
}

/** Tokens that no server signed: changed, re-signed with other claims, with other algorithms. */
async function openTokens(): Promise<Execution> {
  const SECRET = 'a secret of the server';
  const options = {
    signMethod: 'HS256',
    publicKeyFile: '',
    privateKeyFile: 'private',
    ttlMs: 60_000,
  } as const;
  const open = () =>
    openJwt(
      options,
      async () => Buffer.from(SECRET),
      () => 0,
    );
  const issuer = await open();
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = (header: unknown, claims: string, secret = SECRET, hash = 'sha256'): string => {
    const text = `${part(header)}.${claims}`;
    return `${text}.${createHmac(hash, secret).update(text).digest('base64url')}`;
  };
  const good = [await issuer.issue('root', 7), await issuer.issue('anna', 1)];
  const claims = ['{"username":"root","revision":7}', '{"username":"root","revision":7,"exp":9999999999}', '{"username":5}', '[]', 'null', '{"username":"a","revision":1.5}', '{"username":"a","revision":-1}', '{"__proto__":{"username":"root","revision":1}}']; // prettier-ignore
  const mutator = new Mutator(bytesOf(good), bytesOf(['.', '..', part({ alg: 'none' }), '=']), 1024);
  const claimMutator = new Mutator(bytesOf(claims), bytesOf(JSON_WORDS), 512);
  let verifier = await open();
  let uses = 0;
  return async (prng) => {
    // What was checked is remembered: a new one now and then, so that memory is no part of the judgement.
    if (++uses % 512 === 0) verifier = await open();
    if (prng.chance(1, 2)) {
      const token = mutator.next(prng).toString('latin1');
      const identity = await verifier.identify(token);
      if (identity === undefined) return 'refused';
      // Base64's last character may carry bits that mean nothing; the claims are those that were signed.
      promise(good.some((one) => one.slice(0, one.lastIndexOf('.')) === token.slice(0, token.lastIndexOf('.'))), () => `a forged token: ${token}`); // prettier-ignore
      return 'accepted';
    }
    const alg = prng.pick(['HS256', 'HS256', 'none', 'HS512', 'RS256', '', 'hs256']);
    const right = prng.chance(1, 2);
    const text = prng.chance(1, 4) ? prng.pick(claims) : claimMutator.next(prng).toString('utf8');
    const token = signed({ alg, typ: 'JWT' }, Buffer.from(text).toString('base64url'), right ? SECRET : 'guess', alg === 'HS512' ? 'sha512' : 'sha256'); // prettier-ignore
    const identity = await verifier.identify(token);
    if (identity === undefined) return 'refused';
    promise(alg === 'HS256' && right, () => `a token of ${alg} is taken`);
    // A byte order mark before the claims is no part of them, as the library reads them.
    const said = JSON.parse(text.replace(/^\uFEFF/, '')) as {
      readonly username?: unknown;
      readonly revision?: unknown;
    };
    promise(
      identity.username === said.username && identity.revision === said.revision,
      () => `another identity: ${text}`,
    );
    promise(
      Number.isSafeInteger(identity.revision) && identity.revision >= 0,
      () => `revision ${identity.revision}`,
    );
    return 'signed by us';
  };
}

/** Time that does not pass: what waits goes on in the next turn. */
const AT_ONCE: Clock = {
  nowMs: () => 0,
  monotonicMs: () => 0,
  setTimer: (_delayMs, task) => {
    queueMicrotask(task);
    return { cancel: () => {} };
  },
};

/** Members that a registry and DNS name, in any words. */
function openDiscovery(): Execution {
  const values = [
    'm1=http://a:1',
    'm1=http://a:1,m1=http://b:2',
    'x',
    '=',
    'm2=',
    '3',
    '0',
    '-1',
    '1e9',
    ' 2 ',
    'm1=http://a:1\n',
  ];
  const mutator = new Mutator(bytesOf(values), bytesOf(['=', ',', '\0', '\n']), 128);
  const own = parseUrl('http://10.0.0.1:2380');
  return async (prng) => {
    const text = (): string => mutator.next(prng).toString('utf8');
    try {
      if (prng.chance(1, 2)) {
        const size = prng.below(4) === 0 ? text() : String(1 + prng.below(3));
        const pairs = Array.from({ length: 1 + prng.below(4) }, (_, i) => ({
          key: `/_etcd/registry/T/members/${i === 0 ? 'a' : prng.below(8)}`,
          value: text(),
          createRevision: prng.below(5),
        }));
        let left = 3;
        const registry = {
          list: async (prefix: string) => {
            if (prefix.endsWith('size')) return [{ key: prefix, value: size, createRevision: 1 }];
            // So that a cluster that never fills comes to an end.
            if (--left < 0) throw new FatalError('the registry is closed');
            return pairs;
          },
          put: async () => {},
        };
        const founder = { token: 'T', memberId: 0xan, registration: 'm1=http://10.0.0.1:2380' };
        const cluster = await joinByRegistry(founder, registry, AT_ONCE, silentLogger);
        for (const pair of cluster.split(',')) promise(/^[^=]*=[^=]+$/.test(pair), () => `a member ${pair}`);
        return 'founded';
      }
      const records = Array.from({ length: prng.below(4) }, () => ({
        name: text(),
        port: prng.pick([2380, 0, 70_000]),
      }));
      const config = { name: 'm1', discoverySrv: 'example.com', discoverySrvName: '', initialAdvertisePeerUrls: own.ok ? [own.value] : [] }; // prettier-ignore
      const addresses = ['10.0.0.1', '10.0.0.2', '::1'];
      await srvCluster(
        config,
        { srv: async () => records, address: async () => prng.pick(addresses) },
        silentLogger,
      );
      return 'found';
    } catch (error) {
      if (error instanceof FatalError) return 'refused';
      throw error;
    }
  };
}

/** Members as JSON: in the members bucket, the entry of a membership change, and the v2 tree of a snapshot. */
function openMembers(): Execution {
  const member = {
    id: 0x8e9e05c52164694dn,
    peerUrls: ['http://a:1'],
    isLearner: true,
    name: 'm1',
    clientUrls: ['http://a:2'],
  };
  const corpus = [
    encodeMemberChange({ member, isPromote: true }),
    encodeV2Store([member, { ...member, id: 3n }], [5n, 7n], '3.7.0'),
  ];
  const mutator = new Mutator(
    corpus,
    bytesOf([...JSON_WORDS, '"id":1.5,', '"id":-1,', '"peerURLs":[5],', '"Children":null,']),
    8192,
  );
  return (prng) => {
    try {
      if (prng.chance(1, 2)) {
        const change = decodeMemberChange(mutator.of(prng, corpus[0]));
        promiseSame('a member', inspect(decodeMemberChange(encodeMemberChange(change))), inspect(change));
        return 'member';
      }
      const { members } = decodeV2Store(mutator.of(prng, corpus[1]));
      for (const { id } of members) promise(id >= 0n && id < 2n ** 64n, () => `member ${id}`);
      return 'tree';
    } catch (error) {
      // Whose caller names the file or the entry: any error is a refusal, only a broken promise is not.
      if (error instanceof PromiseBroken || !(error instanceof Error)) throw error;
      return 'refused';
    }
  };
}

function inspect(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? each.toString() : each));
}

export const textTargets: readonly FuzzTarget[] = [
  { name: 'json', gateExecutions: 12_000, outcomes: ['accepted', 'refused'], open: openJson },
  {
    name: 'gateway-json',
    gateExecutions: 8_000,
    outcomes: ['accepted', 'refused', 'there and back'],
    open: openGateway,
  },
  { name: 'config-file', gateExecutions: 1_500, outcomes: ['config', 'fatal'], open: openConfigFile },
  { name: 'yaml-bombs', gateExecutions: 300, outcomes: ['config', 'fatal'], open: openYamlBombs },
  { name: 'flags', gateExecutions: 3_000, outcomes: ['config', 'fatal', 'usage-error'], open: openFlags },
  { name: 'urls', gateExecutions: 12_000, outcomes: ['url', 'cluster', 'refused'], open: openUrls },
  { name: 'values', gateExecutions: 8_000, outcomes: ['duration', 'parent', 'other'], open: openValues },
  {
    name: 'tokens',
    gateExecutions: 2_500,
    outcomes: ['refused', 'accepted', 'signed by us'],
    open: openTokens,
  },
  {
    name: 'discovery',
    gateExecutions: 4_000,
    outcomes: ['founded', 'found', 'refused'],
    open: openDiscovery,
  },
  { name: 'members', gateExecutions: 5_000, outcomes: ['member', 'tree', 'refused'], open: openMembers },
];
