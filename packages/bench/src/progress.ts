/**
 * What a person sees while a benchmark runs: on a terminal one line that is drawn again, with a bar; elsewhere
 * one line for each phase when it is over. It never measures.
 */
const DRAW_EVERY_MS = 150;
const BAR_WIDTH = 24;

export interface Screen {
  readonly terminal: boolean;
  columns(): number;
  err(text: string): void;
}

export interface ProgressNow {
  /** 0 to 1. */
  readonly fraction: number;
  readonly text: string;
}

export function bar(fraction: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

export class Progress {
  private readonly screen: Screen;
  private label = '';
  private rest = '';
  private source: (() => ProgressNow) | undefined = undefined;
  private timer: NodeJS.Timeout | undefined = undefined;

  constructor(screen: Screen) {
    this.screen = screen;
  }

  /** @param rest what is only shown while it lasts */
  phase(label: string, rest = ''): void {
    this.label = label;
    this.rest = rest;
    this.source = undefined;
    if (!this.screen.terminal) return;
    this.timer ??= setInterval(() => this.draw(), DRAW_EVERY_MS).unref();
    this.draw();
  }

  /** Where the phase is now, asked when it is drawn. */
  follow(source: () => ProgressNow): void {
    this.source = source;
  }

  /** The phase is over; `text` says what came out. */
  done(text: string): void {
    this.clear();
    this.screen.err(`${this.label}: ${text}\n`);
  }

  /** Takes the line away; nothing is drawn until the next phase. */
  clear(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    if (this.screen.terminal) this.screen.err('\r\u001B[2K');
  }

  private draw(): void {
    const now = this.source?.();
    const shown =
      now === undefined
        ? `${this.label} …${this.rest}`
        : `${bar(now.fraction, BAR_WIDTH)} ${this.label}  ${now.text}${this.rest}`;
    this.screen.err(`\r\u001B[2K${shown.slice(0, this.screen.columns() - 1)}`);
  }
}
