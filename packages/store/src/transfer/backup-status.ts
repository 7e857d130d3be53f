/** What a backup folder holds, checked file by file: for people who ask where they can go back to. */
import type { BackupBase, BackupIncrement, BackupPoint } from './backup-manifest.ts';
import { damageOf, manifestIn, pointsOf } from './backup-chain.ts';
import { differenceOf } from './backup-digest.ts';
import type { OfflineWorld } from './database.ts';

/** A file and what is wrong with it. */
export interface Judged<T> {
  readonly item: T;
  /** Undefined: nothing. */
  readonly damage: string | undefined;
}

export interface ChainStatus {
  readonly directory: string;
  readonly base: Judged<BackupBase>;
  readonly increments: readonly Judged<BackupIncrement>[];
  /** States one can return to, oldest first: up to the first damage. Between them every revision is reachable. */
  readonly points: readonly BackupPoint[];
}

export interface BackupStatus {
  readonly clusterId: bigint;
  readonly chains: readonly ChainStatus[];
}

/** @throws FatalError for a directory that is no backup folder */
export async function backupStatus({ disk }: OfflineWorld, directory: string): Promise<BackupStatus> {
  const { clusterId, chains } = await manifestIn(disk, directory);
  const judged: ChainStatus[] = [];
  for (const chain of chains) {
    const pathOf = (file: string): string => `${directory}/${chain.directory}/${file}`;
    const base = { item: chain.base, damage: await differenceOf(disk, pathOf(chain.base.file), chain.base) };
    const increments: Judged<BackupIncrement>[] = [];
    const points = base.damage === undefined ? [...pointsOf({ ...chain, increments: [] })] : [];
    let whole = base.damage === undefined;
    let before: BackupPoint = chain.base;
    for (const item of chain.increments) {
      const damage = await damageOf(disk, pathOf(item.file), item, before);
      increments.push({ item, damage });
      whole &&= damage === undefined;
      if (whole) points.push(...item.points);
      before = item.points.at(-1) ?? before;
    }
    judged.push({ directory: chain.directory, base, increments, points });
  }
  return { clusterId, chains: judged };
}
