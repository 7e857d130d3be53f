/**
 * What people type, in order, and what kubectl must answer: the commands that need no node. A script is data: each step
 * has its arguments, its input and what is expected of it; `NS` in any of them stands for the namespace of the run. Texts
 * are those of a kube-apiserver 1.36 with the kubectl named in the test.
 */

export interface KubectlStep {
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Exit code; 0 unless said. */
  readonly code?: number;
  /** The whole output, or what it matches; anything unless said. */
  readonly out?: string | RegExp;
  /** Of standard error; nothing unless said. */
  readonly err?: string | RegExp;
  /** The minor version of kubectl that can do it first. */
  readonly since?: number;
  /** Asked again until it answers so: what control loops do takes its time. */
  readonly eventually?: true;
}

const inside = (...args: string[]): string[] => ['-n', 'NS', ...args];
const ANYTHING = /^/;

function web(color: string): string {
  return `apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}
data: {color: ${color}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: nginx
        image: nginx:1.25
        ports: [{containerPort: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{port: 80}]
`;
}

const MANAGED = `apiVersion: v1
kind: ConfigMap
metadata: {name: managed}
data: {a: ours}
`;

export const KUBECTL_SCRIPT: readonly KubectlStep[] = [
  // A namespace, and what the loops put into it.
  { args: ['create', 'namespace', 'NS'], out: 'namespace/NS created\n' },
  {
    args: inside('get', 'serviceaccount', 'default', '-o', 'name'),
    out: 'serviceaccount/default\n',
    eventually: true,
  },
  {
    args: inside('get', 'cm', 'kube-root-ca.crt', '-o', 'name'),
    out: 'configmap/kube-root-ca.crt\n',
    eventually: true,
  },
  {
    args: ['create', 'namespace', 'NS'],
    code: 1,
    err: 'Error from server (AlreadyExists): namespaces "NS" already exists\n',
  },
  { args: ['get', 'ns', 'NS'], out: /^NAME +STATUS +AGE\nNS +Active +\d+s\n$/ },

  // apply by the client.
  {
    args: inside('apply', '-f', '-'),
    stdin: web('blue'),
    out: 'configmap/settings created\ndeployment.apps/web created\nservice/web created\n',
  },
  {
    args: inside('apply', '-f', '-'),
    stdin: web('blue'),
    out: 'configmap/settings unchanged\ndeployment.apps/web unchanged\nservice/web unchanged\n',
  },
  {
    args: inside('diff', '-f', '-'),
    stdin: web('green'),
    code: 1,
    out: /\n- {2}color: blue\n\+ {2}color: green\n/,
    err: ANYTHING,
  },
  {
    args: inside('apply', '-f', '-'),
    stdin: web('green'),
    out: 'configmap/settings configured\ndeployment.apps/web unchanged\nservice/web unchanged\n',
  },
  { args: inside('get', 'cm', 'settings', '-o', 'jsonpath={.data.color}'), out: 'green' },

  // Tables and other forms.
  {
    args: inside('get', 'deploy,svc', '-l', 'app=web'),
    out: /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\ndeployment\.apps\/web +0\/3 +0 +0 +\d+s\n\nNAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE\nservice\/web +ClusterIP +10\.0\.0\.\d+ +<none> +80\/TCP +\d+s\n$/,
  },
  {
    args: inside('get', 'deploy', 'web', '-o', 'wide', '--show-labels'),
    out: /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS +IMAGES +SELECTOR +LABELS\nweb +0\/3 +0 +0 +\d+s +nginx +nginx:1\.25 +app=web +app=web\n$/,
  },
  {
    args: inside('get', 'deploy', '-o', 'custom-columns=N:.metadata.name,R:.spec.replicas'),
    out: 'N     R\nweb   3\n',
  },
  {
    args: inside('get', 'cm', '--chunk-size=1', '-o', 'name'),
    out: 'configmap/kube-root-ca.crt\nconfigmap/settings\n',
  },
  {
    args: inside('get', 'cm', '--field-selector', 'metadata.name=settings', '-o', 'name'),
    out: 'configmap/settings\n',
  },
  {
    args: inside('get', 'cm', 'nobody'),
    code: 1,
    err: 'Error from server (NotFound): configmaps "nobody" not found\n',
  },
  { args: ['get', 'nothing'], code: 1, err: 'error: the server doesn\'t have a resource type "nothing"\n' },

  // Changes of one object.
  { args: inside('scale', 'deploy/web', '--replicas=5'), out: 'deployment.apps/web scaled\n' },
  { args: inside('label', 'deploy', 'web', 'tier=front'), out: 'deployment.apps/web labeled\n' },
  {
    args: inside('label', 'deploy', 'web', 'tier=back'),
    code: 1,
    err: "error: 'tier' already has a value (front), and --overwrite is false\n",
  },
  { args: inside('annotate', 'deploy', 'web', 'note=hello'), out: /^deployment\.apps\/web annotated?\n$/ },
  {
    args: inside('set', 'image', 'deploy/web', 'nginx=nginx:1.26'),
    out: 'deployment.apps/web image updated\n',
  },
  {
    args: inside('patch', 'deploy', 'web', '-p', '{"spec":{"minReadySeconds":3}}'),
    out: 'deployment.apps/web patched\n',
  },
  {
    args: inside(
      'patch',
      'deploy',
      'web',
      '--type=json',
      '-p',
      '[{"op":"test","path":"/spec/replicas","value":4}]',
    ),
    code: 1,
    err: /testing path \/spec\/replicas value failed|The request is invalid/,
  },
  {
    args: inside(
      'get',
      'deploy',
      'web',
      '-o',
      'jsonpath={.spec.replicas} {.spec.minReadySeconds} {.metadata.generation} {.spec.template.spec.containers[0].image}',
    ),
    out: '5 3 4 nginx:1.26',
  },
  {
    args: inside('edit', 'cm', 'settings'),
    env: { KUBE_EDITOR: 'sed -i s/green/red/' },
    out: 'configmap/settings edited\n',
  },
  { args: inside('get', 'cm', 'settings', '-o', 'jsonpath={.data.color}'), out: 'red' },
  {
    args: inside('replace', '-f', '-'),
    stdin: web('white').split('---')[0] ?? '',
    out: 'configmap/settings replaced\n',
  },
  {
    args: inside('rollout', 'history', 'deploy/web'),
    out: 'deployment.apps/web \nNo rollout history found.\n',
  },
  { args: inside('rollout', 'pause', 'deploy/web'), out: 'deployment.apps/web paused\n' },
  { args: inside('rollout', 'resume', 'deploy/web'), out: 'deployment.apps/web resumed\n' },
  {
    args: inside(
      'patch',
      'deploy',
      'web',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"observedGeneration":9,"replicas":5,"updatedReplicas":5,"readyReplicas":5,"availableReplicas":5,"conditions":[{"type":"Available","status":"True","reason":"MinimumReplicasAvailable","message":"up"}]}}',
    ),
    out: 'deployment.apps/web patched\n',
  },
  {
    args: inside('rollout', 'status', 'deploy/web', '--timeout=30s'),
    out: 'deployment "web" successfully rolled out\n',
  },
  {
    args: inside('wait', '--for=condition=Available', 'deploy/web', '--timeout=30s'),
    out: 'deployment.apps/web condition met\n',
  },

  // Dry runs write nothing.
  {
    args: inside('create', 'cm', 'dry', '--from-literal=a=b', '--dry-run=server'),
    out: 'configmap/dry created (server dry run)\n',
  },
  {
    args: inside('get', 'cm', 'dry'),
    code: 1,
    err: 'Error from server (NotFound): configmaps "dry" not found\n',
  },

  // apply by the server, with its owners.
  {
    args: inside('apply', '--server-side', '-f', '-'),
    stdin: MANAGED,
    out: 'configmap/managed serverside-applied\n',
  },
  {
    args: inside('apply', '--server-side', '--field-manager=other', '-f', '-'),
    stdin: MANAGED.replace('ours', 'theirs'),
    code: 1,
    err: /Apply failed with 1 conflict: conflict with "kubectl": \.data\.a\n/,
  },
  {
    args: inside('apply', '--server-side', '--field-manager=other', '--force-conflicts', '-f', '-'),
    stdin: MANAGED.replace('ours', 'theirs'),
    out: 'configmap/managed serverside-applied\n',
  },
  {
    args: inside('get', 'cm', 'managed', '-o', 'jsonpath={.data.a} {.metadata.managedFields[*].manager}'),
    out: /^theirs .*other/,
  },

  // What is refused, in the original's words.
  {
    args: inside('create', 'cm', 'Bad'),
    code: 1,
    err: `error: failed to create configmap: ConfigMap "Bad" is invalid: metadata.name: Invalid value: "Bad": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n`,
  },
  {
    args: inside('create', '-f', '-'),
    stdin: MANAGED.replace('\ndata:', '\ndato:').replace('managed', 'unmanaged'),
    code: 1,
    err: 'Error from server (BadRequest): error when creating "STDIN": ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dato"\n',
  },
  {
    args: inside('patch', 'deploy', 'web', '-p', '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'),
    code: 1,
    err: /^The Deployment "web" is invalid: [^]*spec\.selector: Invalid value: [^]*field is immutable\n$/,
  },

  // Objects that kubectl makes by itself, in protobuf from 1.32 on.
  {
    args: inside('create', 'deployment', 'zero', '--image=nginx', '--replicas=0'),
    out: 'deployment.apps/zero created\n',
  },
  { args: inside('get', 'deploy', 'zero', '-o', 'jsonpath={.spec.replicas}'), out: '0' },
  { args: inside('create', 'secret', 'generic', 'key', '--from-literal=a=b'), out: 'secret/key created\n' },
  { args: inside('get', 'secret', 'key'), out: /^NAME +TYPE +DATA +AGE\nkey +Opaque +1 +\d+s\n$/ },
  { args: inside('create', 'job', 'once', '--image=busybox', '--', 'true'), out: 'job.batch/once created\n' },
  {
    args: inside('create', 'cronjob', 'often', '--image=busybox', '--schedule=* * * * *'),
    out: 'cronjob.batch/often created\n',
  },
  { args: inside('run', 'alone', '--image=nginx'), out: 'pod/alone created\n' },
  {
    args: inside('get', 'pod', 'alone'),
    out: /^NAME +READY +STATUS +RESTARTS +AGE\nalone +0\/1 +Pending +0 +\d+s\n$/,
  },
  { args: inside('expose', 'pod', 'alone', '--port=80', '--name=alone'), out: 'service/alone exposed\n' },
  { args: inside('create', 'quota', 'few', '--hard=pods=2'), out: 'resourcequota/few created\n' },
  {
    args: inside('create', 'pdb', 'web', '--selector=app=web', '--min-available=1'),
    out: 'poddisruptionbudget.policy/web created\n',
  },
  {
    args: inside('create', 'ingress', 'web', '--rule=example.com/=web:80'),
    out: 'ingress.networking.k8s.io/web created\n',
  },
  {
    args: inside('autoscale', 'deploy', 'web', '--min=1', '--max=3'),
    out: 'horizontalpodautoscaler.autoscaling/web autoscaled\n',
  },
  {
    args: inside(
      'patch',
      'job',
      'once',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"startTime":"2026-01-01T00:00:00Z","completionTime":"2026-01-01T00:00:01Z","succeeded":1,"conditions":[{"type":"SuccessCriteriaMet","status":"True"},{"type":"Complete","status":"True"}]}}',
    ),
    out: 'job.batch/once patched\n',
  },
  {
    args: inside('wait', '--for=condition=complete', 'job/once', '--timeout=30s'),
    out: 'job.batch/once condition met\n',
  },
  {
    args: inside('describe', 'deploy', 'web'),
    out: /^Name: +web\nNamespace: +NS\n[^]*\nReplicas: +5 desired \| 5 updated \| 5 total \| 5 available \| 0 unavailable\n/,
  },

  // Who may do what.
  { args: inside('create', 'serviceaccount', 'bot'), out: 'serviceaccount/bot created\n' },
  { args: inside('create', 'token', 'bot', '--duration=10m'), out: /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n?$/ },
  {
    args: inside('auth', 'can-i', 'list', 'pods', '--as=system:serviceaccount:NS:bot'),
    code: 1,
    out: 'no\n',
  },
  {
    args: inside('create', 'rolebinding', 'bots', '--clusterrole=view', '--serviceaccount=NS:bot'),
    out: 'rolebinding.rbac.authorization.k8s.io/bots created\n',
  },
  {
    args: inside('auth', 'can-i', 'list', 'pods', '--as=system:serviceaccount:NS:bot'),
    out: 'yes\n',
    eventually: true,
  },
  {
    args: inside('get', 'pods', '--as=jane'),
    code: 1,
    err: 'Error from server (Forbidden): pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "NS"\n',
  },
  {
    args: inside('auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}'),
    out: 'kubernetes-admin',
    since: 28,
  },

  // Discovery and documents.
  {
    args: ['api-resources', '--api-group=apps', '-o', 'name'],
    out: 'controllerrevisions.apps\ndaemonsets.apps\ndeployments.apps\nreplicasets.apps\nstatefulsets.apps\n',
  },
  { args: ['explain', 'deployment.spec.replicas'], out: /FIELD: +replicas <integer>/ },
  { args: ['get', '--raw', '/readyz'], out: 'ok' },
  {
    args: ['get', '--raw', '/apis/nothing'],
    code: 1,
    err: 'Error from server (NotFound): the server could not find the requested resource\n',
  },

  // The end.
  {
    args: inside('delete', 'deploy', 'zero', '--cascade=foreground'),
    out: /^deployment\.apps "zero" deleted/,
  },
  {
    args: inside('delete', '-f', '-'),
    stdin: web('white'),
    out: /^configmap "settings" deleted[^]*deployment\.apps "web" deleted[^]*service "web" deleted/,
  },
  { args: inside('wait', '--for=delete', 'cm/settings', '--timeout=30s'), out: ANYTHING },
  { args: ['delete', 'namespace', 'NS', '--timeout=90s'], out: /^namespace "NS" deleted/ },
  {
    args: ['get', 'namespace', 'NS'],
    code: 1,
    err: 'Error from server (NotFound): namespaces "NS" not found\n',
  },
];
