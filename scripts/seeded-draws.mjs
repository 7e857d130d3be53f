// fast-check, as every test gets it (jest.config.js maps the name here): the same draws in every run, so that whoever
// changes nothing sees nothing new fail. `FAST_CHECK_SEED=7 npm test` draws others, `FAST_CHECK_SEED=any` new ones
// each time; the long modes of fuzz and simulation have budgets and seeds of their own.
import fc from '../node_modules/fast-check/lib/fast-check.js';

export * from '../node_modules/fast-check/lib/fast-check.js';
export default fc;

const wanted = process.env['FAST_CHECK_SEED'] ?? '20261121';
if (wanted !== 'any') {
  const seed = Number(wanted);
  if (!Number.isInteger(seed)) throw new Error(`FAST_CHECK_SEED is an integer or "any", not ${wanted}`);
  fc.configureGlobal({ seed });
}
