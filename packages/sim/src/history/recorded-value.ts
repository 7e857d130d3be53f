/**
 * How a long value is written in a history: its beginning, its length and its checksum, so that a million operations stay
 * small and equal values stay equal. The order of two values survives where their first bytes differ.
 */
import { crc32c, keyToBytes } from '@keelson/base';

const KEPT = 48;

/** Short values as they are. A recorder uses it for all values, asked, told and compared with, or for none. */
export function recordedValue(value: string): string {
  if (value.length <= KEPT * 2) return value;
  return `${value.slice(0, KEPT)}..${value.length}.${crc32c(keyToBytes(value)).toString(16)}`;
}
