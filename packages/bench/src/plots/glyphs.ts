/**
 * Letters as strokes, so that pictures need no font of the machine they are made on. Drawn for this project on a
 * grid of sixteenths: a point is two hexadecimal digits, x and y; capitals reach from 2 to b, small letters from 5,
 * tails to e. Points make a line, `,` begins the next, and a line that begins with `~` is rounded at its corners.
 */

/** Of the text's size: one step of the grid. */
const UNIT = 0.077;
/** Steps between two letters. */
const SPACING = 2.6;
const SPACE_STEPS = 2;
const BASELINE = 0xb;
/** Each round cuts corners once more; after three nobody sees them. */
const ROUNDINGS = 3;

const BOWL = '~08 05 55 5b 0b 08';
const RING = '~42 82 8b 4b 0b 02 42';

const STROKES: Readonly<Record<string, string>> = {
  '0': '~06 02 52 5b 0b 06',
  '1': '14 32 3b,1b 5b',
  '2': '~04 02 62 65 38 0b,0b 6b',
  '3': '~03 12 62 66 36,~36 66 6b 1b 0a',
  '4': '4b 42 08 68',
  '5': '52 12 06,~06 15 65 6b 1b 0a',
  '6': '~53 42 02 08,~08 0b 6b 65 05 08',
  '7': '02 62 2b',
  '8': '~32 52 56 36 16 12 32,~36 66 6b 3b 0b 06 36',
  '9': '~65 62 02 08 68 65,~65 6b 2b 1a',
  A: '0b 32 6b,18 58',
  B: '32 02 0b 3b,~32 62 66 36,06 36,~36 66 6b 3b',
  C: '~64 62 02 0b 6b 69',
  D: '22 02 0b 2b,~2b 6b 62 22',
  E: '62 02 0b 6b,06 56',
  F: '62 02 0b,06 56',
  G: '~64 62 02 0b 6b 67,67 47',
  H: '02 0b,62 6b,06 66',
  I: '02 0b',
  J: '42 48,~48 4b 0b 09',
  K: '02 0b,62 07,26 6b',
  L: '02 0b 5b',
  M: '0b 02 48 82 8b',
  N: '0b 02 6b 62',
  O: RING,
  P: '0b 02 32,~32 62 67 37,37 07',
  Q: `${RING},59 8c`,
  R: '0b 02 32,~32 62 67 37,37 07,37 6b',
  S: '~64 62 02 06 67 6b 0b 09',
  T: '02 62,32 3b',
  U: '02 08,~08 0b 6b 68,68 62',
  V: '02 3b 62',
  W: '02 2b 44 6b 82',
  X: '02 6b,62 0b',
  Y: '02 36 62,36 3b',
  Z: '02 62 0b 6b',
  a: `${BOWL},55 5b`,
  b: `${BOWL},02 0b`,
  c: '~47 45 05 0b 4b 49',
  d: `${BOWL},52 5b`,
  e: '08 58,~58 55 05 0b 5b 5a',
  f: '~42 12 14 16,16 1b,05 35',
  g: `${BOWL},55 5c,~5c 5e 0e 0d`,
  h: '02 0b,~08 05 55 58,58 5b',
  i: '05 0b,02 02',
  j: '25 2c,~2c 2e 0e,22 22',
  k: '02 0b,45 08,17 4b',
  l: '02 0b',
  m: '05 0b,~07 05 45 47,47 4b,~47 45 85 87,87 8b',
  n: '05 0b,~08 05 55 58,58 5b',
  o: BOWL,
  p: `${BOWL},05 0e`,
  q: `${BOWL},55 5e`,
  r: '05 0b,~08 05 35',
  s: '~46 45 05 08 48 4b 0b 0a',
  t: '12 19,~19 1b 3b,05 35',
  u: '05 08,~08 0b 5b 58,55 5b',
  v: '05 2b 45',
  w: '05 2b 45 6b 85',
  x: '05 4b,45 0b',
  y: '05 2b,45 1e',
  z: '05 45 0b 4b',
  µ: '05 0e,~08 0b 5b 58,55 5b',
  '.': '0b 0b',
  ',': '1a 0d',
  ':': '06 06,0b 0b',
  ';': '16 16,1a 0d',
  '!': '02 08,0b 0b',
  '?': '~04 02 52 56 28,2b 2b',
  "'": '02 04',
  '"': '02 04,22 24',
  '-': '08 38',
  '–': '08 58',
  '−': '08 58',
  _: '0c 5c',
  '+': '08 68,35 3b',
  '=': '06 66,09 69',
  '×': '05 5a,55 0a',
  '*': '33 39,14 58,54 18',
  '/': '42 0c',
  '\\': '02 4c',
  '|': '01 0d',
  '(': '~21 05 09 2d',
  ')': '~01 25 29 0d',
  '[': '21 01 0d 2d',
  ']': '01 21 2d 0d',
  '<': '54 08 5c',
  '>': '04 58 0c',
  '≤': '53 06 59,0b 5b',
  '≥': '03 56 09,0b 5b',
  '%': '72 1b,~22 42 46 26 06 02 22,~67 87 8b 6b 4b 47 67',
  '#': '22 1b,52 4b,05 65,08 68',
  '@': '~65 45 35 39 59 68 63 43 03 0c 4c 6b',
  '&': '~6b 25 12 42 45 08 0b 3b 68',
  $: '~64 62 02 06 67 6b 0b 09,31 3c',
  '…': '0b 0b,3b 3b,6b 6b',
  '·': '07 07',
  '→': '08 68,46 68 4a',
  '°': '~12 22 24 14 04 02 12',
};
/** What has no strokes is a box, so that it is missed. */
const UNKNOWN = '02 42 4b 0b 02';

type Stroke = readonly (readonly [number, number])[];

interface Glyph {
  readonly strokes: readonly Stroke[];
  /** Steps, its room to the next included. */
  readonly advance: number;
}

function glyphOf(letter: string): Glyph {
  if (letter === ' ') return { strokes: [], advance: SPACE_STEPS + SPACING };
  const source = STROKES[letter] ?? UNKNOWN;
  const strokes = source.split(',').map((text) => {
    const rounded = text.startsWith('~');
    const points = (rounded ? text.slice(1) : text)
      .split(' ')
      .map((pair) => [Number.parseInt(pair[0], 16), Number.parseInt(pair[1], 16)] as const);
    return rounded ? cutCorners(points, ROUNDINGS) : points;
  });
  const widest = Math.max(0, ...strokes.flat().map(([x]) => x));
  return { strokes, advance: widest + SPACING };
}

/** Chaikin's: each corner gives way to two points nearer to its neighbours; the ends stay. */
function cutCorners(points: Stroke, rounds: number): Stroke {
  if (rounds === 0) return points;
  const cut: (readonly [number, number])[] = [points[0]];
  for (let i = 1; i < points.length; i++) {
    const [[ax, ay], [bx, by]] = [points[i - 1], points[i]];
    if (i > 1) cut.push([ax + (bx - ax) / 4, ay + (by - ay) / 4]);
    if (i < points.length - 1) cut.push([bx - (bx - ax) / 4, by - (by - ay) / 4]);
  }
  cut.push(points[points.length - 1]);
  return cutCorners(cut, rounds - 1);
}

/** Pixels that a text takes at a size in pixels; near what a browser's sans-serif takes. */
export function textWidth(text: string, size: number): number {
  let steps = 0;
  for (const letter of text) steps += glyphOf(letter).advance;
  return Math.max(0, steps - SPACING) * UNIT * size;
}

/** The strokes of a text whose baseline begins at (x, y), in pixels. */
export function textStrokes(text: string, x: number, y: number, size: number): Stroke[] {
  const unit = UNIT * size;
  const placed: Stroke[] = [];
  let left = x;
  for (const letter of text) {
    const { strokes, advance } = glyphOf(letter);
    const from = left;
    for (const stroke of strokes) {
      placed.push(stroke.map(([px, py]) => [from + px * unit, y + (py - BASELINE) * unit] as const));
    }
    left += advance * unit;
  }
  return placed;
}
