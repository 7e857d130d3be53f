/**
 * Alarms: standing facts about the cluster, raised and cleared through the log and kept in the backend,
 * one per (member, type). NOSPACE stops what takes space, CORRUPT stops everything (etcd: alarm bucket,
 * v3alarm/alarms.go). Only an explicit disarm clears one.
 */
export const AlarmType = { None: 0, NoSpace: 1, Corrupt: 2 } as const;
export type AlarmType = (typeof AlarmType)[keyof typeof AlarmType];

export interface Alarm {
  readonly memberId: bigint;
  readonly type: number;
}

/** Where alarms are kept: the key is the AlarmMember message itself, the value is empty, as in etcd. */
export interface AlarmStore {
  put(alarm: Alarm): void;
  delete(alarm: Alarm): void;
}

export class Alarms {
  private byType = new Map<number, Map<bigint, Alarm>>();
  private readonly store: AlarmStore;

  constructor(store: AlarmStore) {
    this.store = store;
  }

  /** Replaces all by what a backend or snapshot holds. */
  restore(alarms: readonly Alarm[]): void {
    this.byType = new Map();
    for (const alarm of alarms) this.file(alarm);
  }

  /** Raises an alarm; a standing one stays as it is. */
  activate(memberId: bigint, type: number): Alarm {
    const known = this.byType.get(type)?.get(memberId);
    if (known !== undefined) return known;
    const alarm: Alarm = { memberId, type };
    this.file(alarm);
    this.store.put(alarm);
    return alarm;
  }

  /** Clears exactly (member, type). @returns what was cleared, undefined when it did not stand */
  deactivate(memberId: bigint, type: number): Alarm | undefined {
    const known = this.byType.get(type)?.get(memberId);
    if (known === undefined) return undefined;
    this.byType.get(type)?.delete(memberId);
    this.store.delete(known);
    return known;
  }

  /** Standing alarms of a type, or all for None, by type and member. */
  list(type: number): Alarm[] {
    const types = type === AlarmType.None ? [...this.byType.keys()].sort((a, b) => a - b) : [type];
    return types.flatMap((each) =>
      [...(this.byType.get(each)?.values() ?? [])].sort((a, b) => (a.memberId < b.memberId ? -1 : 1)),
    );
  }

  stands(type: number): boolean {
    return (this.byType.get(type)?.size ?? 0) > 0;
  }

  private file(alarm: Alarm): void {
    let members = this.byType.get(alarm.type);
    if (members === undefined) {
      members = new Map();
      this.byType.set(alarm.type, members);
    }
    members.set(alarm.memberId, alarm);
  }
}
