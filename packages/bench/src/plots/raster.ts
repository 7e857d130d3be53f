/**
 * A drawing as pixels, smoothed at its edges: enough of a painter for what charts draw, and no more. Every stroke is
 * the set of points near a line, so one function serves lines, round dots and letters. Pure.
 */
import { colourOf, LIGHT, type Drawing, type Palette, type Shape } from './drawing.ts';
import { textStrokes, textWidth } from './glyphs.ts';
import { encodePng } from './png.ts';

/** Pixels of the file for one of the drawing: sharp on dense screens. */
const SCALE = 2;
/** Of a text's size. */
const PEN = { plain: 0.085, bold: 0.125 } as const;

type Colour = readonly [number, number, number];

class Canvas {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;

  constructor(width: number, height: number, ground: Colour) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint8Array(width * height * 3);
    for (let i = 0; i < 3; i++) this.pixels[i] = ground[i];
    // Doubling what is there is faster than a loop over millions.
    for (let done = 3; done < this.pixels.length; done *= 2) this.pixels.copyWithin(done, 0, done);
  }

  /** A box with fractions of pixels at its sides. */
  box(x: number, y: number, width: number, height: number, colour: Colour): void {
    const [right, bottom] = [x + width, y + height];
    for (const py of this.rows(y, bottom)) {
      const down = Math.min(bottom, py + 1) - Math.max(y, py);
      for (let px = Math.max(0, Math.floor(x)); px < Math.min(this.width, right); px++) {
        const across = Math.min(right, px + 1) - Math.max(x, px);
        this.blend(px, py, colour, across * down);
      }
    }
  }

  /** What is nearer than `radius` to the line from a to b; round ends, and a dot when they are one. */
  stroke(ax: number, ay: number, bx: number, by: number, radius: number, colour: Colour): void {
    const [dx, dy] = [bx - ax, by - ay];
    const length = dx * dx + dy * dy;
    const reach = radius + 1;
    for (const py of this.rows(Math.min(ay, by) - reach, Math.max(ay, by) + reach)) {
      // Only where the line is near this row: a long slope crosses few pixels of each.
      const [from, to] = dy === 0 ? [0, 1] : [(py - reach - ay) / dy, (py + 1 + reach - ay) / dy];
      const [first, last] = [ax + within(Math.min(from, to)) * dx, ax + within(Math.max(from, to)) * dx];
      const left = Math.max(0, Math.floor(Math.min(first, last) - reach));
      const right = Math.min(this.width, Math.ceil(Math.max(first, last) + reach));
      for (let px = left; px < right; px++) {
        const [x, y] = [px + 0.5 - ax, py + 0.5 - ay];
        const along = length === 0 ? 0 : within((x * dx + y * dy) / length);
        const distance = Math.hypot(x - along * dx, y - along * dy);
        this.blend(px, py, colour, radius + 0.5 - distance);
      }
    }
  }

  /** Of the paper, those that a shape from top to bottom may touch. */
  private *rows(top: number, bottom: number): Generator<number> {
    const end = Math.min(this.height, Math.ceil(bottom));
    for (let y = Math.max(0, Math.floor(top)); y < end; y++) yield y;
  }

  private blend(x: number, y: number, colour: Colour, cover: number): void {
    if (cover <= 0) return;
    const share = Math.min(1, cover);
    const at = (y * this.width + x) * 3;
    for (let i = 0; i < 3; i++) {
      this.pixels[at + i] = this.pixels[at + i] * (1 - share) + colour[i] * share + 0.5;
    }
  }
}

const within = (share: number): number => Math.min(1, Math.max(0, share));

function rgb(hex: string): Colour {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** A PNG file of the drawing, on its paper. */
export function toPng({ width, height, shapes }: Drawing, palette: Palette = LIGHT): Buffer {
  const canvas = new Canvas(width * SCALE, height * SCALE, rgb(palette.paper));
  for (const shape of shapes) paint(canvas, shape, palette);
  return encodePng(canvas.width, canvas.height, canvas.pixels);
}

function paint(canvas: Canvas, shape: Shape, palette: Palette): void {
  switch (shape.kind) {
    case 'rect': {
      const { x, y, width, height } = shape;
      canvas.box(x * SCALE, y * SCALE, width * SCALE, height * SCALE, rgb(colourOf(shape.fill, palette)));
      return;
    }
    case 'dot': {
      const [x, y] = [shape.x * SCALE, shape.y * SCALE];
      canvas.stroke(x, y, x, y, shape.radius * SCALE, rgb(colourOf(shape.fill, palette)));
      return;
    }
    case 'line':
      follow(canvas, shape.points, (shape.width * SCALE) / 2, rgb(colourOf(shape.stroke, palette)));
      return;
    case 'text': {
      const { text, size, anchor, bold } = shape;
      const width = textWidth(text, size);
      const x = shape.x - (anchor === 'end' ? width : anchor === 'middle' ? width / 2 : 0);
      const radius = ((bold ? PEN.bold : PEN.plain) * size * SCALE) / 2;
      const colour = rgb(colourOf(shape.fill, palette));
      for (const stroke of textStrokes(text, x, shape.y, size)) follow(canvas, stroke, radius, colour);
    }
  }
}

function follow(
  canvas: Canvas,
  points: readonly (readonly [number, number])[],
  radius: number,
  colour: Colour,
): void {
  for (let i = 1; i < points.length; i++) {
    const [[ax, ay], [bx, by]] = [points[i - 1], points[i]];
    canvas.stroke(ax * SCALE, ay * SCALE, bx * SCALE, by * SCALE, radius, colour);
  }
  if (points.length !== 1) return;
  const [[x, y]] = points;
  canvas.stroke(x * SCALE, y * SCALE, x * SCALE, y * SCALE, radius, colour);
}
