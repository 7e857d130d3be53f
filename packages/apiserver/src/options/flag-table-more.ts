/**
 * The flags of kube-apiserver 1.36 beside those of flag-table.ts: what services and kubelets are like, audit, other API
 * servers, logs and metrics. Names, kinds and defaults are the original's, the sentences are ours.
 */

import { flagOf, type FlagGroup, type FlagSpec } from './flags.ts';
import { SERVING_GROUPS } from './flag-table.ts';

const acts = flagOf('acts');
const idle = flagOf('no effect');
const refused = flagOf('refused');

/** Both backends of audit have these. */
function auditBackend(kind: 'log' | 'webhook'): FlagSpec[] {
  const batching = kind === 'log' ? 'blocking' : 'batch';
  const name = (rest: string): string => `audit-${kind}-${rest}`;
  const [buffer, size, wait] = kind === 'log' ? ['10000', '1', '0s'] : ['10000', '400', '30s'];
  return [
    acts(name('batch-buffer-size'), 'int', buffer, 'Events that wait to be batched.'),
    acts(name('batch-max-size'), 'int', size, 'Events of a batch.'),
    acts(name('batch-max-wait'), 'duration', wait, 'How long an incomplete batch waits.'),
    acts(
      name('batch-throttle-burst'),
      'int',
      kind === 'log' ? '0' : '15',
      'Batches that may be sent at once.',
    ),
    acts(
      name('batch-throttle-enable'),
      'bool',
      kind === 'log' ? 'false' : 'true',
      'Bound the number of batches.',
    ),
    acts(name('batch-throttle-qps'), 'float', kind === 'log' ? '0' : '10', 'Batches a second.'),
    acts(name('mode'), 'string', batching, 'batch, blocking or blocking-strict.'),
    acts(name('truncate-enabled'), 'bool', 'false', 'Cut events and batches that are too long.'),
    acts(name('truncate-max-batch-size'), 'int', '10485760', 'Bytes of a batch.'),
    acts(name('truncate-max-event-size'), 'int', '102400', 'Bytes of an event.'),
    acts(name('version'), 'string', 'audit.k8s.io/v1', 'Version of the events.'),
  ];
}

const AUDIT: FlagGroup = {
  title: 'Auditing',
  flags: [
    ...auditBackend('log'),
    acts('audit-log-compress', 'bool', 'false', 'Zip files that were rotated.'),
    acts('audit-log-format', 'string', 'json', 'json or legacy.'),
    acts('audit-log-maxage', 'int', '366', 'Days that old files are kept.'),
    acts('audit-log-maxbackup', 'int', '100', 'Old files that are kept.'),
    acts('audit-log-maxsize', 'int', '100', 'Megabytes after which a file is rotated.'),
    acts('audit-log-path', 'string', '', 'File for audit events; - for standard output.'),
    ...auditBackend('webhook'),
    acts(
      'audit-webhook-config-file',
      'string',
      '',
      'Kubeconfig of the server that audit events are sent to.',
    ),
    acts(
      'audit-webhook-batch-initial-backoff',
      'duration',
      '10s',
      'The older name of --audit-webhook-initial-backoff.',
    ),
    acts('audit-webhook-initial-backoff', 'duration', '10s', 'Pause before the first retry.'),
    acts('audit-policy-file', 'string', '', 'File with the audit policy.'),
  ],
};

const AGGREGATION: FlagGroup = {
  title: 'Aggregation and peers',
  flags: [
    acts(
      'aggregator-reject-forwarding-redirect',
      'bool',
      'true',
      'Do not pass on redirects of aggregated servers.',
    ),
    acts('aggregator-reject-forwarding-redirects', 'bool', 'true', 'Another name of that flag.'),
    acts(
      'enable-aggregator-routing',
      'bool',
      'false',
      "Reach aggregated servers by their endpoints, not their services' addresses.",
    ),
    idle('peer-advertise-ip', 'string', '', 'Address that other API servers reach this one at.'),
    idle('peer-advertise-port', 'string', '', 'Port that other API servers reach this one at.'),
    idle('peer-ca-file', 'string', '', 'Authorities of other API servers.'),
    acts('proxy-client-cert-file', 'string', '', 'Certificate shown to aggregated servers.'),
    acts('proxy-client-key-file', 'string', '', 'Key of --proxy-client-cert-file.'),
  ],
};

const KUBERNETES: FlagGroup = {
  title: 'Kubernetes',
  flags: [
    acts('allow-privileged', 'bool', 'false', 'Let pods have privileged containers.'),
    idle('apiserver-count', 'int', '1', 'How many API servers there are.'),
    idle(
      'coordinated-leadership-lease-duration',
      'duration',
      '15s',
      'Life of leases of coordinated elections.',
    ),
    idle(
      'coordinated-leadership-renew-deadline',
      'duration',
      '10s',
      'When a leader that does not renew gives up.',
    ),
    idle('coordinated-leadership-retry-period', 'duration', '2s', 'Time between tries to lead.'),
    acts(
      'endpoint-reconciler-type',
      'string',
      'lease',
      'lease, or none: who keeps the endpoints of the service kubernetes.',
    ),
    acts('event-ttl', 'duration', '1h0m0s', 'How long events are kept.'),
    idle('enable-logs-handler', 'bool', 'false', 'Serve /logs.'),
    acts('kubelet-certificate-authority', 'string', '', "Authorities of kubelets' certificates."),
    acts('kubelet-client-certificate', 'string', '', 'Certificate shown to kubelets.'),
    acts('kubelet-client-key', 'string', '', 'Key of --kubelet-client-certificate.'),
    acts('kubelet-port', 'int', '10250', 'Port of kubelets that tell none.'),
    acts(
      'kubelet-preferred-address-types',
      'strings',
      'Hostname,InternalDNS,InternalIP,ExternalDNS,ExternalIP',
      "Which of a node's addresses to take, in order.",
    ),
    idle('kubelet-read-only-port', 'int', '10255', 'Port of kubelets without TLS.'),
    acts('kubelet-timeout', 'duration', '5s', 'How long a connection to a kubelet may take to come about.'),
    idle('kubernetes-service-node-port', 'int', '0', 'Node port of the service kubernetes.'),
    acts(
      'max-connection-bytes-per-sec',
      'int',
      '0',
      'Bytes a second each way of a connection for exec, attach, port-forward or a proxied upgrade; 0 for no bound.',
    ),
    refused('service-account-signing-endpoint', 'string', '', 'Socket of a program that signs tokens.'),
    acts('service-account-signing-key-file', 'string', '', 'Key that signs tokens of service accounts.'),
    acts(
      'service-cluster-ip-range',
      'string',
      '',
      'Networks of service addresses, at most two; 10.0.0.0/24 unless told.',
    ),
    acts('service-node-port-range', 'string', '30000-32767', 'Ports that services may have on nodes.'),
  ],
};

const OBSERVING: FlagGroup = {
  title: 'Observing',
  flags: [
    idle('contention-profiling', 'bool', 'false', 'Profile blocked goroutines; there are none.'),
    acts('debug-socket-path', 'string', '', 'Unix socket for profiling, without authentication.'),
    acts('profiling', 'bool', 'true', 'Serve /debug/pprof and /debug/flags/v.'),
    acts(
      'tracing-config-file',
      'string',
      '',
      'File with a TracingConfiguration: which requests are traced, and who is told.',
    ),
    refused(
      'egress-selector-config-file',
      'string',
      '',
      'File that says through which proxies calls go out.',
    ),
    idle('allow-metric-labels', 'map', '', 'Values that labels of metrics may have.'),
    idle('allow-metric-labels-manifest', 'string', '', 'File with such values.'),
    acts('disabled-metrics', 'strings', '', 'Metrics to leave out.'),
    idle('show-hidden-metrics-for-version', 'string', '', 'Show metrics that were hidden in a version.'),
    idle(
      'log-flush-frequency',
      'duration',
      '5s',
      'Time between flushes of the log; each line is written at once.',
    ),
    idle('log-json-info-buffer-size', 'string', '0', 'Buffer of information lines.'),
    idle('log-json-split-stream', 'bool', 'false', 'Write information to standard output.'),
    idle('log-text-info-buffer-size', 'string', '0', 'Buffer of information lines.'),
    idle('log-text-split-stream', 'bool', 'false', 'Write information to standard output.'),
    acts('logging-format', 'string', 'text', 'text or json.'),
    { ...acts('v', 'int', '0', 'How much is logged: 4 and more tells everything.'), short: 'v' },
    idle('vmodule', 'strings', '', 'Level by source file.'),
    acts('version', 'bool', 'false', 'Print the version and stop.'),
    { ...acts('help', 'bool', 'false', 'Print the flags and stop.'), short: 'h' },
  ],
};

export const FLAG_GROUPS: readonly FlagGroup[] = [
  ...SERVING_GROUPS,
  AUDIT,
  AGGREGATION,
  KUBERNETES,
  OBSERVING,
];
