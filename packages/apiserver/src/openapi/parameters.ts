/**
 * The parameters of all operations: query and path parameters as OpenAPI describes them, each with the name under which
 * version 2 shares it. Data only; which operation takes which is routes.ts' to say.
 *
 * The names end in a hash of the original's own description (kube-openapi's builder/parameters), so they are facts here.
 */

export interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'path';
  readonly type: 'string' | 'integer' | 'boolean';
  readonly description: string;
  /** Its name among the shared parameters of version 2; empty where it is written out at each operation. */
  readonly shared: string;
}

function query(
  shared: string,
  type: Parameter['type'],
  description: string,
  name: string = shared.slice(0, -9),
): Parameter {
  return { name, in: 'query', type, description, shared };
}

function path(shared: string, description: string): Parameter {
  return { name: shared.slice(0, -9), in: 'path', type: 'string', description, shared };
}

export const NAMESPACE = path('namespace-vgWSWtn3', 'The namespace the object is in.');

export const PRETTY = query(
  'pretty-tJGM1-ng',
  'string',
  'Indents JSON when true. Browsers, curl and wget get indented JSON unless they ask for false.',
);

const CONTINUE = query(
  'continue-QfD61s0i',
  'string',
  'The token of the previous page, when a list is read page by page; the other parameters stay as they were. Once the ' +
    'revision it names is gone the server answers 410 with a token from which the rest can be read as it is now. Not for watches.',
);
const FIELD_SELECTOR = query(
  'fieldSelector-xIcQKXFG',
  'string',
  'Only objects with these values in their selectable fields: metadata.name=web,status.phase!=Running.',
);
const LABEL_SELECTOR = query(
  'labelSelector-5Zw57w4C',
  'string',
  'Only objects whose labels match: app=web,tier in (a,b),!canary.',
);
const LIMIT = query(
  'limit-1NfNmdNH',
  'integer',
  'At most so many objects in one answer; the list then carries the token for the next page in metadata.continue. All ' +
    'pages show the state at one revision. Not for watches.',
);
const RESOURCE_VERSION = query(
  'resourceVersion-5WAnf1kx',
  'string',
  'The state to read from. Empty: the newest; 0: any that is at hand; else see resourceVersionMatch. For a watch: the ' +
    'version after which changes are wanted.',
);
const RESOURCE_VERSION_MATCH = query(
  'resourceVersionMatch-t8XhRHeC',
  'string',
  'How resourceVersion is meant: Exact, that very state, or NotOlderThan, that one or a newer.',
);
const SEND_INITIAL_EVENTS = query(
  'sendInitialEvents-rLXlEK_k',
  'boolean',
  'Begins a watch with one ADDED event for each object there is, then a bookmark with the annotation ' +
    'k8s.io/initial-events-end, then changes. Wants resourceVersionMatch=NotOlderThan.',
);
const SHARD_SELECTOR = query(
  'shardSelector-Kgyki_3_',
  'string',
  "Only objects whose hash falls in a range, shardRange(object.metadata.uid, '0x0', '0x8000000000000000'), several joined by ||. Alpha.",
);
const TIMEOUT_SECONDS = query('timeoutSeconds-yvYezaOC', 'integer', 'Ends the call after so many seconds.');

/** Of lists and watches. */
export const LIST_PARAMETERS: readonly Parameter[] = [
  query(
    'allowWatchBookmarks-HC2hJt-J',
    'boolean',
    'Lets the server send BOOKMARK events in a watch, which carry nothing but the version the client is at.',
  ),
  CONTINUE,
  FIELD_SELECTOR,
  LABEL_SELECTOR,
  LIMIT,
  RESOURCE_VERSION,
  RESOURCE_VERSION_MATCH,
  SEND_INITIAL_EVENTS,
  SHARD_SELECTOR,
  TIMEOUT_SECONDS,
  query(
    'watch-XNNPZGbK',
    'boolean',
    'Streams changes (ADDED, MODIFIED, DELETED) after resourceVersion instead of answering a list.',
  ),
];

const DRY_RUN: Parameter = {
  name: 'dryRun',
  in: 'query',
  type: 'string',
  description: 'With the value All the request goes all the way, admission included, and nothing is stored.',
  shared: '',
};
const FIELD_VALIDATION: Parameter = {
  name: 'fieldValidation',
  in: 'query',
  type: 'string',
  description:
    'What becomes of unknown and repeated fields. Ignore: dropped in silence. Warn: dropped with a warning each (the default). Strict: the request is refused.',
  shared: '',
};

/** Of creations and replacements. */
export const WRITE_PARAMETERS: readonly Parameter[] = [
  DRY_RUN,
  query(
    'fieldManager-Qy4HdaTW',
    'string',
    'Under which name the change is noted in metadata.managedFields; at most 128 printable characters.',
  ),
  FIELD_VALIDATION,
];

export const PATCH_PARAMETERS: readonly Parameter[] = [
  DRY_RUN,
  query(
    'fieldManager-7c6nTn1T',
    'string',
    'Under which name the change is noted in metadata.managedFields; at most 128 printable characters. An apply must name it.',
  ),
  FIELD_VALIDATION,
  query(
    'force-tOGGb0Yi',
    'boolean',
    'Lets an apply take over fields that others manage, where it would answer a conflict. For applies only.',
  ),
];

export const DELETE_PARAMETERS: readonly Parameter[] = [
  DRY_RUN,
  query(
    'gracePeriodSeconds--K5HaBOS',
    'integer',
    "Seconds the object has to end by itself; 0 removes it at once. The kind's own period when not given.",
  ),
  query(
    'ignoreStoreReadErrorWithClusterBreakingPotential-QbNkfIqj',
    'boolean',
    'Removes an object that can no longer be read from the store, past finalizers and preconditions. What depends on it may break.',
  ),
  query(
    'orphanDependents-uRB25kX5',
    'boolean',
    'Deprecated for propagationPolicy: true leaves dependents behind, false deletes them. Not together with propagationPolicy.',
  ),
  query(
    'propagationPolicy-6jk3prlO',
    'string',
    'What becomes of objects that this one owns. Orphan: they stay. Background: they are deleted after it. Foreground: before it.',
  ),
];

export const DELETE_COLLECTION_PARAMETERS: readonly Parameter[] = [
  ...DELETE_PARAMETERS,
  CONTINUE,
  FIELD_SELECTOR,
  LABEL_SELECTOR,
  LIMIT,
  RESOURCE_VERSION,
  RESOURCE_VERSION_MATCH,
  SEND_INITIAL_EVENTS,
  SHARD_SELECTOR,
  TIMEOUT_SECONDS,
];

/** The name in a path, which says whose it is. */
export function nameOfA(kind: string): Parameter {
  return { name: 'name', in: 'path', type: 'string', description: `The name of the ${kind}.`, shared: '' };
}

/** A subresource that is talked to instead of read and written. */
export interface Connection {
  /** Its options as a kind; absent: the parent is what is read (log). */
  readonly kind?: string;
  readonly methods: readonly ('delete' | 'get' | 'head' | 'options' | 'patch' | 'post' | 'put')[];
  readonly parameters: readonly Parameter[];
  /** The path goes on below it. */
  readonly open: boolean;
}

const STREAM = ['get', 'post'] as const;
const ANY = ['delete', 'get', 'head', 'options', 'patch', 'post', 'put'] as const;

/** The rest of a proxied path. */
export const SUBPATH = path('path-z6Ciiujn', 'The path below.');

function proxy(kind: string, shared: string, what: string): Connection {
  const parameter = query(shared, 'string', `The path that is asked of the ${what}.`);
  return { kind, methods: ANY, parameters: [parameter], open: true };
}

/** By resource and subresource. */
export const CONNECTIONS: ReadonlyMap<string, Connection> = new Map<string, Connection>([
  [
    'pods/attach',
    {
      kind: 'PodAttachOptions',
      methods: STREAM,
      parameters: [
        query('container-_Q-EJ3nR', 'string', 'The container to attach to; the only one when not given.'),
        query('stderr-26jJhFUR', 'boolean', 'Carries standard error; true when not given.'),
        query('stdin-sEFnN3IS', 'boolean', 'Carries standard input; false when not given.'),
        query('stdout-005YMKE6', 'boolean', 'Carries standard output; true when not given.'),
        query('tty-g7MlET_l', 'boolean', 'The process has a terminal; false when not given.'),
      ],
      open: false,
    },
  ],
  [
    'pods/exec',
    {
      kind: 'PodExecOptions',
      methods: STREAM,
      parameters: [
        query(
          'command-Py3eQybp',
          'string',
          'The command and its arguments, one value each; no shell reads them.',
        ),
        query('container-i5dOmRiM', 'string', 'The container to run it in; the only one when not given.'),
        query('stderr-W_1TNlWc', 'boolean', 'Carries standard error.'),
        query('stdin-PSzNhyUC', 'boolean', 'Carries standard input; false when not given.'),
        query('stdout--EZLRwV1', 'boolean', 'Carries standard output.'),
        query('tty-s0flW37O', 'boolean', 'Gives the command a terminal; false when not given.'),
      ],
      open: false,
    },
  ],
  [
    'pods/portforward',
    {
      kind: 'PodPortForwardOptions',
      methods: STREAM,
      parameters: [query('ports-91KROJmm', 'integer', 'The ports to forward; needed over WebSockets.')],
      open: false,
    },
  ],
  [
    'pods/log',
    {
      methods: ['get'],
      parameters: [
        query(
          'container-1GeXxFDC',
          'string',
          'The container whose log is read; the only one when not given.',
        ),
        query('follow-9OIXh_2R', 'boolean', 'Goes on with what is written from now on.'),
        query(
          'insecureSkipTLSVerifyBackend-gM00jVbe',
          'boolean',
          "Does not check the kubelet's certificate: what is read may come from anybody.",
        ),
        query(
          'limitBytes-zwd1RXuc',
          'integer',
          'Ends after so many bytes, in the middle of a line if need be.',
        ),
        PRETTY,
        query('previous-1jxDPu3y', 'boolean', 'Reads the log of the container that ran before this one.'),
        query('sinceSeconds-vE2NLdnP', 'integer', 'Only what was written in the last so many seconds.'),
        query(
          'stream-l-48cgXv',
          'string',
          'All, Stdout or Stderr; All when not given, which tailLines wants.',
        ),
        query('tailLines-9xQLWHMV', 'integer', 'Only so many lines from the end.'),
        query('timestamps-c17fW1w_', 'boolean', 'Puts the time (RFC 3339) before each line.'),
      ],
      open: false,
    },
  ],
  ['pods/proxy', proxy('PodProxyOptions', 'path-oPbzgLUj', 'pod')],
  ['services/proxy', proxy('ServiceProxyOptions', 'path-QCf0eosM', 'service')],
  ['nodes/proxy', proxy('NodeProxyOptions', 'path-rFDtV0x9', 'node')],
]);
