/** Boxes for terminals: members and endpoints only, as etcdctl draws them. */
import type { etcdserverpb } from '@keelson/proto';
import {
  Printer,
  type EndpointHashKV,
  type EndpointHealth,
  type EndpointStatus,
  type Sink,
} from './printer.ts';
import { hashRows, healthRows, memberRows, statusRows, type Rows } from './rows.ts';

/** Cells longer than this are broken at spaces. */
const CELL_WIDTH_MAX = 30;

export class TablePrinter extends Printer {
  constructor(sink: Sink) {
    super('table', sink);
  }

  override memberList(response: etcdserverpb.MemberListResponse): void {
    this.sink.out(drawTable(memberRows(response)));
  }
  override endpointHealth(list: readonly EndpointHealth[]): void {
    this.sink.out(drawTable(healthRows(list)));
  }
  override endpointStatus(list: readonly EndpointStatus[]): void {
    this.sink.out(drawTable(statusRows(list)));
  }
  override endpointHashKV(list: readonly EndpointHashKV[]): void {
    this.sink.out(drawTable(hashRows(list)));
  }
}

/** Headers in capitals and centred, cells to the right. */
export function drawTable({ header, rows }: Rows): string {
  const titles = header.map((title) => title.toUpperCase().replaceAll('_', ' '));
  const cells = rows.map((row) => row.map(wrapped));
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...cells.flatMap((row) => (row[column] ?? []).map((line) => line.length))),
  );
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+\n`;
  const line = (parts: readonly string[]): string => `|${parts.map((part) => ` ${part} `).join('|')}|\n`;
  const body = cells.flatMap((row) => {
    const height = Math.max(...row.map((lines) => lines.length));
    return Array.from({ length: height }, (_, at) =>
      line(widths.map((width, column) => (row[column]?.[at] ?? '').padStart(width))),
    );
  });
  const head = line(titles.map((title, column) => centred(title, widths[column] ?? 0)));
  return rule + head + rule + body.join('') + (rows.length > 0 ? rule : '');
}

function centred(text: string, width: number): string {
  return (' '.repeat(Math.floor((width - text.length) / 2)) + text).padEnd(width);
}

function wrapped(text: string): string[] {
  if (text.length <= CELL_WIDTH_MAX) return [text];
  const words = text.split(/\s+/);
  const limit = Math.max(CELL_WIDTH_MAX, ...words.map((word) => word.length));
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= limit)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
