/**
 * All APIServices as they are now, those of other servers read and found by group and version in one step: every
 * request asks here whether it is for another server.
 */

import type { KubeObject } from '../api/meta.ts';
import type { InformerHandler } from '../informer/informer.ts';
import { same } from '../validation/value.ts';
import { remoteApi, type RemoteApi } from './remote-api.ts';

/**
 * Is told the name of each APIService that is new, changed or gone, afterwards.
 *
 * @param otherwise whether it says something else now: more than its status changed
 */
export type RegistrationListener = (name: string, otherwise: boolean) => void;

export class RegisteredApis implements InformerHandler {
  private readonly objects = new Map<string, KubeObject>();
  /** By `group/version`. */
  private readonly byVersion = new Map<string, RemoteApi>();
  private readonly changed: RegistrationListener;
  private count = 0;

  constructor(changed: RegistrationListener) {
    this.changed = changed;
  }

  /** Another number after each change. */
  get changes(): number {
    return this.count;
  }

  put(object: KubeObject): void {
    const name = object.metadata.name ?? '';
    const before = this.objects.get(name);
    if (before !== undefined && before.metadata.resourceVersion === object.metadata.resourceVersion) return;
    this.leave(before);
    this.objects.set(name, object);
    const remote = remoteApi(object);
    if (remote !== undefined) this.byVersion.set(keyOf(remote), remote);
    this.tell(name, before === undefined || !same(before['spec'], object['spec']));
  }

  remove(_namespace: string, name: string): void {
    this.leave(this.objects.get(name));
    this.objects.delete(name);
    this.tell(name, true);
  }

  object(name: string): KubeObject | undefined {
    return this.objects.get(name);
  }

  /** Whether any names another server: most clusters' requests stop asking here. */
  get anyRemote(): boolean {
    return this.byVersion.size > 0;
  }

  remote(group: string, version: string): RemoteApi | undefined {
    return this.byVersion.get(`${group}/${version}`);
  }

  /** Whether the APIService of that name is another server's. */
  isRemote(name: string): boolean {
    const object = this.objects.get(name);
    return object !== undefined && remoteApi(object) !== undefined;
  }

  remotes(): IterableIterator<RemoteApi> {
    return this.byVersion.values();
  }

  private leave(object: KubeObject | undefined): void {
    const remote = object && remoteApi(object);
    if (remote !== undefined) this.byVersion.delete(keyOf(remote));
  }

  private tell(name: string, otherwise: boolean): void {
    this.count += 1;
    this.changed(name, otherwise);
  }
}

function keyOf({ group, version }: RemoteApi): string {
  return `${group}/${version}`;
}
