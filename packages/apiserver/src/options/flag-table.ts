/**
 * The flags of kube-apiserver 1.36 that decide what is served, to whom and out of which store: names, kinds and
 * defaults are the original's, the sentences are ours. Each says whether it acts in this build. The rest stands in
 * flag-table-more.ts.
 */

import { flagOf, type FlagGroup } from './flags.ts';

const acts = flagOf('acts');
const idle = flagOf('no effect');
const refused = flagOf('refused');

const GENERIC: FlagGroup = {
  title: 'Generic',
  flags: [
    acts(
      'advertise-address',
      'ip',
      '',
      'Address that clients inside the cluster reach this server at; the bind address unless told.',
    ),
    acts(
      'cors-allowed-origins',
      'strings',
      '',
      'Regular expressions of origins whose pages may call the API.',
    ),
    idle('delete-collection-workers', 'int', '1', 'Workers that delete the objects of a collection.'),
    acts(
      'emulated-version',
      'strings',
      '',
      'Version to say that this server behaves as, kube=1.33 to 1.36; which APIs are served --runtime-config says.',
    ),
    idle(
      'emulation-forward-compatible',
      'bool',
      'false',
      'Serve what came after the emulated version where it is stable.',
    ),
    acts(
      'enable-priority-and-fairness',
      'bool',
      'true',
      'Queue requests by flow; without it requests in flight are counted.',
    ),
    acts(
      'external-hostname',
      'string',
      '',
      'A further host name that the certificate of the server is good for.',
    ),
    acts('feature-gates', 'map', '', 'Switches name=true|false of features that are not settled.'),
    acts(
      'goaway-chance',
      'float',
      '0',
      'Share of HTTP/2 requests after which the client is asked to connect anew, 0 to 0.02.',
    ),
    acts('livez-grace-period', 'duration', '0s', 'How long /livez takes unfinished hooks for healthy.'),
    acts(
      'max-mutating-requests-inflight',
      'int',
      '200',
      'Requests that write and are worked on at a time; 0 for no bound.',
    ),
    acts(
      'max-requests-inflight',
      'int',
      '400',
      'Requests that read and are worked on at a time; 0 for no bound.',
    ),
    acts(
      'min-compatibility-version',
      'strings',
      '',
      'Version of the oldest server beside this one, kube=1.33 to 1.36; one below the emulated one unless told.',
    ),
    acts(
      'min-request-timeout',
      'int',
      '1800',
      'Seconds a watch lasts at least; it ends between this and twice as long.',
    ),
    acts(
      'request-timeout',
      'duration',
      '1m0s',
      'How long a request may take that is not a watch or its like.',
    ),
    acts(
      'runtime-config',
      'map',
      '',
      'API versions to serve or not: api/all, api/beta, group/version, each =true|false.',
    ),
    idle(
      'runtime-config-emulation-forward-compatible',
      'bool',
      'false',
      'Serve newer versions of resources that --runtime-config names.',
    ),
    acts(
      'shutdown-delay-duration',
      'duration',
      '0s',
      'Go on serving for so long after a signal, while /readyz fails.',
    ),
    acts('shutdown-send-retry-after', 'bool', 'false', 'Answer 429 while connections are drained.'),
    acts(
      'shutdown-watch-termination-grace-period',
      'duration',
      '0s',
      'How long watches may take to end at a shutdown.',
    ),
    idle(
      'storage-initialization-timeout',
      'duration',
      '1m0s',
      'How long to wait for the store before the start goes on.',
    ),
    acts(
      'strict-transport-security-directives',
      'strings',
      '',
      'Directives of the Strict-Transport-Security header; none, no header.',
    ),
  ],
};

const ETCD: FlagGroup = {
  title: 'Etcd',
  flags: [
    idle('default-watch-cache-size', 'int', '100', 'Ignored: caches find their size by themselves.'),
    idle(
      'enable-garbage-collector',
      'bool',
      'true',
      'Must agree with the controllers, which do the collecting.',
    ),
    acts('encryption-provider-config', 'string', '', 'File that says how values are encrypted at rest.'),
    acts(
      'encryption-provider-config-automatic-reload',
      'bool',
      'false',
      'Read that file again when it changes.',
    ),
    acts('etcd-cafile', 'string', '', 'Authorities that etcd certificates must come from.'),
    acts('etcd-certfile', 'string', '', 'Certificate shown to etcd.'),
    acts(
      'etcd-compaction-interval',
      'duration',
      '5m0s',
      'Time between compactions; 0 leaves them to others.',
    ),
    idle(
      'etcd-count-metric-poll-period',
      'duration',
      '1m0s',
      'Time between counts of objects for the metrics.',
    ),
    acts(
      'etcd-db-metric-poll-interval',
      'duration',
      '30s',
      'Time between questions for the size of the database; 0 asks never.',
    ),
    acts('etcd-healthcheck-timeout', 'duration', '2s', 'How long the health check waits for etcd.'),
    acts('etcd-keyfile', 'string', '', 'Key of the certificate shown to etcd.'),
    acts('etcd-prefix', 'string', '/registry', 'What all keys in etcd begin with.'),
    acts('etcd-readycheck-timeout', 'duration', '2s', 'How long the readiness check waits for etcd.'),
    acts('etcd-servers', 'strings', '', 'Members of etcd, scheme://host:port, separated by commas.'),
    refused('etcd-servers-overrides', 'strings', '', 'Members for single resources: group/resource#url;url.'),
    acts('lease-reuse-duration-seconds', 'int', '60', 'How long one lease takes further objects, at most.'),
    acts('storage-backend', 'string', '', 'etcd3, or nothing, which is the same.'),
    acts(
      'storage-media-type',
      'string',
      'application/vnd.kubernetes.protobuf',
      'Form in which objects are stored.',
    ),
    acts('watch-cache', 'bool', 'true', 'Keep objects in memory for lists and watches.'),
    acts(
      'watch-cache-sizes',
      'strings',
      '',
      'resource[.group]#size; a size of 0 leaves a resource without cache.',
    ),
  ],
};

const SERVING: FlagGroup = {
  title: 'Secure serving',
  flags: [
    acts('bind-address', 'ip', '0.0.0.0', 'Address to listen on.'),
    acts(
      'cert-dir',
      'string',
      '/var/run/kubernetes',
      'Where apiserver.crt and apiserver.key are, and what is made when no file is given.',
    ),
    acts('disable-http2-serving', 'bool', 'false', 'Speak HTTP/1.1 alone.'),
    acts(
      'http2-max-streams-per-connection',
      'int',
      '0',
      'Streams of one HTTP/2 connection at a time; 0 for the default.',
    ),
    acts('permit-address-sharing', 'bool', 'false', 'SO_REUSEADDR on the port, which it has anyway.'),
    acts('permit-port-sharing', 'bool', 'false', 'SO_REUSEPORT on the port: several servers may share it.'),
    acts('secure-port', 'int', '6443', 'Port for HTTPS; 0 lets the system choose.'),
    acts('tls-cert-file', 'string', '', 'Certificate of the server, with the authorities between.'),
    acts('tls-cipher-suites', 'strings', '', 'Cipher suites by their names in Go.'),
    acts('tls-curve-preferences', 'strings', '', 'Curves for the exchange of keys.'),
    acts('tls-min-version', 'string', '', 'VersionTLS12 or VersionTLS13.'),
    acts('tls-private-key-file', 'string', '', 'Key of --tls-cert-file.'),
    acts('tls-sni-cert-key', 'strings', '', 'Further certificates by host name: cert,key[:name,name].'),
  ],
};

const AUTHENTICATION: FlagGroup = {
  title: 'Authentication',
  flags: [
    acts(
      'anonymous-auth',
      'bool',
      'true',
      'Take requests without credentials for those of system:anonymous.',
    ),
    acts('api-audiences', 'strings', '', 'Whom tokens must be for; the issuers unless told.'),
    acts('authentication-config', 'string', '', 'File with an AuthenticationConfiguration.'),
    acts(
      'authentication-token-webhook-cache-ttl',
      'duration',
      '2m0s',
      "How long the webhook's answers are kept.",
    ),
    acts(
      'authentication-token-webhook-config-file',
      'string',
      '',
      'Kubeconfig of the server that is asked about tokens.',
    ),
    acts(
      'authentication-token-webhook-version',
      'string',
      'v1beta1',
      'Version of the TokenReview that is sent.',
    ),
    acts('client-ca-file', 'string', '', 'Authorities whose certificates name users.'),
    acts(
      'enable-bootstrap-token-auth',
      'bool',
      'false',
      'Take tokens of Secrets bootstrap.kubernetes.io/token in kube-system.',
    ),
    acts(
      'oidc-ca-file',
      'string',
      '',
      "Authorities of the OpenID provider's certificate; the system's unless told.",
    ),
    acts('oidc-client-id', 'string', '', 'Client that ID tokens must be for.'),
    acts('oidc-groups-claim', 'string', '', 'Claim with the groups of a user.'),
    acts('oidc-groups-prefix', 'string', '', 'Put before the groups.'),
    acts('oidc-issuer-url', 'string', '', 'The OpenID provider, https.'),
    acts('oidc-required-claim', 'map', '', 'claim=value that ID tokens must have.'),
    acts('oidc-signing-algs', 'strings', 'RS256', 'Algorithms that ID tokens may be signed with.'),
    acts('oidc-username-claim', 'string', 'sub', 'Claim with the name of a user.'),
    acts('oidc-username-prefix', 'string', '', 'Put before the name; - for nothing.'),
    acts(
      'requestheader-allowed-names',
      'strings',
      '',
      'Common names of front proxies; any of the authority unless told.',
    ),
    acts('requestheader-client-ca-file', 'string', '', 'Authorities of front proxies.'),
    acts(
      'requestheader-extra-headers-prefix',
      'strings',
      '',
      'Beginnings of headers with extra values: X-Remote-Extra-.',
    ),
    acts('requestheader-group-headers', 'strings', '', 'Headers with groups: X-Remote-Group.'),
    acts('requestheader-uid-headers', 'strings', '', 'Headers with the uid: X-Remote-Uid.'),
    acts('requestheader-username-headers', 'strings', '', 'Headers with the name: X-Remote-User.'),
    acts(
      'service-account-extend-token-expiration',
      'bool',
      'true',
      'Let tokens of pods last a year, telling of those that are used late.',
    ),
    acts('service-account-issuer', 'strings', '', 'Issuer of tokens; the first signs, all are believed.'),
    acts('service-account-jwks-uri', 'string', '', 'Where the discovery document says the keys are.'),
    acts(
      'service-account-key-file',
      'strings',
      '',
      'Keys or certificates that verify tokens; that of the signing key unless told.',
    ),
    idle(
      'service-account-lookup',
      'bool',
      'true',
      'Ask whether the account of a token still exists; it always is.',
    ),
    acts(
      'service-account-max-token-expiration',
      'duration',
      '0s',
      'Longest life of a token; 0 for no bound.',
    ),
    acts('token-auth-file', 'string', '', 'CSV file: token,user,uid,"group,group".'),
  ],
};

const AUTHORIZATION: FlagGroup = {
  title: 'Authorization',
  flags: [
    acts('authorization-config', 'string', '', 'File with an AuthorizationConfiguration.'),
    acts(
      'authorization-mode',
      'strings',
      '',
      'In order: AlwaysAllow, AlwaysDeny, ABAC, Node, RBAC, Webhook. AlwaysAllow unless told.',
    ),
    acts('authorization-policy-file', 'string', '', 'Policies of mode ABAC, one JSON object a line.'),
    acts(
      'authorization-webhook-cache-authorized-ttl',
      'duration',
      '5m0s',
      'How long a yes of the webhook is kept.',
    ),
    acts(
      'authorization-webhook-cache-unauthorized-ttl',
      'duration',
      '30s',
      'How long a no of the webhook is kept.',
    ),
    acts('authorization-webhook-config-file', 'string', '', 'Kubeconfig of the server that is asked.'),
    acts(
      'authorization-webhook-version',
      'string',
      'v1beta1',
      'Version of the SubjectAccessReview that is sent.',
    ),
  ],
};

const ADMISSION: FlagGroup = {
  title: 'Admission',
  flags: [
    acts('admission-control', 'strings', '', 'The older way: these plugins and no others.'),
    acts('admission-control-config-file', 'string', '', 'File with the configuration of plugins.'),
    acts(
      'default-not-ready-toleration-seconds',
      'int',
      '300',
      'Seconds a pod stays on a node that is not ready, where it says nothing itself.',
    ),
    acts(
      'default-unreachable-toleration-seconds',
      'int',
      '300',
      'Seconds a pod stays on a node that is not reached, where it says nothing itself.',
    ),
    acts('disable-admission-plugins', 'strings', '', 'Plugins to leave out of those that are on by default.'),
    acts('enable-admission-plugins', 'strings', '', 'Plugins to run beside those that are on by default.'),
  ],
};

/** In the order of --help. */
export const SERVING_GROUPS: readonly FlagGroup[] = [
  GENERIC,
  ETCD,
  SERVING,
  AUTHENTICATION,
  AUTHORIZATION,
  ADMISSION,
];
