/**
 * Flame graphs of a cluster's members: asks who leads, lets every member end in order (Node then writes its profile),
 * and draws each step's window of each. The files stay where the user wants them; the raw profiles do not.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { etcdserverpb, services } from '@keelson/proto';
import { profilesOf, type Cluster, type Member } from '../servers.ts';
import { number } from '../text.ts';
import { openChannel } from '../transport.ts';
import { flameGraph } from './flame-graph.ts';
import { busyOnly, mergeStacks, type CpuProfile } from './stacks.ts';

export interface Profiled {
  readonly step: string;
  readonly windowUs: readonly [number, number];
}

/**
 * Ends the cluster. @param directory is made
 * @returns the files written; none when the members are no Node processes
 */
export async function saveFlameGraphs(
  cluster: Cluster,
  windows: readonly Profiled[],
  directory: string,
): Promise<string[]> {
  const leaders = await Promise.all(cluster.members.map((member) => leads(cluster, member)));
  await cluster.stop();
  mkdirSync(directory, { recursive: true });
  const files: string[] = [];
  for (const [i, member] of cluster.members.entries()) {
    const profile = profileOf(member);
    if (profile === undefined) continue;
    for (const { step, windowUs } of windows) {
      const role = cluster.members.length === 1 ? 'only member' : leaders[i] ? 'leader' : 'follower';
      const { root, busyShare } = busyOnly(mergeStacks(profile, windowUs));
      const seconds = number((windowUs[1] - windowUs[0]) / 1e6);
      const svg = flameGraph({
        title: `${step}: ${role} ${member.name}`,
        subtitle: `main thread, ${number(100 * busyShare)} % busy in a window of ${seconds} s; widths are shares of the busy time`,
        root,
      });
      const name = [cluster.label, step, member.name, ...(leaders[i] ? ['leader'] : [])].join('-');
      const file = path.join(directory, `${name.replaceAll(/[^\w.-]+/g, '-')}.svg`);
      writeFileSync(file, svg);
      files.push(file);
    }
  }
  return files;
}

/**
 * Flame graphs of a process that has ended.
 *
 * @param profiles where Node left its profile
 * @returns the files written
 */
export function saveProcessProfile(
  name: string,
  profiles: string,
  windows: readonly Profiled[],
  directory: string,
): string[] {
  const profile = largestOf(profiles);
  if (profile === undefined) return [];
  return windows.map(({ step, windowUs }) => {
    const { root, busyShare } = busyOnly(mergeStacks(profile, windowUs));
    const seconds = number((windowUs[1] - windowUs[0]) / 1e6);
    const svg = flameGraph({
      title: `${step}: ${name}`,
      subtitle: `main thread, ${number(100 * busyShare)} % busy in a window of ${seconds} s; widths are shares of the busy time`,
      root,
    });
    const file = path.join(directory, `${name}-${step}.svg`);
    writeFileSync(file, svg);
    return file;
  });
}

async function leads(cluster: Cluster, member: Member): Promise<boolean> {
  const channel = openChannel('native', member.address, cluster.tls);
  try {
    const request = new etcdserverpb.StatusRequest({});
    const { header, leader } = await channel.unary(services.Maintenance.methods.status, request, {
      timeoutMs: 5000,
    });
    return header !== undefined && header !== null && header.memberId === leader;
  } finally {
    channel.close();
  }
}

/** Of the main thread: the largest, if there are others. */
function profileOf({ directory }: Member): CpuProfile | undefined {
  return largestOf(profilesOf(directory));
}

function largestOf(profiles: string): CpuProfile | undefined {
  if (!existsSync(profiles)) return undefined;
  const files = readdirSync(profiles).filter((name) => name.endsWith('.cpuprofile'));
  const texts = files.map((name) => readFileSync(path.join(profiles, name), 'utf8'));
  const [largest] = texts.toSorted((a, b) => b.length - a.length);
  if (largest === undefined) return undefined;
  const profile: CpuProfile = JSON.parse(largest);
  return profile;
}
