/** The metrics of the audit log; registered only where there is one. They are read when somebody scrapes. */
import type { Registry } from '../metrics/registry.ts';
import { AUDIT_QUEUE_BYTES_MAX, type AuditLog } from './audit-log.ts';

export function registerAudit(registry: Registry, log: AuditLog): void {
  const { counters } = log;
  const counter = (name: string, help: string, value: () => number): void =>
    registry.read('counter', `keelson_audit_${name}_total`, help, value);
  counter('lines', 'Lines of the audit log that were written.', () => counters.written);
  counter('dropped', 'Lines that were left out of it.', () => counters.dropped);
  counter('refused', 'Requests refused because it could not be written.', () => counters.refused);
  counter('write_failures', 'Failed writes to its output.', () => counters.failures);
  registry.read('gauge', 'keelson_audit_queue_bytes', 'Bytes of lines that wait.', () => log.queuedBytes);
  registry.read(
    'gauge',
    'keelson_audit_queue_bytes_max',
    'Bytes of lines that may wait.',
    () => AUDIT_QUEUE_BYTES_MAX,
  );
  registry.read('gauge', 'keelson_audit_failing', '1 while the audit log cannot be written.', () =>
    log.failing ? 1 : 0,
  );
}
