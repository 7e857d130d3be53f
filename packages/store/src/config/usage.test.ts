/**
 * The help and docs/flags.md against the table they come from. Run with UPDATE_DOCS=1 to write the
 * document anew after a change of the table.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';

import { type AnyFlagSpec, FLAGS, IGNORED_FLAGS, SECTIONS } from './flag-table.ts';
import { NOT_YET_SERVED } from './not-served.ts';
import { flagsText, shownDefault, usageText } from './usage.ts';
import { ETCD_VERSION, KEELSON_VERSION, versionLines } from './version.ts';

const ROWS: readonly AnyFlagSpec[] = FLAGS;
const DOCUMENT = new URL('../../../../docs/flags.md', import.meta.url);

function escaped(text: string): string {
  return text.replaceAll('|', '\\|');
}

function status(flag: AnyFlagSpec): string {
  const rows = NOT_YET_SERVED.filter((row) => row.flag === flag.name);
  const [first] = rows;
  if (first === undefined) return flag.inert === undefined ? 'served' : `no effect: ${flag.inert}`;
  if (rows.length === 1 && first.setting === undefined) return `refused: lacks ${first.missing}`;
  const settings = rows.map((row) => {
    const written = row.setting ?? `--${row.flag}`;
    return `\`${written.replace(/^--feature-gates=/, '')}\` (lacks ${row.missing})`;
  });
  return `served; refused: ${settings.join(', ')}`;
}

function flagsDocument(): string {
  const lines = [
    '# Flags of the store',
    '',
    `Every flag of etcd ${ETCD_VERSION}, its default, and what this build does with it:`,
    '',
    '- **served**: works as in etcd.',
    '- **refused**: any value but the default stops the start with one line that names the flag, because the',
    '  feature is not built yet and ignoring it would be worse.',
    '- **no effect**: accepted, and changes nothing, for the reason given.',
    '',
    'The sections _Beyond etcd_ and _Keelson_ hold what etcd has not, off by default.',
    '',
    'Each flag is also a variable: `ETCD_` and its name in capitals with `_` for `-`. Setting both is an error.',
    'With `--config-file` (or `ETCD_CONFIG_FILE`) all other flags and variables are ignored; the column _file_',
    'says where a setting stands in that file if not under its own name. Durations there are nanoseconds.',
    '',
    'Made from the flag table; a test compares the two.',
  ];
  for (const section of SECTIONS) {
    lines.push('', `## ${section}`, '', '| flag | default | status | file |', '| --- | --- | --- | --- |');
    for (const flag of ROWS.filter((row) => row.section === section)) {
      const name = flag.fileOnly === true ? `${flag.name} (file only)` : `\`--${flag.name}\``;
      const shown = shownDefault(flag);
      const file = flag.file === 'none' ? 'not settable' : flag.file === undefined ? '' : `\`${flag.file}\``;
      lines.push(
        `| ${name}<br>${escaped(flag.help)} | ${shown === '' ? '' : `\`${escaped(shown)}\``} | ${escaped(status(flag))} | ${file} |`,
      );
    }
  }
  const ignored = IGNORED_FLAGS.map((name) => `\`--${name}\``).join(', ');
  lines.push(
    '',
    '## Others',
    '',
    '`--version` and `--help` print and exit; `--config-file` is described above.',
  );
  lines.push('', `Ignored with a warning, as in etcd: ${ignored}.`, '');
  return lines.join('\n');
}

/** The formatter aligns the columns of tables; the words are what counts. */
function unaligned(text: string): string {
  return text.replaceAll(/-{3,}/g, '---').replaceAll(/ +/g, ' ');
}

describe('the help', () => {
  test('lists every flag once, in a section', () => {
    const text = flagsText();
    for (const flag of ROWS) {
      const count = text.split(`  --${flag.name} '`).length - 1;
      expect([flag.name, count]).toEqual([flag.name, flag.fileOnly === true ? 0 : 1]);
    }
    for (const section of SECTIONS) expect(text).toContain(`\n${section}:\n`);
  });

  test("begins as etcd's does", () => {
    expect(usageText().startsWith('Usage:\n\n  etcd [flags]\n')).toBe(true);
    expect(flagsText()).toContain("\n  --name 'default'\n    ");
    expect(flagsText()).toContain("\n  --data-dir '${name}.etcd'\n");
    expect(flagsText()).toContain("\n  --grpc-keepalive-interval '2h0m0s'\n");
  });
});

describe('--version', () => {
  test('is four lines', () => {
    expect(versionLines({ version: 'v24.1.0', platform: 'linux', arch: 'x64' })).toEqual([
      'etcd Version: 3.7.1',
      'Git SHA: keelson-0.1.0',
      'Go Version: node v24.1.0',
      'Go OS/Arch: linux/amd64',
    ]);
    expect(versionLines({ version: 'v24.1.0', platform: 'win32', arch: 'arm64' })[3]).toBe(
      'Go OS/Arch: windows/arm64',
    );
  });

  test('names the version of this package', () => {
    const manifest: unknown = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    );
    expect(manifest).toMatchObject({ version: KEELSON_VERSION });
  });
});

test('docs/flags.md is what the table says (UPDATE_DOCS=1 writes it)', () => {
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(DOCUMENT, flagsDocument());
  expect(unaligned(readFileSync(DOCUMENT, 'utf8'))).toBe(unaligned(flagsDocument()));
});
