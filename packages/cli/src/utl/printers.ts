/** What status and hash of a database look like in each output format of etcdutl. */
import type { OfflineHash, SnapshotStatus } from '@keelson/store';
import { CtlError, ExitCode } from '../ctl/ctl-error.ts';
import { drawTable } from '../ctl/printers/table.ts';
import { formatSize } from '../go-text.ts';

/** One result: a row for people, and its fields by the names JSON and "fields" give them. */
interface Shown {
  readonly header: readonly string[];
  readonly row: readonly string[];
  /** Name in "fields" and its value. */
  readonly fields: readonly (readonly [name: string, value: string | number])[];
  readonly json: Readonly<Record<string, string | number>>;
}

/** @throws CtlError for a format that is none, or not one of this */
export function show(format: string, shown: Shown): string {
  switch (format) {
    case 'simple':
      return `${shown.row.join(', ')}\n`;
    case 'json':
      return `${JSON.stringify(shown.json)}\n`;
    case 'table':
      return drawTable({ header: shown.header, rows: [shown.row] });
    case 'fields':
      return shown.fields.map(([name, value]) => `"${name}" : ${value}\n`).join('');
    case 'protobuf':
      throw new CtlError(ExitCode.BadFeature, 'protobuf not supported as output format');
    default:
      throw new CtlError(ExitCode.BadFeature, 'unsupported output format');
  }
}

export function statusShown({ hash, revision, totalKey, totalSize, version }: SnapshotStatus): Shown {
  return {
    header: ['hash', 'revision', 'total keys', 'total size', 'version'],
    row: [hash.toString(16), String(revision), String(totalKey), formatSize(totalSize), version],
    fields: [
      ['Hash', hash],
      ['Revision', revision],
      ['Keys', totalKey],
      ['Size', totalSize],
      ['Version', version],
    ],
    json: { hash, revision, totalKey, totalSize, version },
  };
}

export function hashShown({ hash, hashRevision, compactRevision }: OfflineHash): Shown {
  return {
    header: ['hash', 'hash revision', 'compact revision'],
    row: [String(hash), String(hashRevision), String(compactRevision)],
    fields: [
      ['Hash', hash],
      ['Hash revision', hashRevision],
      ['Compact revision', compactRevision],
    ],
    json: { hash, hashRevision, compactRevision },
  };
}
