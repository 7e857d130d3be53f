/**
 * Where our outputs differ from Debian's etcd 3.4.23 on purpose, each with its reason: we are etcd 3.7. A
 * difference that is not listed here fails the test, and so does an entry that nothing needs any more.
 */
import { KEELSON_FLAGS } from '../harness/binaries.ts';

export interface KnownDifference {
  /** Names of the steps it is about. */
  readonly step: RegExp;
  readonly reason: string;
  /** Lines of either side into what both must be equal in. */
  readonly rewrite: (lines: readonly string[]) => readonly string[];
}

/** Replaces what a pattern finds in each line. */
const each =
  (pattern: RegExp, word: string) =>
  (lines: readonly string[]): readonly string[] =>
    lines.map((line) => line.replace(pattern, word));

/** Ours alone serves gRPC; the other transport is a library with its own mind. */
const NATIVE = !KEELSON_FLAGS.includes('--rpc-transport=grpc-js');

/** The step cannot be compared at all. */
const nothing = (): readonly string[] => [];

export const CTL_DIFFERENCES: readonly KnownDifference[] = [
  {
    step: /^check perf$/,
    reason: 'how fast the two are, side by side on one machine, is for the benchmark to say',
    rewrite: (lines) =>
      lines
        .filter((line) => !/^-- (?:revision|exit code) |^(?:PASS|FAIL)$/.test(line))
        .map((line) => line.replace(/^(?:(?:PASS|FAIL): )?(Throughput|Slowest request|Stddev).*/, '$1'))
        .map((line) => line.replace(/(Compact(?:ing|ed) with revision) \d+$/, '$1')),
  },
  {
    step: /^snapshot status( -w json)?$/,
    reason:
      'hash, size and number of keys are of the whole database: ids and times are in it, and what 3.5 and later write beside the keys (terms, versions, the configuration)',
    rewrite: (lines) =>
      lines.map((line) =>
        line
          .replace(/^[0-9a-f]+, (\d+), \d+, .*/, '<hash>, $1, <keys>, <size>')
          .replace(/"hash":\d+,"revision":(\d+),.*/, '"revision":$1'),
      ),
  },
  {
    step: /^get --keys-only of a leased key$/,
    reason: '3.7 answers keys-only from the index, which knows no leases: the field is 0',
    rewrite: each(/^"Lease" : .*/, '"Lease" : <any>'),
  },
  ...(NATIVE
    ? []
    : [
        {
          step: /^endpoint status --cluster$/,
          reason:
            'etcdctl 3.4 sends the URL as :authority there, which the HTTP/2 of Node under @grpc/grpc-js refuses (PROTOCOL_ERROR)',
          rewrite: nothing,
        },
      ]),
];

/** Leaves out the fields that only one side has. */
const without =
  (...fields: readonly RegExp[]) =>
  (lines: readonly string[]): readonly string[] =>
    lines.filter((line) => !fields.some((field) => field.test(line)));

export const API_DIFFERENCES: readonly KnownDifference[] = [
  {
    step: /^maintenance: status$/,
    reason: '3.7 tells its version, storage version, quota and downgrade state',
    rewrite: without(/^version /, /^storageVersion /, /^dbSizeQuota /, /^downgradeInfo/),
  },
  {
    step: /^maintenance: no alarms$/,
    reason: '3.7 answers Alarm with a header, 3.4 with none',
    rewrite: without(/^header/),
  },
  ...(NATIVE
    ? []
    : [
        {
          step: /^an unknown (method|service)$/,
          reason: '@grpc/grpc-js has its own words for Unimplemented',
          rewrite: each(/^error Unimplemented: .*/, 'error Unimplemented: <any>'),
        },
      ]),
];
