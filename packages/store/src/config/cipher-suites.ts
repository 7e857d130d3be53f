/** What --cipher-suites may name, in etcd's words. */
import { unknownCipherSuite } from '@keelson/rpc';
import { goQuote } from './go-values.ts';

/** Why one of the names cannot stand in --cipher-suites. */
export function cipherSuitesProblem(names: readonly string[]): string | undefined {
  const unknown = unknownCipherSuite(names);
  return unknown === undefined ? undefined : `unexpected TLS cipher suite ${goQuote(unknown)}`;
}
