/**
 * The plan of the house as data: which package may import which, the rank of each folder, what each folder
 * may take from Node, and which folders compute only. ARCHITECTURE.md says it in prose; here it is enforced.
 *
 * A change of this file is a change of the architecture and deserves its reason in the commit. An exception
 * that nothing uses any more fails the test as well.
 */

/** Packages, and the packages each one's product files may import. Its tests may import any. */
export const DOORS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  proto: [],
  raft: ['base'],
  rpc: ['base'],
  sim: ['base'],
  client: ['base', 'proto', 'rpc'],
  store: ['base', 'proto', 'raft', 'rpc'],
  proxy: ['base', 'client', 'proto', 'rpc', 'store'],
  apiserver: ['base', 'client', 'proto', 'rpc'],
  'kube-client': ['base'],
  controllers: ['base', 'kube-client'],
  bench: ['apiserver', 'base', 'client', 'embed', 'proto', 'raft', 'rpc', 'store'],
  embed: ['apiserver', 'base', 'client', 'controllers', 'rpc', 'store'],
  cli: ['apiserver', 'base', 'bench', 'client', 'controllers', 'proto', 'proxy', 'raft', 'rpc', 'store'],
};

/** Files that nothing needs to import: a package's doors, programs, and scripts that are started by hand. */
export const ENTRIES: readonly RegExp[] = [
  /^packages\/[a-z-]+\/src\/(index|main)\.ts$/,
  /^proto\/gen\/index\.ts$/,
  /^proto\/generate\.ts$/,
  /^packages\/sim\/src\/checker\/main\.ts$/,
  /^packages\/bench\/src\/apiserver\/programs\/[a-z-]+\.ts$/, // processes that it starts
];
export const SCRIPTS: readonly RegExp[] = [
  /\.test\.ts$/,
  /^packages\/[a-z-]+\/generate\/main\.ts$/,
  /\/bench\.ts$/,
  /\/test\/[a-z-]+\/main\.ts$/,
  /^tests\/[a-z-]+\/[a-z-]+\/main\.ts$/,
  /^tests\/[a-z-]+\/[a-z-]+\.ts$/,
];

/** The other implementation of an interface, beside the real one; only tests and simulations choose it. */
export const HARNESS_IN_PRODUCT: ReadonlySet<string> = new Set([
  'packages/store/src/backend/memory-backend.ts',
  'packages/store/src/peer/memory-transport.ts',
]);

/**
 * A room is a folder, a file, or a few that belong together. A file imports its own room and rooms of lower
 * rank; two rooms of one rank do not know each other.
 */
export interface Room {
  readonly rank: number;
  readonly members: readonly string[];
}

/** The files of raft from the ground up: each uses only those before it. */
const TOWER: readonly string[] = [
  'types inflights quorum progress entry-size log-storage conf-change-codec ready read-queue config',
  'memory-storage tracker unstable conf-change log describe state transitions replication status read-index',
  'election membership follower candidate leader raft raw-node index',
].flatMap((names) => names.split(' '));

/** Per package, paths inside its src/; a folder ends in '/'. What is not listed has no place yet. */
export const ROOMS: Readonly<Record<string, readonly Room[]>> = {
  apiserver: [
    { rank: 0, members: ['api/'] },
    { rank: 0, members: ['logging/'] },
    { rank: 0, members: ['metrics/'] },
    { rank: 1, members: ['schema/'] },
    { rank: 1, members: ['validation/'] },
    { rank: 1, members: ['pki/'] },
    { rank: 1, members: ['outbound/'] },
    { rank: 2, members: ['cel/'] },
    { rank: 2, members: ['codec/'] },
    { rank: 2, members: ['defaults/'] },
    { rank: 2, members: ['patch/'] },
    { rank: 3, members: ['options/'] },
    { rank: 3, members: ['printers/'] },
    { rank: 3, members: ['storage/'] },
    { rank: 4, members: ['audit/'] },
    { rank: 4, members: ['authn/'] },
    { rank: 4, members: ['authz/'] },
    { rank: 4, members: ['flowcontrol/'] },
    { rank: 4, members: ['informer/'] },
    { rank: 5, members: ['admission/'] },
    { rank: 5, members: ['credentials/'] },
    { rank: 6, members: ['registry/'] },
    { rank: 7, members: ['aggregation/'] },
    { rank: 7, members: ['crd/'] },
    { rank: 7, members: ['kubelet/'] },
    { rank: 7, members: ['openapi/'] },
    { rank: 8, members: ['bootstrap/'] },
    { rank: 8, members: ['filters/'] },
    { rank: 8, members: ['handlers/'] },
    { rank: 9, members: ['http/'] },
    { rank: 10, members: ['assembly/'] },
    { rank: 11, members: ['index.ts', 'kube-apiserver.ts', 'main.ts', 'process-world.ts', 'server.ts'] },
  ],
  raft: TOWER.map((name, rank) => ({ rank, members: [`${name}.ts`] })),
  store: [
    { rank: 0, members: ['config/', 'errors.ts', 'limits.ts', 'tuning.ts'] },
    { rank: 0, members: ['metrics/'] },
    { rank: 1, members: ['disk/'] },
    { rank: 2, members: ['tls/'] },
    { rank: 1, members: ['logging/'] },
    { rank: 1, members: ['backend/'] },
    { rank: 2, members: ['failpoints/'] },
    { rank: 2, members: ['tracing/'] },
    { rank: 2, members: ['wal/'] },
    { rank: 2, members: ['snap/'] },
    { rank: 2, members: ['mvcc/'] },
    { rank: 2, members: ['lease/'] },
    { rank: 2, members: ['alarm/'] },
    { rank: 2, members: ['auth/'] },
    { rank: 2, members: ['membership/'] },
    { rank: 2, members: ['peer/'] },
    { rank: 2, members: ['snapshot/'] },
    { rank: 3, members: ['watch/'] },
    { rank: 3, members: ['secrets/'] },
    { rank: 3, members: ['audit/'] },
    { rank: 3, members: ['prefix-limits/'] },
    { rank: 4, members: ['apply/'] },
    { rank: 5, members: ['consensus/'] },
    { rank: 6, members: ['rpc/'] },
    { rank: 6, members: ['http/'] },
    { rank: 6, members: ['transfer/'] },
    { rank: 6, members: ['discovery/'] },
    {
      rank: 7,
      members: [
        'server.ts',
        'main.ts',
        'world.ts',
        'upkeep.ts',
        'data-dir.ts',
        'founding.ts',
        'instruments.ts',
        'known-peers.ts',
        'member-http.ts',
        'member-metrics.ts',
        'member-services.ts',
        'offline.ts',
        'open-member.ts',
        'open-tracing.ts',
        'beyond-etcd.ts',
        'prefix-limits-source.ts',
        'index.ts',
      ],
    },
  ],
};

/** An allowed import that the rules above would refuse, and why it stands. */
export interface Exception {
  /** Path of the importing folder or file, from the root. */
  readonly from: string;
  /** Path of the imported file, a package, or the name of what is used. */
  readonly to: string;
  readonly reason: string;
}

export const IMPORT_EXCEPTIONS: readonly Exception[] = [
  {
    from: 'packages/store/src/peer/',
    to: 'packages/store/src/wal/entry-codec.ts',
    reason: 'an entry is encoded once, and its bytes are the same in the log and on a peer stream',
  },
  {
    from: 'packages/store/src/snap/',
    to: 'packages/store/src/wal/entry-codec.ts',
    reason: 'a .snap file carries the conf state in the form the log gives it',
  },
  {
    from: 'packages/store/src/backend/',
    to: 'packages/store/src/disk/error-code.ts',
    reason: "LevelDB's errors are the disk's: one reading of error codes for both",
  },
];

/**
 * Folders (and single files) that may import from Node, and what. Every other file of a package gets time,
 * randomness, disk and network as arguments, so that a whole cluster can be simulated on one thread.
 */
export const NODE_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  'packages/apiserver/src/assembly/admission-config.ts': ['path'], // files that it names lie beside it
  'packages/apiserver/src/audit/rotating-file.ts': ['fs', 'path', 'stream/promises', 'zlib'],
  'packages/apiserver/src/authn/': ['crypto'],
  'packages/apiserver/src/bootstrap/authentication-config-map.ts': ['crypto'], // when certificates end
  'packages/apiserver/src/bootstrap/identity-lease.ts': ['crypto'], // the name of a host as a hash
  'packages/apiserver/src/codec/long-yaml.ts': ['worker_threads'], // reads beside the event loop
  'packages/apiserver/src/codec/yaml-thread.ts': ['worker_threads'],
  'packages/apiserver/src/codec/yaml.ts': ['module'], // the library is loaded when the first YAML comes
  'packages/apiserver/src/crd/custom-schema.ts': ['crypto', 'zlib'], // a schema known by its hash, compressed at rest
  'packages/apiserver/src/credentials/': ['crypto', 'fs', 'net', 'path'], // keys and certificates in their folder
  'packages/apiserver/src/assembly/config-reload.ts': ['crypto'], // metrics name a file by its hash
  'packages/apiserver/src/assembly/tracing.ts': ['async_hooks'], // whose request a question to the store is
  'packages/apiserver/src/assembly/fetch-json.ts': ['https'], // an OpenID provider's documents
  'packages/apiserver/src/flowcontrol/shuffle-shard.ts': ['crypto'], // the hash of a flow
  'packages/apiserver/src/handlers/debug-pages.ts': ['util', 'zlib'], // profiles go out zipped
  'packages/apiserver/src/handlers/discovery.ts': ['crypto'], // the tag of a document
  'packages/apiserver/src/handlers/discovery-documents.ts': ['crypto'], // the hash of a storage version
  'packages/apiserver/src/handlers/openapi-store.ts': ['crypto', 'timers/promises', 'util', 'zlib'], // hashes, pauses, gzip
  'packages/apiserver/src/http/': ['http', 'http2', 'net', 'stream', 'tls', 'util', 'zlib'], // the port
  'packages/apiserver/src/kubelet/page-links.ts': ['stream', 'zlib'], // pages come in codings
  'packages/apiserver/src/kubelet/websocket.ts': ['crypto'], // the answer to a WebSocket's key
  'packages/apiserver/src/main.ts': ['fs', 'os', 'url'],
  'packages/apiserver/src/options/flags.ts': ['net'], // isIP
  'packages/apiserver/src/outbound/': ['crypto', 'http', 'http2', 'https', 'net', 'path', 'stream', 'tls'], // calls to servers that objects or files name
  'packages/apiserver/src/pki/': ['crypto', 'net'],
  'packages/apiserver/src/process-world.ts': ['child_process', 'crypto', 'dns/promises', 'fs'],
  'packages/apiserver/src/server.ts': ['net'], // the type of a port's address
  'packages/apiserver/src/storage/encryption/': ['crypto'],
  'packages/base/src/node-http.ts': ['http'], // for all who use it
  'packages/base/src/profiles.ts': ['inspector/promises'], // what the process does
  'packages/bench/src/': ['*'],
  'packages/cli/src/': ['*'],
  'packages/client/src/client.ts': ['crypto'], // the seed of a client's own dice
  'packages/controllers/src/endpoints/': ['net'], // the family of an address
  'packages/controllers/src/service-networks/': ['net'], // what a range holds
  'packages/controllers/src/tokens/bootstrap-signer.ts': ['crypto'], // signatures by tokens
  'packages/embed/src/': ['crypto', 'path', 'path/posix'],
  'packages/kube-client/src/https-transport.ts': ['http', 'http2', 'https', 'stream', 'tls'],
  'packages/proxy/src/grpc/': ['crypto', 'dns/promises', 'http', 'https', 'net', 'os', 'path'], // its ports, its members' metrics
  'packages/proxy/src/tcp/': ['dns/promises', 'net'], // forwards connections
  'packages/rpc/src/': ['crypto', 'fs', 'module', 'net', 'stream', 'tls', 'zlib'], // it is the network, and reads certificates
  'packages/sim/src/checker/main.ts': ['fs', 'readline'], // reads a history
  'packages/sim/src/host.ts': ['child_process'], // seeds over several processes
  'packages/sim/src/orders.ts': ['util'], // flags of the command line
  'packages/store/src/audit/audit-file.ts': ['fs/promises', 'path'],
  'packages/store/src/config/': ['crypto', 'module', 'net'], // sha1 of ids, yaml loaded late, isIP
  'packages/store/src/disk/': ['fs', 'path'],
  'packages/store/src/disk/unix-socket.ts': ['fs/promises', 'net'],
  'packages/store/src/failpoints/control-port.ts': ['http'],
  'packages/store/src/founding.ts': ['dns/promises', 'http'], // asks who runs already
  // the gateway's sockets and handshakes, zipped scrapes, and what the process says of itself
  'packages/store/src/http/': ['crypto', 'fs', 'http', 'net', 'perf_hooks', 'stream', 'tls', 'v8', 'zlib'],
  'packages/store/src/logging/': ['fs', 'fs/promises', 'net', 'path', 'stream/promises', 'zlib'], // the files it rotates, the journal
  'packages/store/src/main.ts': ['fs', 'path', 'url'],
  'packages/store/src/peer/': ['events', 'http', 'https', 'net', 'stream', 'tls'],
  'packages/store/src/rpc/client-ports.ts': ['net', 'tls'],
  'packages/store/src/rpc/maintenance.ts': ['crypto'], // the digest at the end of a saved snapshot
  'packages/store/src/secrets/': ['crypto', 'fs/promises'], // randomness, key files
  'packages/store/src/server.ts': ['http'],
  'packages/store/src/upkeep.ts': ['http'],
  'packages/store/src/tracing/tracing.ts': ['async_hooks'], // whose call a proposal is made for
  'packages/store/src/transfer/backup-digest.ts': ['crypto'], // the digests of a backup's files
  'packages/store/src/transfer/saved-snapshot.ts': ['crypto'], // compares the digest of a saved snapshot
  'packages/store/src/snapshot/bbolt-writer.ts': ['timers/promises'], // yields between slices
  'packages/store/src/tls/': ['crypto', 'dns/promises', 'fs', 'net', 'path', 'tls'], // reads certificates at each handshake
  'packages/store/src/world.ts': ['crypto'],
  'proto/generate.ts': ['*'],
  'proto/generator/': ['*'],
  'proto/wire/reader.ts': ['buffer'],
};

/** Third-party packages and the only places that may import each. */
export const OUTSIDE_IMPORTS: Readonly<Record<string, string | readonly string[]>> = {
  '@grpc/grpc-js': 'packages/rpc/src/',
  '@node-rs/crc32': 'packages/base/src/crc32c.ts',
  bcrypt: 'packages/store/src/secrets/',
  'classic-level': 'packages/store/src/backend/level-backend.ts',
  jose: 'packages/store/src/secrets/',
  protobufjs: 'proto/',
  re2js: 'packages/apiserver/src/cel/regex.ts',
  yaml: ['packages/apiserver/src/codec/yaml.ts', 'packages/store/src/config/'],
};

/** Folders that compute only: nothing of Node's, no clock, no timer, no randomness, no process. */
export const PURE_FOLDERS: readonly string[] = [
  'packages/apiserver/src/api/',
  'packages/apiserver/src/authz/',
  'packages/apiserver/src/cel/',
  'packages/apiserver/src/patch/',
  'packages/apiserver/src/schema/',
  'packages/raft/src/',
  'packages/store/src/alarm/',
  'packages/store/src/apply/',
  'packages/store/src/auth/',
  'packages/store/src/lease/',
  'packages/store/src/membership/',
  'packages/store/src/metrics/',
  'packages/store/src/mvcc/',
  'packages/store/src/prefix-limits/',
  'packages/store/src/watch/',
];

/** Folders without any `async` or `await`: they run to the end within one turn. */
export const SYNCHRONOUS_FOLDERS: readonly string[] = [
  'packages/raft/src/',
  'packages/store/src/alarm/',
  'packages/store/src/apply/',
  'packages/store/src/lease/',
  'packages/store/src/membership/',
  'packages/store/src/prefix-limits/',
];

export const ASYNCHRONOUS_EXCEPTIONS: readonly Exception[] = [
  {
    from: 'packages/store/src/apply/state-machine.ts',
    to: 'async',
    reason: 'reads the whole state at start and after a snapshot arrived; no entry is applied meanwhile',
  },
];

/** Clocks and dice, refused in every product file; what is injected stands in CLOCK_EXCEPTIONS. */
export const CLOCKS_AND_DICE: readonly string[] = ['Date.now', 'new Date()', 'Math.random', 'performance'];

/** Refused in pure folders, and in every other folder of the store. */
export const AMBIENT: readonly string[] = [
  'clearImmediate',
  'clearInterval',
  'clearTimeout',
  'console',
  'crypto',
  'fetch',
  'globalThis',
  'process',
  'queueMicrotask',
  'setImmediate',
  'setInterval',
  'setTimeout',
];

export const AMBIENT_EXCEPTIONS: readonly Exception[] = [
  { from: 'packages/base/src/clock.ts', to: 'Date.now', reason: 'the real clock' },
  { from: 'packages/base/src/clock.ts', to: 'performance', reason: 'the real clock' },
  {
    from: 'packages/apiserver/src/http/event-loop.ts',
    to: 'performance',
    reason: 'how long this process has worked, for turns that are told it',
  },
  { from: 'packages/bench/src/', to: '*', reason: 'it measures real time, and starts processes' },
  { from: 'packages/cli/src/', to: '*', reason: 'a program at the outer edge' },
  { from: 'packages/store/src/main.ts', to: 'Date.now', reason: 'log lines before a world exists' },
  { from: 'packages/store/src/main.ts', to: 'process', reason: 'the program: arguments, streams, signals' },
  { from: 'packages/store/src/main.ts', to: 'setTimeout', reason: 'the last second before a forced exit' },
  {
    from: 'packages/store/src/config/version.ts',
    to: 'process',
    reason: 'the default of an argument: what --version says of the runtime',
  },
  {
    from: 'packages/store/src/http/process-facts.ts',
    to: '*',
    reason: 'what the process says of itself, for its metrics',
  },
  { from: 'packages/store/src/world.ts', to: 'process', reason: 'its streams, for an audit log' },
  { from: 'packages/store/src/world.ts', to: 'setImmediate', reason: 'the real world is built here' },
  {
    from: 'packages/store/src/peer/memory-transport.ts',
    to: 'setImmediate',
    reason: 'the default of an option that a simulation replaces',
  },
  {
    from: 'packages/store/src/peer/peer-server.ts',
    to: 'queueMicrotask',
    reason: 'a broken law met in a promise is thrown where nothing catches it',
  },
];

/** A product file that is longer holds two nouns. */
export const PRODUCT_LINES_MAX = 700;
/** Tests read row by row; still, a longer one hides what it does not test. */
export const TEST_LINES_MAX = 900;
