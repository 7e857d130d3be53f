/**
 * Writes answers into a transcript, words in the place of what differs from run to run. A record says what our server
 * answers; whether Kubernetes answers so is for whoever reads it, line by line.
 */
import type { StepResult } from './runner.ts';

const REPLACED: readonly [RegExp, string][] = [
  [/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '@uid'],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '@time'],
  [/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]+ [+-]\d{4}/g, '@time'],
  [/\b10\.0\.\d+\.\d+\b/g, '@ip'],
  [/(?<= {2}|^)\d+[smhd](?:\d+[smh])?(?= {2}|$)/g, '@age'],
  [/kube-api-access-[a-z0-9]{5}/g, 'kube-api-access-@rand'],
  [/(?<=resourceVersion: ")\d+(?=")/g, '@n'],
  [/(?<="resourceVersion": ?")\d+(?=")/g, '@n'],
  [/(?<=Resource Version: {2})\d+/g, '@n'],
  [/127\.0\.0\.1:\d+/g, '127.0.0.1:@port'],
];

export function recorded(text: string, results: readonly StepResult[], namespace: string): string {
  const lines = text.split('\n');
  for (const { step, odd } of results.toReversed()) {
    if (odd === undefined) continue;
    const answer = odd.map((line) => {
      const plain = line.replaceAll(namespace, 'NS');
      return REPLACED.reduce((so, [found, word]) => so.replaceAll(found, word), plain);
    });
    lines.splice(step.line, step.lines.length, ...answer);
  }
  return lines.join('\n');
}
