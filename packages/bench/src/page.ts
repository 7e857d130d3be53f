/**
 * A report as one page: text, tables and plots, light or dark as the reader has it, on paper too. No script, no font,
 * nothing is fetched. Pure: text in, text out.
 */
import type { Drawing } from './plots/drawing.ts';
import { escapeXml, STYLE, toSvg } from './plots/svg.ts';
import type { Table } from './tables.ts';

const CSS = `
:root { color-scheme: light dark; --ink: #1f2328; --muted: #656d76; --rule: #d8dee4; --ground: #f6f8fa; --card: #ffffff;
  --pass: #1a7f37; --miss: #b3400a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --muted: #9aa4af; --rule: #30363d; --ground: #0d1117; --card: #161b22;
  --pass: #4ac26b; --miss: #ff9d5c; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: var(--ink); background: var(--ground); margin: 0; }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 0.2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 0.6rem; }
.lead { color: var(--muted); margin: 0 0 1.2rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 1rem; margin: 0; } dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 0.9rem 1.1rem; }
.wide { overflow-x: auto; padding: 0.3rem 0; }
table { border-collapse: collapse; font-size: 0.87rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: 0.28rem 0.7rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
tr:last-child td { border-bottom: 0; } th { color: var(--muted); font-weight: 600; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
td:last-child { white-space: normal; min-width: 6rem; }
.pass { color: var(--pass); font-weight: 600; } .miss { color: var(--miss); font-weight: 600; } .open { color: var(--muted); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 34rem), 1fr)); gap: 1rem; align-items: start; }
figure { margin: 0; } figure svg { display: block; width: 100%; height: auto; }
@media print { body { background: none; } .card { break-inside: avoid; } }
`;

export interface Page {
  readonly title: string;
  readonly lead: string;
  /** What was measured where: name and text. */
  readonly facts: readonly (readonly [name: string, text: string])[];
  readonly tables: readonly Table[];
  readonly plots: Iterable<Drawing>;
}

/** The plots stand behind the first table: what was promised, how it looks, then every figure. */
export function renderPage({ title, lead, facts, tables, plots }: Page): string {
  const [first = '', ...rest] = tables.map(renderTable);
  const figures = Array.from(plots, (drawing) => `<figure class="card">${toSvg(drawing, false)}</figure>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(title)}</title>
<style>${CSS}${STYLE}
</style>
</head>
<body>
<main>
<h1>${escapeXml(title)}</h1>
<p class="lead">${escapeXml(lead)}</p>
<dl class="card">
${facts.map(([name, text]) => `<dt>${escapeXml(name)}</dt><dd>${escapeXml(text)}</dd>`).join('\n')}
</dl>
${first}
<h2>Plots</h2>
<div class="plots">
${figures.join('\n')}
</div>
${rest.join('\n')}
</main>
</body>
</html>
`;
}

function renderTable({ title, head, rows }: Table): string {
  const cells = (tag: string, row: readonly string[]): string =>
    `<tr>${row.map((text) => `<${tag}${verdictClass(text)}>${escapeXml(text)}</${tag}>`).join('')}</tr>`;
  const body = rows.map((row) => cells('td', row)).join('\n');
  return `<h2>${escapeXml(title)}</h2>\n<div class="card wide"><table>\n<thead>${cells('th', head)}</thead>\n<tbody>\n${body}\n</tbody></table></div>`;
}

function verdictClass(text: string): string {
  if (text === 'pass' || text === 'miss') return ` class="${text}"`;
  return text.startsWith('not judged') ? ' class="open"' : '';
}
