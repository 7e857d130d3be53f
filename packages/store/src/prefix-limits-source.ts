/**
 * Where a member's limits of prefixes come from: a flag, or a file that is read again when it has changed. A file that
 * cannot be read or understood ends the start; later it is told once, and the limits stay what they were.
 */
import { toError, type Disk, type Logger } from '@keelson/base';
import type { StateMachine } from './apply/state-machine.ts';
import type { ServerConfig } from './config/flag-table.ts';
import type { Parsed } from './config/go-values.ts';
import { parsePrefixLimits, parsePrefixLimitsFile, type PrefixRule } from './config/prefix-rules.ts';
import type { Schedule } from './consensus/schedule.ts';
import { FatalError } from './errors.ts';
import { PrefixLimits } from './prefix-limits/prefix-limits.ts';
import type { World } from './world.ts';

const FILE_BYTES_MAX = 1024 * 1024;
/** Between two looks at the file: an operator waits no longer, and a read of a small file costs nothing. */
const LOOK_MS = 2_000;
/** Keys counted in one turn, each at worst a read of the backend: a few milliseconds. */
const COUNT_KEYS_MAX = 500;

export class PrefixLimitsSource {
  readonly limits: PrefixLimits;
  private readonly path: string;
  private readonly disk: Disk;
  private readonly logger: Logger;
  private readonly defer: World['defer'];
  private text: string;
  private lastProblem = '';
  private schedule: Schedule | undefined = undefined;
  private counting = false;

  /** @throws FatalError; undefined where no flag asks for limits */
  static async open(config: ServerConfig, world: World): Promise<PrefixLimitsSource | undefined> {
    const { prefixLimits, prefixLimitsFile: path } = config;
    if (prefixLimits === '' && path === '') return undefined;
    if (path === '') return new PrefixLimitsSource(world, '', '', taken(parsePrefixLimits(prefixLimits)));
    let text: string;
    try {
      text = await textOf(world.disk, path);
    } catch (error) {
      throw new FatalError(`cannot read --prefix-limits-file: ${toError(error).message}`, { cause: error });
    }
    return new PrefixLimitsSource(world, path, text, taken(parsePrefixLimitsFile(text)));
  }

  private constructor(world: World, path: string, text: string, rules: readonly PrefixRule[]) {
    const { clock, disk, logger, defer } = world;
    this.limits = new PrefixLimits(rules, () => clock.monotonicMs());
    this.path = path;
    this.disk = disk;
    this.logger = logger;
    this.defer = defer;
    this.text = text;
  }

  /** From now on the file is looked at, and new prefixes are counted in the state. */
  run(schedule: Schedule, state: StateMachine, onError: (error: Error) => void): void {
    this.schedule = schedule;
    this.limits.onCount = () => {
      if (!this.counting) this.count(state, onError);
    };
    if (this.path !== '') schedule.every(LOOK_MS, () => void this.reload());
  }

  /** Reads the file again. Never rejects. */
  async reload(): Promise<void> {
    if (this.path === '') return;
    let text: string;
    try {
      text = await textOf(this.disk, this.path);
    } catch (error) {
      this.problem(toError(error).message);
      return;
    }
    if (text === this.text || this.schedule?.stopped === true) {
      this.lastProblem = '';
      return;
    }
    // Some editors empty a file before they write it: for that moment nobody is to be without limits.
    if (text === '') {
      this.problem('the file is empty; [] stands for no limits');
      return;
    }
    const rules = parsePrefixLimitsFile(text);
    if (!rules.ok) {
      this.problem(rules.error);
      return;
    }
    this.text = text;
    this.lastProblem = '';
    this.logger.info('the limits of prefixes have changed', { path: this.path, limits: rules.value.length });
    this.limits.setRules(rules.value);
  }

  private problem(problem: string): void {
    if (problem === this.lastProblem) return;
    this.lastProblem = problem;
    this.logger.warn('cannot take the changed limits of prefixes; they stay as they were', {
      path: this.path,
      error: problem,
    });
  }

  /** A slice a turn, so that requests go on between. */
  private count(state: StateMachine, onError: (error: Error) => void): void {
    this.counting = true;
    this.defer(() => {
      this.counting = false;
      if (this.schedule?.stopped === true) return;
      try {
        if (this.limits.countSome(state.mvcc, COUNT_KEYS_MAX)) this.count(state, onError);
      } catch (error) {
        onError(toError(error));
      }
    });
  }
}

async function textOf(disk: Disk, path: string): Promise<string> {
  return (await disk.readFile(path, FILE_BYTES_MAX)).toString('utf8');
}

/** @throws FatalError */
function taken(rules: Parsed<readonly PrefixRule[]>): readonly PrefixRule[] {
  if (!rules.ok) throw new FatalError(`invalid limits of prefixes: ${rules.error}`);
  return rules.value;
}
