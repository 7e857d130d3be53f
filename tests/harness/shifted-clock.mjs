// Loaded into a member before its program (`--import`): what the process takes for the time of day is off by as many
// milliseconds as a file says, and follows when the file changes. The monotonic clock and timers stay as they are.
import { readFileSync } from 'node:fs';

const file = process.env['SHIFTED_CLOCK_FILE'];
const RealDate = globalThis.Date;
const realNow = RealDate.now.bind(RealDate);
let shiftMs = 0;

function look() {
  try {
    shiftMs = Number(readFileSync(file, 'utf8')) || 0;
  } catch {
    shiftMs = 0; // Nobody has set it yet.
  }
}

if (file !== undefined) {
  look();
  setInterval(look, 50).unref();
  globalThis.Date = class Date extends RealDate {
    constructor(...args) {
      if (args.length === 0) super(realNow() + shiftMs);
      else super(...args);
    }

    static now() {
      return realNow() + shiftMs;
    }
  };
}
