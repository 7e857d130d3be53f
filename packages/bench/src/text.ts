/** Figures as text: one line for a run, cells for tables. Numbers keep three digits that mean something. */
import type { Measured } from './measured.ts';

/** 12345.6 → "12,346"; 1.2345 → "1.23". */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function describeMeasured(measured: Measured): string {
  const { latency, completed, perSecond, serverCpuUsPerCall, generatorCpuUsPerCall, extra } = measured;
  const parts: string[] = [];
  if (completed > 0) {
    parts.push(
      `${number(perSecond)}/s`,
      `mean ${number(latency.mean)} p50 ${number(latency.p50)} p99 ${number(latency.p99)} max ${number(latency.max)} ms`,
    );
    if (serverCpuUsPerCall !== undefined) parts.push(`servers ${number(serverCpuUsPerCall)} µs`);
    parts.push(`generator ${number(generatorCpuUsPerCall)} µs a call`);
  }
  for (const [name, value] of Object.entries(extra)) parts.push(`${name} ${number(value)}`);
  for (const [status, count] of Object.entries(measured.errors)) parts.push(`${count} × ${status}`);
  return parts.length === 0 ? 'nothing measured' : parts.join(' · ');
}
