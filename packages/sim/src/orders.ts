/** What a campaign is asked for: its command line, read and refused where it makes no sense, and the help that says it all. */
import { parseArgs } from 'node:util';
import { toError } from '@keelson/base';
import type { Plan, Simulation } from './simulation.ts';

export interface Orders {
  readonly first: number;
  readonly seeds: number;
  /** Infinity: only the seeds bound it. */
  readonly minutes: number;
  readonly jobs: number;
  /** This process takes every jobs-th seed from this one on; undefined: it is the one that was started. */
  readonly share: number | undefined;
  readonly again: boolean;
  readonly small: boolean;
  /** How long a failing seed is made smaller. */
  readonly shrinkMs: number;
  readonly ledger: boolean;
  readonly plan: (seed: number) => Plan;
}

export interface Flag {
  readonly name: string;
  /** What its value is called in the help; without it takes none. */
  readonly value?: string;
  readonly text: string;
}

export type Reading =
  | { readonly kind: 'orders'; readonly orders: Orders }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'refused'; readonly message: string };

/** A failing seed is made smaller for so long, by the clock. */
const SHRINK_SECONDS = 120;

const FLAGS: readonly Flag[] = [
  { name: 'seeds', value: 'N', text: 'how many seeds (100)' },
  { name: 'minutes', value: 'M', text: 'as many seeds as there are in M minutes' },
  { name: 'seed', value: 'X', text: 'this one; nothing is made smaller' },
  { name: 'from', value: 'S', text: 'first seed (1)' },
  { name: 'jobs', value: 'J', text: 'processes (1)' },
  { name: 'events', value: 'E', text: 'events of a seed before its faults stop' },
  { name: 'without', value: 'a,b', text: 'fault kinds left out' },
  { name: 'plain', value: 'a,b', text: 'constants that keep their plain value' },
  { name: 'again', text: 'every seed twice, not one in a hundred' },
  { name: 'shrink', value: 'S', text: `seconds in which a failing seed is made smaller (${SHRINK_SECONDS})` },
  { name: 'ledger', text: 'prints the row for docs/ledger.md' },
  { name: 'help', text: 'prints this' },
];
/** Said by a process to those it starts. */
const SHARE: Flag = { name: 'share', value: 'K', text: '' };

/** @param own flags of the program itself, which it looks for by itself */
export function readOrders(
  simulation: Simulation,
  args: readonly string[],
  own: readonly Flag[] = [],
): Reading {
  const told = [...FLAGS, ...own];
  const options = Object.fromEntries(
    [...told, SHARE].map(({ name, value }) => [
      name,
      { type: value === undefined ? 'boolean' : 'string' } as const,
    ]),
  );
  try {
    const { values } = parseArgs({ args: [...args], options });
    if (values['help'] === true) return { kind: 'help', text: helpOf(told) };
    return { kind: 'orders', orders: ordersOf(simulation, values) };
  } catch (error) {
    if (!(error instanceof RangeError || isOfParsing(error))) throw error;
    return { kind: 'refused', message: toError(error).message };
  }
}

/** parseArgs refuses with errors of its own codes. */
function isOfParsing(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    String(error.code).startsWith('ERR_PARSE_ARGS')
  );
}

function helpOf(flags: readonly Flag[]): string {
  const words = flags.map(({ name, value }) => `--${name}${value === undefined ? '' : ` ${value}`}`);
  const width = Math.max(...words.map(({ length }) => length));
  return flags.map(({ text }, at) => `  ${words[at].padEnd(width)}  ${text}\n`).join('');
}

/** @throws RangeError for a value that is none */
function ordersOf(
  simulation: Simulation,
  values: Readonly<Record<string, string | boolean | undefined>>,
): Orders {
  const number = (name: string, byDefault: number, whole = true): number => {
    const value = values[name];
    if (value === undefined) return byDefault;
    const read = Number(value);
    if (value === '' || !(read >= 0) || (whole && !Number.isSafeInteger(read)))
      throw new RangeError(`--${name}: ${String(value)} is no ${whole ? 'whole ' : ''}number`);
    return read;
  };
  const list = (name: string, known: readonly string[]): string[] => {
    const value = values[name];
    const words = typeof value === 'string' ? value.split(',') : [];
    const strange = words.find((word) => !known.includes(word));
    if (strange !== undefined) throw new RangeError(`--${name}: ${strange} is none of ${known.join(', ')}`);
    return words;
  };
  const one = values['seed'] !== undefined;
  const timed = values['minutes'] !== undefined;
  const events = number('events', simulation.events);
  const [without, plain] = [list('without', simulation.faults), list('plain', simulation.constants)];
  return {
    first: one ? number('seed', 1) : number('from', 1),
    seeds: one ? 1 : timed ? Infinity : number('seeds', 100),
    minutes: number('minutes', Infinity, false),
    jobs: one ? 1 : Math.max(1, number('jobs', 1)),
    share: values['share'] === undefined ? undefined : number('share', 0),
    again: values['again'] === true,
    small: one,
    shrinkMs: number('shrink', SHRINK_SECONDS, false) * 1000,
    ledger: values['ledger'] === true,
    plan: (seed) => ({ seed, events, without, plain }),
  };
}
