/**
 * A picture as data: rectangles, lines, dots and text, in colours named by what they are for. What a chart draws
 * is written once and becomes SVG (svg.ts) or pixels (raster.ts); colours are chosen here for light and dark.
 */

/** A role, or the number of a series. */
export type Shade = 'ink' | 'muted' | 'faint' | 'paper' | number;

export type Anchor = 'start' | 'middle' | 'end';

/** Pixels, from the upper left corner. */
export type Shape =
  | {
      readonly kind: 'rect';
      readonly x: number;
      readonly y: number;
      readonly width: number;
      readonly height: number;
      readonly fill: Shade;
    }
  | {
      readonly kind: 'line';
      readonly points: readonly (readonly [number, number])[];
      readonly stroke: Shade;
      readonly width: number;
    }
  | {
      readonly kind: 'dot';
      readonly x: number;
      readonly y: number;
      readonly radius: number;
      readonly fill: Shade;
    }
  | {
      readonly kind: 'text';
      readonly x: number;
      /** Of the baseline. */
      readonly y: number;
      readonly text: string;
      readonly size: number;
      readonly anchor: Anchor;
      readonly bold: boolean;
      readonly fill: Shade;
    };

export interface Drawing {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  readonly shapes: readonly Shape[];
}

export interface Palette {
  readonly ink: string;
  readonly muted: string;
  readonly faint: string;
  readonly paper: string;
  readonly series: readonly string[];
}

/** Told apart also in grey, and by people who do not see red and green apart (Okabe and Ito). */
export const LIGHT: Palette = {
  ink: '#1f2328',
  muted: '#656d76',
  faint: '#dde1e6',
  paper: '#ffffff',
  series: ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#7a5fb0', '#8c8c8c'],
};

/** The same, lighter, on a dark ground. */
export const DARK: Palette = {
  ink: '#e6edf3',
  muted: '#9aa4af',
  faint: '#30363d',
  paper: '#161b22',
  series: ['#58a6e6', '#f2b632', '#2fc79b', '#e59ac6', '#8fd3ff', '#ff8f57', '#b49ae6', '#a8a8a8'],
};

export function colourOf(shade: Shade, palette: Palette): string {
  return typeof shade === 'number' ? palette.series[shade % palette.series.length] : palette[shade];
}

export interface TextStyle {
  readonly size?: number;
  readonly anchor?: Anchor;
  readonly bold?: boolean;
  readonly fill?: Shade;
}

export function label(x: number, y: number, text: string, style: TextStyle = {}): Shape {
  const { size = 12, anchor = 'start', bold = false, fill = 'ink' } = style;
  return { kind: 'text', x, y, text, size, anchor, bold, fill };
}

export function rect(x: number, y: number, width: number, height: number, fill: Shade): Shape {
  return { kind: 'rect', x, y, width, height, fill };
}

export function line(x1: number, y1: number, x2: number, y2: number, stroke: Shade): Shape {
  return {
    kind: 'line',
    points: [
      [x1, y1],
      [x2, y2],
    ],
    stroke,
    width: 1,
  };
}
