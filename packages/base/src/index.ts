export { assert, unreachable, AssertionError } from './assert.ts';
export {
  EMPTY,
  COUNT_MAX,
  asBuffer,
  keyFromBytes,
  keyToBytes,
  ownBytes,
  prefixEnd,
  readU64BE,
  writeU64BE,
  hexId,
} from './bytes.ts';
export { type Clock, type Timer, systemClock } from './clock.ts';
export { crc32c } from './crc32c.ts';
export { Deferred } from './deferred.ts';
export { type Disk, type DiskFile } from './disk.ts';
export { FlagError, readFlagWords, type FlagShape, type FlagWords } from './flag-words.ts';
export { goEscape, goQuote, isPrintable } from './go-text.ts';
export { Heap, type HeapItem } from './heap.ts';
export {
  type Logger,
  type LogFields,
  type LogLevel,
  JsonLogger,
  silentLogger,
  formatTimestamp,
} from './logger.ts';
export { nodeHttp } from './node-http.ts';
export { pause } from './pause.ts';
export { Profiles } from './profiles.ts';
export { encodeProfile } from './profile-encoding.ts';
export { Prng } from './prng.ts';
export { Ring } from './ring.ts';
export { SortedMap, SortedMapBuilder, type Visit } from './sorted-map.ts';
export { toError } from './to-error.ts';
