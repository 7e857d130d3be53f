/**
 * Every prefix of a recording, every image of a crash there, a start on each: what was promised before must be there.
 * Equal images are started once and judged by the promises of each moment at which they may arise.
 */
import { createHash } from 'node:crypto';
import type { Recorder, Recorded } from './recorder.ts';
import { judge, type Recovered, type Refused } from './recovery.ts';
import { Reference } from './reference.ts';
import type { Recording } from './scripts.ts';
import { EMPTY_IMAGE, Volume, type Image } from './volume.ts';

export interface CampaignOptions {
  /** One in so many images is started; 1 for all. */
  readonly every: number;
  /** In one of so many starts, power is lost again after each of its operations. */
  readonly nestedEvery: number;
  /** Among images of one kind, which are taken: another part of them each time. */
  readonly offset?: number;
}

export interface CampaignResult {
  operations: number;
  /** Images of all moments. */
  images: number;
  /** Different ones that were started. */
  started: number;
  refused: number;
  /** Images of crashes in a start. */
  nested: number;
  readonly failures: string[];
}

/** What the member had promised at a moment. */
class Promised {
  index = 0;
  term = 0;
  vote = 0n;

  note(operation: Recorded): void {
    if (operation.kind !== 'note') return;
    this.index = Math.max(this.index, operation.index);
    if (operation.term > this.term) [this.term, this.vote] = [operation.term, 0n];
    if (operation.vote !== 0n) this.vote = operation.vote;
  }

  /** What of it is broken; undefined: nothing. */
  brokenBy(outcome: Recovered | Refused): string | undefined {
    if (outcome.kind === 'refused') return `refused: ${outcome.message}`;
    if (outcome.lastIndex < this.index)
      return `the log ends at ${outcome.lastIndex}, acknowledged was ${this.index}`;
    if (outcome.term < this.term) return `its term is ${outcome.term}, it had spoken in ${this.term}`;
    if (outcome.term === this.term && this.vote !== 0n && outcome.vote !== this.vote)
      return `its vote of term ${this.term} is ${outcome.vote}, it had voted for ${this.vote}`;
    return undefined;
  }
}

const FAILURES_MAX = 20;

export async function crashCampaign(recording: Recording, options: CampaignOptions): Promise<CampaignResult> {
  const reference = await Reference.of(
    [recording.recorder, ...recording.others].map((each) => each.recorded),
  );
  const result: CampaignResult = {
    operations: 0,
    images: 0,
    started: 0,
    refused: 0,
    nested: 0,
    failures: [],
  };
  const campaign = new Campaign(recording, reference, options, result);
  await campaign.run(recording.recorder.recorded, EMPTY_IMAGE, new Promised(), 0);
  return result;
}

/** The images of a crash at the end of a recording alone. @returns what is broken */
export async function crashAtEnd(recording: Recording, reference: Reference): Promise<string[]> {
  const volume = new Volume();
  const promised = new Promised();
  for (const operation of recording.recorder.recorded) {
    promised.note(operation);
    if (operation.kind !== 'note') volume.apply(operation);
  }
  const failures: string[] = [];
  for (const image of volume.images()) {
    const { outcome, broken } = await judge(image, recording.config, recording.segmentBytes, reference);
    const all = [...broken, promised.brokenBy(outcome)];
    for (const each of all) if (each !== undefined) failures.push(`${image.label} kept: ${each}`);
  }
  return failures;
}

class Campaign {
  private readonly recording: Recording;
  private readonly reference: Reference;
  private readonly options: CampaignOptions;
  private readonly result: CampaignResult;
  private readonly outcomes = new Map<string, Recovered | Refused>();

  constructor(recording: Recording, reference: Reference, options: CampaignOptions, result: CampaignResult) {
    this.recording = recording;
    this.reference = reference;
    this.options = options;
    this.result = result;
  }

  /** @param depth 0 for the recording itself, 1 for crashes in a start */
  async run(recorded: readonly Recorded[], initial: Image, promised: Promised, depth: number): Promise<void> {
    const { result, options } = this;
    const volume = new Volume(initial);
    for (const [at, operation] of recorded.entries()) {
      promised.note(operation);
      if (operation.kind !== 'note') volume.apply(operation);
      if (depth === 0) result.operations++;
      for (const image of volume.images()) {
        if (depth === 0) {
          const number = result.images++;
          if ((number + (options.offset ?? 0)) % options.every !== 0) continue;
        } else result.nested++;
        await this.start(image, promised, `${at}${depth > 0 ? ' of a start' : ''}`, depth);
        if (result.failures.length >= FAILURES_MAX) return;
      }
    }
  }

  private async start(image: Image, promised: Promised, at: string, depth: number): Promise<void> {
    const { result, recording } = this;
    const key = keyOf(image);
    let outcome = this.outcomes.get(key);
    if (outcome === undefined) {
      let recorder: Recorder;
      try {
        const judged = await judge(image, recording.config, recording.segmentBytes, this.reference);
        ({ outcome, recorder } = judged);
        for (const each of judged.broken) this.failed(at, image, each);
      } catch (error) {
        this.failed(at, image, error instanceof Error ? (error.stack ?? error.message) : String(error));
        return;
      }
      this.outcomes.set(key, outcome);
      if (depth === 0 && result.started % this.options.nestedEvery === 0)
        await this.run(recorder.recorded, image, promised, 1);
      result.started++;
      if (outcome.kind === 'refused') result.refused++;
    }
    const broken = promised.brokenBy(outcome);
    if (broken !== undefined) this.failed(at, image, broken);
  }

  private failed(at: string, { label }: Image, what: string): void {
    if (this.result.failures.length < FAILURES_MAX)
      this.result.failures.push(`after operation ${at}, ${label} kept: ${what}`);
  }
}

function keyOf({ directories, files, stores }: Image): string {
  const hash = createHash('sha1');
  for (const path of directories) hash.update(`${path}\n`);
  for (const [path, bytes] of files) hash.update(`${path} ${bytes.length}\n`).update(bytes);
  for (const [id, batches] of stores) hash.update(`${id} ${batches.length}\n`);
  return hash.digest('hex');
}
