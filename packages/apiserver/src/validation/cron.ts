/**
 * Schedules of cron jobs: five fields, or a word with an @; and time zones by name. Says what is wrong, never when
 * it is due. Grammar and texts as robfig/cron's standard parser.
 */

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly names: Readonly<Record<string, number>>;
}

const MONTHS = Object.fromEntries(
  'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ').map((name, index) => [name, index + 1]),
);
const DAYS = Object.fromEntries('sun mon tue wed thu fri sat'.split(' ').map((name, index) => [name, index]));

const FIELDS: readonly Bounds[] = [
  { min: 0, max: 59, names: {} },
  { min: 0, max: 23, names: {} },
  { min: 1, max: 31, names: {} },
  { min: 1, max: 12, names: MONTHS },
  { min: 0, max: 6, names: DAYS },
];

const WORDS: ReadonlySet<string> = new Set([
  '@yearly',
  '@annually',
  '@monthly',
  '@weekly',
  '@daily',
  '@midnight',
  '@hourly',
]);

/** What is wrong with a schedule; undefined when nothing is. */
export function scheduleError(schedule: string): string | undefined {
  if (schedule === '') return 'empty spec string';
  if (schedule.startsWith('@')) {
    if (WORDS.has(schedule)) return undefined;
    if (schedule.startsWith('@every ')) {
      return /^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(schedule.slice(7))
        ? undefined
        : `failed to parse duration ${schedule}: time: invalid duration ${JSON.stringify(schedule.slice(7))}`;
    }
    return `unrecognized descriptor: ${schedule}`;
  }
  const fields = schedule.split(/\s+/).filter((field) => field !== '');
  if (fields.length !== 5) return `expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`;
  for (const [index, field] of fields.entries()) {
    for (const range of field.split(',')) {
      const wrong = rangeError(range, FIELDS[index]);
      if (wrong !== undefined) return wrong;
    }
  }
  return undefined;
}

function rangeError(expression: string, bounds: Bounds): string | undefined {
  const [range, step, ...more] = expression.split('/');
  if (more.length > 0) return `too many slashes: ${expression}`;
  const [first, last, ...rest] = range.split('-');
  if (rest.length > 0) return `too many hyphens: ${expression}`;
  let start = bounds.min;
  let end = bounds.max;
  if (first !== '*' && first !== '?') {
    const from = numberOf(first, bounds);
    if (typeof from === 'string') return from;
    const to = last === undefined ? (step === undefined ? from : bounds.max) : numberOf(last, bounds);
    if (typeof to === 'string') return to;
    start = from;
    end = to;
  }
  if (step !== undefined) {
    if (!/^\d+$/.test(step))
      return `failed to parse int from ${step}: strconv.Atoi: parsing ${JSON.stringify(step)}: invalid syntax`;
    if (Number(step) === 0) return `step of range should be a positive number: ${expression}`;
  }
  if (start < bounds.min) return `beginning of range (${start}) below minimum (${bounds.min}): ${expression}`;
  if (end > bounds.max) return `end of range (${end}) above maximum (${bounds.max}): ${expression}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${expression}`;
  return undefined;
}

function numberOf(text: string, bounds: Bounds): number | string {
  const named = bounds.names[text.toLowerCase()];
  if (named !== undefined) return named;
  if (!/^[-+]?\d+$/.test(text)) {
    return `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
  }
  return Number(text);
}

/** Whether the text names a zone of the time zone database. */
export function timeZoneErrors(zone: string): string[] {
  if (zone === '') return ['timeZone must be nil or non-empty string'];
  const wellFormed = zone
    .split('/')
    .every((each) => each !== '.' && each !== '..' && /^[A-Za-z._0-9+][-A-Za-z._0-9+]{0,13}$/.test(each));
  if (!wellFormed) return [`unknown time zone ${zone}`];
  const local = zone.toLowerCase() === 'local';
  const errors = local
    ? ['timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones']
    : [];
  return zone === 'Local' || knownZone(zone) ? errors : [...errors, `unknown time zone ${zone}`];
}

function knownZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
