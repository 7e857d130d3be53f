/**
 * A drawing as SVG text. No fonts are embedded and no script runs; alone it follows the reader's choice of light
 * or dark, and in a page the page's style sheet says the same once. Pure: data in, text out.
 */
import { colourOf, DARK, LIGHT, type Drawing, type Palette, type Shade, type Shape } from './drawing.ts';

const FONT = 'font-family="system-ui, DejaVu Sans, sans-serif"';

export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function rules(palette: Palette): string {
  const named = (['ink', 'muted', 'faint', 'paper'] as const).map((name) => [name, palette[name]] as const);
  const series = palette.series.map((colour, i) => [`s${i}`, colour] as const);
  return [...named, ...series]
    .map(([name, colour]) => `.f-${name}{fill:${colour}}.l-${name}{stroke:${colour}}`)
    .join('');
}

/** For a page that holds drawings, or for one drawing alone. */
export const STYLE = `${rules(LIGHT)}@media (prefers-color-scheme:dark){${rules(DARK)}}`;

/** @param alone as a file of its own: with its own style sheet */
export function toSvg({ title, width, height, shapes }: Drawing, alone: boolean): string {
  const size = `viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${escapeXml(title)}" ${FONT}>`,
    ...(alone ? [`<style>${STYLE}</style>`] : []),
    `<rect width="${width}" height="${height}" ${fill('paper')}/>`,
    ...shapes.map(element),
    '</svg>\n',
  ].join('\n');
}

const className = (shade: Shade): string =>
  typeof shade === 'number' ? `s${shade % LIGHT.series.length}` : shade;

/** The attribute is for programs that know no style sheets; the class wins elsewhere. */
const fill = (shade: Shade): string => `class="f-${className(shade)}" fill="${colourOf(shade, LIGHT)}"`;

const at = (value: number): string => String(Math.round(value * 10) / 10);

function element(shape: Shape): string {
  switch (shape.kind) {
    case 'rect': {
      const { x, y, width, height } = shape;
      return `<rect x="${at(x)}" y="${at(y)}" width="${at(width)}" height="${at(height)}" ${fill(shape.fill)}/>`;
    }
    case 'dot':
      return `<circle cx="${at(shape.x)}" cy="${at(shape.y)}" r="${at(shape.radius)}" ${fill(shape.fill)}/>`;
    case 'line': {
      const points = shape.points.map(([x, y]) => `${at(x)},${at(y)}`).join(' ');
      const stroke = `class="l-${className(shape.stroke)}" stroke="${colourOf(shape.stroke, LIGHT)}"`;
      return `<polyline points="${points}" fill="none" ${stroke} stroke-width="${at(shape.width)}" stroke-linejoin="round"/>`;
    }
    case 'text': {
      const { x, y, size, anchor, bold, text } = shape;
      const weight = bold ? ' font-weight="bold"' : '';
      return `<text x="${at(x)}" y="${at(y)}" font-size="${at(size)}" text-anchor="${anchor}"${weight} ${fill(shape.fill)}>${escapeXml(text)}</text>`;
    }
  }
}
