/**
 * Nodes that are always ready and run every pod they are given at once, without running anything: what stands between
 * the control plane and upstream's tests where these want nodes. A pod that is not restarted ends by itself, with an error
 * where its command says so. Of images it knows those that cannot be had; of probes and
 * volumes nothing.
 */
import { Agent, request } from 'node:https';
import type { AdminCredentials } from '../../harness/apiserver-process.ts';
import { pause } from '../../harness/waiting.ts';

const HEARTBEAT_MS = 10_000;
const STATUS_MS = 60_000;
const RUNS_MS = 600;
const MERGE = 'application/strategic-merge-patch+json';
const CAPACITY = { cpu: '8', memory: '32Gi', pods: '250', 'ephemeral-storage': '100Gi' };
/** Commands that go on until they are stopped. */
const GOES_ON = /sleep|pause|tail -f|netexec|test-webserver|serve-hostname/;
/** Images that the tests name because nobody has them. */
const MISSING = /:404$|non-existent|nonexistent/;
const FAILS = /exit [1-9]|\bfalse\b/;

interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string;
}

interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly generation?: number;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly nodeName?: string;
    readonly restartPolicy?: string;
    readonly containers: readonly Container[];
    readonly readinessGates?: readonly { readonly conditionType: string }[];
  };
  readonly status: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly conditions?: readonly Condition[];
    readonly containerStatuses?: readonly { readonly image: string }[];
  };
}

interface Answer {
  readonly code: number;
  readonly text: string;
}

export class SmallNodes {
  private readonly url: string;
  private readonly agent: Agent;
  private readonly names: readonly string[];
  private readonly busy = new Set<string>();
  private readonly addresses = new Map<string, string>();
  private readonly timers: NodeJS.Timeout[] = [];
  private stopped = false;

  constructor(url: string, { ca, cert, key }: AdminCredentials, names: readonly string[]) {
    this.url = url;
    this.agent = new Agent({ keepAlive: true, maxSockets: 24, ca, cert, key });
    this.names = names;
  }

  /** Makes the nodes, and begins to look at pods. */
  async start(): Promise<void> {
    await Promise.all(this.names.map((name, at) => this.join(name, at)));
    void this.follow();
  }

  stop(): void {
    this.stopped = true;
    for (const timer of this.timers) clearInterval(timer);
    this.agent.destroy();
  }

  private async join(name: string, at: number): Promise<void> {
    const labels = {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': 'amd64',
      'topology.kubernetes.io/zone': `zone-${at}`,
    };
    await this.call('POST', '/api/v1/nodes', { metadata: { name, labels } });
    const status = async (): Promise<void> => {
      const conditions = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type) => ({
        type,
        status: type === 'Ready' ? 'True' : 'False',
        reason: 'Small',
        lastHeartbeatTime: now(),
        lastTransitionTime: now(),
      }));
      const addresses = [{ type: 'InternalIP', address: `10.99.0.${at + 1}` }];
      const nodeInfo = { kubeletVersion: 'v1.36.0', operatingSystem: 'linux', architecture: 'amd64' };
      const body = { status: { capacity: CAPACITY, allocatable: CAPACITY, addresses, conditions, nodeInfo } };
      await this.call('PATCH', `/api/v1/nodes/${name}/status`, body, MERGE);
    };
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
    const beat = async (): Promise<void> => {
      const renewTime = new Date().toISOString().replace(/Z$/, '000Z');
      const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime };
      const { code } = await this.call(
        'PATCH',
        `${leases}/${name}`,
        { spec },
        'application/merge-patch+json',
      );
      if (code === 404) await this.call('POST', leases, { metadata: { name }, spec });
    };
    await status();
    await beat();
    this.timers.push(
      setInterval(() => void status(), STATUS_MS),
      setInterval(() => void beat(), HEARTBEAT_MS),
    );
  }

  private async follow(): Promise<void> {
    while (!this.stopped) {
      const { code, text } = await this.call('GET', '/api/v1/pods');
      if (code !== 200) {
        await pause(500);
        continue;
      }
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the server under test answers
      const list = JSON.parse(text) as { items: Pod[]; metadata: { resourceVersion: string } };
      for (const pod of list.items) void this.look(pod);
      await this.watch(list.metadata.resourceVersion);
    }
  }

  /** Until the watch ends. */
  private watch(from: string): Promise<void> {
    return new Promise((resolve) => {
      const { ca, cert, key } = this.agent.options;
      const asked = request(
        `${this.url}/api/v1/pods?watch=1&resourceVersion=${from}`,
        { agent: false, ca, cert, key },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8');
          answer.on('data', (chunk: string) => {
            const lines = `${text}${chunk}`.split('\n');
            text = lines.pop() ?? '';
            for (const line of lines) {
              // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the server under test answers
              const { type, object } = JSON.parse(line) as { type: string; object: Pod };
              if (type === 'ERROR') asked.destroy();
              else if (type !== 'DELETED' && type !== 'BOOKMARK') void this.look(object);
            }
          });
          answer.on('close', resolve);
        },
      );
      asked.on('error', () => resolve());
      asked.end();
    });
  }

  private async look(pod: Pod): Promise<void> {
    const { uid, name, namespace, deletionTimestamp } = pod.metadata;
    if (!this.names.includes(pod.spec.nodeName ?? '') || this.busy.has(uid)) return;
    const target = `/api/v1/namespaces/${namespace}/pods/${name}`;
    this.busy.add(uid);
    try {
      if (deletionTimestamp !== undefined) {
        await this.call('DELETE', target, { gracePeriodSeconds: 0, preconditions: { uid } });
        return;
      }
      const { phase } = pod.status;
      if (phase === 'Succeeded' || phase === 'Failed') return;
      if (pod.spec.containers.some(({ image }) => MISSING.test(image))) return;
      const next = phase === 'Running' ? outcome(pod) : 'Running';
      if (!isNews(pod, next)) return;
      const body = { metadata: { uid }, status: this.statusOf(pod, next) };
      await this.call('PATCH', `${target}/status`, body, MERGE);
      if (outcome(pod) !== 'Running') setTimeout(() => void this.again(target, uid), RUNS_MS);
    } finally {
      this.busy.delete(uid);
    }
  }

  private async again(target: string, uid: string): Promise<void> {
    const { code, text } = await this.call('GET', target);
    if (code !== 200) return;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the server under test answers
    const pod = JSON.parse(text) as Pod;
    if (pod.metadata.uid === uid) await this.look(pod);
  }

  private statusOf(pod: Pod, phase: string): object {
    const { uid } = pod.metadata;
    const at = this.addresses.size + 1;
    const podIP = pod.status.podIP ?? this.addresses.get(uid) ?? `10.244.${at >> 8}.${at & 255}`;
    this.addresses.set(uid, podIP);
    const runs = phase === 'Running';
    const exitCode = phase === 'Failed' ? 1 : 0;
    const ended = {
      exitCode,
      reason: exitCode === 0 ? 'Completed' : 'Error',
      startedAt: now(),
      finishedAt: now(),
    };
    const conditions = [
      ['Initialized', true],
      ['Ready', runs && gatesOpen(pod)],
      ['ContainersReady', runs],
    ] as const;
    return {
      phase,
      podIP,
      podIPs: [{ ip: podIP }],
      startTime: now(),
      observedGeneration: pod.metadata.generation,
      conditions: conditions.map(([type, well]) => ({
        type,
        status: well ? 'True' : 'False',
        observedGeneration: pod.metadata.generation,
        lastTransitionTime: now(),
      })),
      containerStatuses: pod.spec.containers.map(({ name, image }) => ({
        name,
        image,
        imageID: image,
        containerID: `small://${uid}-${name}`,
        ready: runs,
        started: runs,
        restartCount: 0,
        state: runs ? { running: { startedAt: now() } } : { terminated: ended },
      })),
    };
  }

  private call(method: string, target: string, body?: object, type = 'application/json'): Promise<Answer> {
    const text = body === undefined ? '' : JSON.stringify(body);
    return new Promise((resolve) => {
      const headers = { 'content-type': type, 'content-length': Buffer.byteLength(text) };
      const asked = request(`${this.url}${target}`, { method, agent: this.agent, headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => parts.push(chunk));
        answer.on('error', () => resolve({ code: 0, text: '' }));
        answer.on('end', () =>
          resolve({ code: answer.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }),
        );
      });
      asked.on('error', () => resolve({ code: 0, text: '' }));
      asked.end(text);
    });
  }
}

function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}

/** What becomes of a pod that runs. */
function outcome({ spec }: Pod): 'Running' | 'Succeeded' | 'Failed' {
  if ((spec.restartPolicy ?? 'Always') === 'Always') return 'Running';
  const text = spec.containers
    .map(({ command = [], args = [] }) => [...command, ...args].join(' '))
    .join(' ');
  if (FAILS.test(text)) return 'Failed';
  return text === '' || GOES_ON.test(text) ? 'Running' : 'Succeeded';
}

function gatesOpen({ spec, status }: Pod): boolean {
  return (spec.readinessGates ?? []).every(({ conditionType }) =>
    (status.conditions ?? []).some(({ type, status: now }) => type === conditionType && now === 'True'),
  );
}

/** Whether the pod does not say so yet. */
function isNews(pod: Pod, phase: string): boolean {
  const { status, spec } = pod;
  const ready = (status.conditions ?? []).find(({ type }) => type === 'Ready')?.status === 'True';
  const images = spec.containers.map(({ image }) => image).join(' ');
  const told = (status.containerStatuses ?? []).map(({ image }) => image).join(' ');
  return status.phase !== phase || ready !== (phase === 'Running' && gatesOpen(pod)) || images !== told;
}
