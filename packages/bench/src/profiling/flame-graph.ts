/**
 * Merged stacks as a flame graph: time is width, calls stand on their callers, the widest first. One SVG without
 * script or font; a frame's whole name, place and share stand in its title, which a browser shows when one points at
 * it. After Brendan Gregg's flame graphs. Pure: a tree in, text out.
 */
import { DARK, LIGHT } from '../plots/drawing.ts';
import { escapeXml } from '../plots/svg.ts';
import { number } from '../text.ts';
import type { Frame } from './stacks.ts';

const WIDTH = 1200;
const MARGIN = 10;
const ROW = 17;
const HEAD = 62;
/** Narrower frames are left out: nobody could see them, and a file must stay readable. */
const NARROWEST = 0.9;
/** A letter at the size of the labels. */
const LETTER = 6.1;

/** Whose code it is; pale, so that dark letters stand on it in both themes. */
const GROUPS: readonly {
  readonly name: string;
  readonly colour: string;
  readonly is: (frame: Frame) => boolean;
}[] = [
  { name: 'garbage collector', colour: '#f28b82', is: ({ name }) => name === '(garbage collector)' },
  { name: 'native', colour: '#c9cdd2', is: ({ place }) => place === '' },
  { name: 'node', colour: '#aecbfa', is: ({ place }) => place.startsWith('node:') },
  { name: 'rpc, proto', colour: '#a8dab5', is: ({ place }) => /^(rpc|proto)\//.test(place) },
  { name: 'raft', colour: '#d7aefb', is: ({ place }) => place.startsWith('raft/') },
  {
    name: 'mvcc, apply, backend',
    colour: '#fdd663',
    is: ({ place }) => /^store\/(mvcc|apply|backend)\//.test(place),
  },
  { name: 'store', colour: '#fcc08a', is: ({ place }) => place.startsWith('store/') },
  { name: 'other', colour: '#e6c9a8', is: () => true },
];

export interface FlameGraph {
  readonly title: string;
  /** What else a reader must know: load, member, share of time. */
  readonly subtitle: string;
  readonly root: Frame;
}

export function flameGraph({ title, subtitle, root }: FlameGraph): string {
  const boxes: string[] = [];
  const scale = (WIDTH - 2 * MARGIN) / Math.max(1, root.total);
  let deepest = 0;
  const draw = (frame: Frame, x: number, depth: number): void => {
    const width = frame.total * scale;
    if (width < NARROWEST) return;
    deepest = Math.max(deepest, depth);
    boxes.push(box(frame, x, depth, width, root.total));
    let left = x;
    for (const child of [...frame.children.values()].toSorted((a, b) => b.total - a.total)) {
      draw(child, left, depth + 1);
      left += child.total * scale;
    }
  };
  draw(root, MARGIN, 0);
  const height = HEAD + (deepest + 1) * ROW + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeXml(title)}" font-family="system-ui, DejaVu Sans, sans-serif" font-size="11">`,
    '<style>',
    ...GROUPS.map(({ colour }, i) => `.c${i}{fill:${colour}}`),
    `.p{fill:${LIGHT.paper}}.i{fill:${LIGHT.ink}}.t{fill:#202124;pointer-events:none}rect:hover{stroke:#202124}`,
    `@media (prefers-color-scheme:dark){.p{fill:${DARK.paper}}.i{fill:${DARK.ink}}rect:hover{stroke:#fff}}`,
    '</style>',
    `<rect class="p" width="${WIDTH}" height="${height}"/>`,
    `<text class="i" x="${MARGIN}" y="20" font-size="15" font-weight="bold">${escapeXml(title)}</text>`,
    `<text class="i" x="${MARGIN}" y="37">${escapeXml(subtitle)}</text>`,
    ...legend(),
    // Drawn from the bottom up: the last row is the root.
    `<g transform="translate(0 ${height - MARGIN - ROW})">`,
    ...boxes,
    '</g>',
    '</svg>\n',
  ].join('\n');
}

function legend(): string[] {
  let x = MARGIN;
  return GROUPS.flatMap(({ name }, i) => {
    const at = x;
    x += Math.ceil(30 + name.length * LETTER);
    return [
      `<rect class="c${i}" x="${at}" y="44" width="11" height="11"/>`,
      `<text class="i" x="${at + 16}" y="53">${name}</text>`,
    ];
  });
}

function box(frame: Frame, x: number, depth: number, width: number, all: number): string {
  const { name, place, total } = frame;
  const group = GROUPS.findIndex(({ is }) => is(frame));
  const share = `${number((100 * total) / Math.max(1, all))} %, ${number(total / 1000)} ms`;
  const title = `${name}${place === '' ? '' : ` (${place})`}: ${share}`;
  const y = -depth * ROW;
  const at = (value: number): string => String(Math.round(value * 10) / 10);
  const letters = Math.floor((width - 6) / LETTER);
  const text =
    letters < 3
      ? ''
      : `<text class="t" x="${at(x + 3)}" y="${y + 12}">${escapeXml(name.length <= letters ? name : `${name.slice(0, letters - 1)}…`)}</text>`;
  return `<g><title>${escapeXml(title)}</title><rect class="c${group}" x="${at(x)}" y="${y}" width="${at(Math.max(0.4, width - 0.5))}" height="${ROW - 1}"/>${text}</g>`;
}
