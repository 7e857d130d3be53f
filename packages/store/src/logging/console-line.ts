/**
 * --log-format=console: a line of the log for people, as zap's console encoder writes it. Time, level, caller and
 * message stand between tabs, the fields behind them as JSON with blanks. It reads back the JSON lines that the
 * logger writes, so there is one logger and one order of fields.
 */
export function consoleLine(jsonLine: string): string {
  const { ts, level, caller, msg, ...fields }: Record<string, unknown> = entryOf(jsonLine);
  const columns = [ts, level, caller, msg].map(String);
  if (Object.keys(fields).length > 0) columns.push(spaced(fields));
  return columns.join('\t') + '\n';
}

function entryOf(jsonLine: string): Record<string, unknown> {
  const parsed: unknown = JSON.parse(jsonLine);
  return typeof parsed === 'object' && parsed !== null ? { ...parsed } : { msg: parsed };
}

/** JSON with a blank behind each colon and comma. */
function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const pairs = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${spaced(each)}`);
  return `{${pairs.join(', ')}}`;
}
