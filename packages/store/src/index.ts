export { main } from './main.ts';
export { StoreServer } from './server.ts';
export { realWorld, type BoundTransport, type World } from './world.ts';
export { defaultServerConfig, parseServerConfig } from './config/config.ts';
export type { ServerConfig } from './config/flag-table.ts';
// Values as etcd's flags spell them, for the proxies.
export {
  formatGoDuration,
  goQuote,
  parseGoBool,
  parseGoDuration,
  parseGoInt,
  parseGoUint,
  type Parsed,
} from './config/go-values.ts';
export { splitHostPort } from './config/urls.ts';
export { FatalError, StoreError, type ErrorCode } from './errors.ts';
export { makeCertificate, type CertificateFields, type Certified } from './tls/certificate.ts';
// Tools on files of members that do not run.
export { makeDurableDirectory } from './disk/durable-directory.ts';
export { exportMember, offlineWorld, restoreIncremental, type ExportOptions } from './offline.ts';
export { hashBuckets } from './snapshot/backend-hash.ts';
export { withDatabase, type Database, type OfflineWorld } from './transfer/database.ts';
export { dumpBucket, dumpBuckets, dumpLog } from './transfer/dump.ts';
export { restoreSnapshot, type RestoreOptions } from './transfer/restore.ts';
export { BackupFolder, type Received } from './transfer/backup-folder.ts';
export type { BackupPoint } from './transfer/backup-manifest.ts';
export { backupStatus, type BackupStatus, type ChainStatus } from './transfer/backup-status.ts';
export type { Moment } from './transfer/point-in-time.ts';
export { defragment, migrate, type StorageVersion } from './transfer/rewrite.ts';
export { offlineHashKV, snapshotStatus, type OfflineHash, type SnapshotStatus } from './transfer/status.ts';
// Rooms that packages/bench measures alone.
export { MemoryBackend } from './backend/memory-backend.ts';
export { WriteBuffer } from './backend/write-buffer.ts';
export { MvccStore } from './mvcc/store.ts';
export { TreeIndex } from './mvcc/tree-index.ts';
export { encodeEntry } from './wal/entry-codec.ts';
export { RecordEncoder, RecordType } from './wal/record.ts';
export { WatchHub } from './watch/hub.ts';
// What packages/proxy/src/grpc is built of: TLS ports, HTTP/1 beside gRPC, metrics, profiles.
export { cipherSuitesProblem } from './config/cipher-suites.ts';
export { allowGet, answerError, answerText, type HttpHandler } from './http/http-answer.ts';
export { plainDoor } from './http/client-http.ts';
export { HttpListener } from './http/http-listener.ts';
export { metricsHandler } from './http/metrics-handler.ts';
export { pprofHandlers } from './http/pprof.ts';
export { processFacts, type ProcessFacts } from './http/process-facts.ts';
export { registerRuntime } from './http/runtime-metrics.ts';
export { Registry } from './metrics/registry.ts';
export { CallMetrics } from './rpc/call-metrics.ts';
export { selfSignedFiles } from './tls/self-signed.ts';
export { TlsAcceptor } from './tls/tls-acceptor.ts';
export { describeSettings, type TlsSettings } from './tls/tls-settings.ts';
