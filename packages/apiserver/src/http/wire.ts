/**
 * The wire as handlers see it: bodies become objects, Accept becomes a form, events become frames. Joins decoding,
 * negotiation and frames; holds nothing but the codec and the frames it made.
 */

import type { ApiRequest, ApiResponse } from '../api/exchange.ts';
import type { Json } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { isReady, type ReadyIterator } from '../api/ready.ts';
import { LONG_BYTES } from '../api/sliced.ts';
import { badRequest } from '../api/status.ts';
import { readEnvelope } from '../codec/envelope.ts';
import { LongYaml, type LongYamlOptions } from '../codec/long-yaml.ts';
import { isBuiltInGroup, type ObjectCodec } from '../codec/object-codec.ts';
import { YamlError } from '../codec/yaml.ts';
import { BODY_BYTES_MAX } from '../handlers/body.ts';
import type { AnswerForm, ExpectedBody, LongList, PartedList, Wire, WireEvent } from '../handlers/wire.ts';
import { decodeBody, decodeBodyInSlices, fieldValidation, type YamlFound } from './decode-body.ts';
import { answerForm, bodyForm, JSON_TYPE, PROTOBUF_TYPE, YAML_TYPE } from './negotiate.ts';
import { jsonList, yamlList } from './list-parts.ts';
import { ProtobufLists } from './protobuf-lists.ts';
import { WatchFrames } from './watch-frames.ts';

/** Options kinds whose refusal names them, by method. */
const OPTIONS: Readonly<Record<string, string>> = {
  POST: 'CreateOptions',
  PUT: 'UpdateOptions',
  PATCH: 'PatchOptions',
};

export class HttpWire implements Wire {
  private readonly codec: ObjectCodec;
  private readonly frames: WatchFrames;
  private readonly protobufLists: ProtobufLists;
  private readonly longYaml = new LongYaml();

  constructor(codec: ObjectCodec) {
    this.codec = codec;
    this.frames = new WatchFrames(codec);
    this.protobufLists = new ProtobufLists(codec);
  }

  async readObject(request: ApiRequest, expected: ExpectedBody): Promise<KubeObject | undefined> {
    const options = OPTIONS[request.method];
    const validation = options === undefined ? 'Ignore' : fieldValidation(request.query, options);
    // Options of a deletion may be left out; an object may not.
    const bytes = await request.body(BODY_BYTES_MAX);
    if (bytes.length === 0 && options === undefined) return undefined;
    const protobuf = expected.schema !== undefined && isBuiltInGroup(expected.kind.group);
    const form = bodyForm(request.headers, protobuf);
    const warn = (text: string): void => request.warn(text);
    const slices = bytes.length > LONG_BYTES ? expected.long?.() : undefined;
    const { codec } = this;
    const yaml = form === 'yaml' ? await this.foundYaml(request, bytes, expected) : undefined;
    if (slices === undefined) return decodeBody(codec, bytes, form, expected, validation, warn, yaml);
    return await slices.run(decodeBodyInSlices(codec, bytes, form, expected, validation, warn, yaml, slices));
  }

  readYaml(text: string, options: LongYamlOptions): Promise<Json> {
    return this.longYaml.read(text, options);
  }

  /** What is wrong with it is told where it is asked for. */
  private async foundYaml(
    { signal }: ApiRequest,
    bytes: Buffer,
    { long }: ExpectedBody,
  ): Promise<YamlFound | undefined> {
    if (long === undefined) return undefined;
    let repeated = '';
    const options = { signal, slices: long, duplicates: (text: string) => (repeated = text) };
    try {
      const value = await this.readYaml(bytes.toString('utf8'), options);
      return ({ duplicates }) => {
        if (repeated !== '') duplicates?.(repeated);
        return value;
      };
    } catch (error) {
      if (!(error instanceof YamlError)) throw error;
      return () => {
        throw error;
      };
    }
  }

  answerForm(
    request: ApiRequest,
    { watch, table }: { readonly watch: boolean; readonly table: boolean },
  ): AnswerForm {
    return answerForm(request, {
      watch,
      table,
      metadata: true,
      protobuf: isBuiltInGroup(request.info.group),
      list: request.info.verb === 'list' || watch,
    });
  }

  longList({ media, pretty }: AnswerForm, list: PartedList): LongList | undefined {
    const { codec } = this;
    const { head } = list;
    switch (media) {
      case 'yaml':
        return { contentType: YAML_TYPE, chunks: yamlList(codec, list) };
      case 'json':
        return { contentType: JSON_TYPE, chunks: jsonList(codec, list, pretty) };
      case 'protobuf': {
        const envelope = codec.envelope(head);
        // Items that stand before the metadata (v1beta1 of metadata lists) cannot be told from it.
        if (envelope === undefined || head.apiVersion.endsWith('/v1beta1')) return undefined;
        const start = readEnvelope(envelope).raw;
        return { contentType: PROTOBUF_TYPE, chunks: this.protobufLists.chunks(list, start) };
      }
    }
  }

  watchResponse(
    { context }: ApiRequest,
    form: AnswerForm,
    events: AsyncIterable<readonly WireEvent[]>,
  ): ApiResponse {
    if (form.media === 'yaml') throw badRequest('YAML has no frames');
    const protobuf = form.media === 'protobuf';
    return {
      kind: 'stream',
      code: 200,
      contentType: protobuf ? `${PROTOBUF_TYPE};stream=watch` : JSON_TYPE,
      chunks: new Framed(events, this.frames, protobuf, context.watched),
    };
  }
}

/** One piece a batch, so that a turn's events leave in one write. No generator: see handlers/watch.ts. */
class Framed implements AsyncIterable<Buffer>, ReadyIterator<Buffer> {
  private readonly batches: AsyncIterator<readonly WireEvent[]>;
  private readonly frames: WatchFrames;
  private readonly protobuf: boolean;
  private readonly told: ((bytes: number) => void) | undefined;
  /** The same events, once they can be polled. */
  private ready: ReadyIterator<readonly WireEvent[]> | undefined = undefined;
  private readonly step = (
    result: IteratorResult<readonly WireEvent[]>,
  ): IteratorResult<Buffer, undefined> | Promise<IteratorResult<Buffer, undefined>> => {
    if (result.done === true) return { done: true, value: undefined };
    const batch = result.value;
    return batch.length === 0 ? this.next() : { done: false, value: this.piece(batch) };
  };

  constructor(
    events: AsyncIterable<readonly WireEvent[]>,
    frames: WatchFrames,
    protobuf: boolean,
    told: ((bytes: number) => void) | undefined,
  ) {
    this.told = told;
    this.batches = events[Symbol.asyncIterator]();
    this.frames = frames;
    this.protobuf = protobuf;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  get canPoll(): boolean {
    if (isReady(this.batches)) this.ready = this.batches;
    return this.ready !== undefined;
  }

  poll(): Buffer | 'ended' | undefined {
    for (;;) {
      const batch = this.ready === undefined ? 'ended' : this.ready.poll();
      if (batch === undefined || batch === 'ended') return batch;
      if (batch.length > 0) return this.piece(batch);
    }
  }

  whenReady(task: () => void): void {
    this.ready?.whenReady(task);
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    return this.batches.next().then(this.step);
  }

  async return(): Promise<IteratorResult<Buffer, undefined>> {
    await this.batches.return?.();
    return { done: true, value: undefined };
  }

  private piece(batch: readonly WireEvent[]): Buffer {
    return batch.length === 1 ? this.made(batch[0]) : Buffer.concat(batch.map((event) => this.made(event)));
  }

  private made(event: WireEvent): Buffer {
    const bytes = this.protobuf ? this.frames.frame(event) : this.frames.line(event);
    this.told?.(bytes.length);
    return bytes;
  }
}
