/**
 * The wire as handlers see it: bodies become objects, Accept becomes a form, events become frames. Joins decoding,
 * negotiation and frames; holds nothing but the codec and the frames it made.
 */

import type { ApiRequest, ApiResponse } from '../api/exchange.ts';
import type { KubeObject } from '../api/meta.ts';
import { badRequest } from '../api/status.ts';
import { isBuiltInGroup, type ObjectCodec } from '../codec/object-codec.ts';
import { BODY_BYTES_MAX } from '../handlers/body.ts';
import type { AnswerForm, ExpectedBody, Wire, WireEvent } from '../handlers/wire.ts';
import { decodeBody, fieldValidation } from './decode-body.ts';
import { answerForm, bodyForm, JSON_TYPE, PROTOBUF_TYPE } from './negotiate.ts';
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

  constructor(codec: ObjectCodec) {
    this.codec = codec;
    this.frames = new WatchFrames(codec);
  }

  async readObject(request: ApiRequest, expected: ExpectedBody): Promise<KubeObject | undefined> {
    const options = OPTIONS[request.method];
    const validation = options === undefined ? 'Ignore' : fieldValidation(request.query, options);
    // Options of a deletion may be left out; an object may not.
    const bytes = await request.body(BODY_BYTES_MAX);
    if (bytes.length === 0 && options === undefined) return undefined;
    const protobuf = expected.schema !== undefined && isBuiltInGroup(expected.kind.group);
    const form = bodyForm(request.headers, protobuf);
    return decodeBody(this.codec, bytes, form, expected, validation, (text) => request.warn(text));
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
    });
  }

  watchResponse(
    _request: ApiRequest,
    form: AnswerForm,
    events: AsyncIterable<readonly WireEvent[]>,
  ): ApiResponse {
    if (form.media === 'yaml') throw badRequest('YAML has no frames');
    const protobuf = form.media === 'protobuf';
    return {
      kind: 'stream',
      code: 200,
      contentType: protobuf ? `${PROTOBUF_TYPE};stream=watch` : JSON_TYPE,
      chunks: this.framed(events, protobuf),
    };
  }

  /** One piece a batch, so that a turn's events leave in one write. */
  private async *framed(
    events: AsyncIterable<readonly WireEvent[]>,
    protobuf: boolean,
  ): AsyncGenerator<Buffer, void> {
    const { frames } = this;
    for await (const batch of events) {
      if (batch.length === 0) continue;
      const pieces = batch.map((event) => (protobuf ? frames.frame(event) : frames.line(event)));
      yield pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
    }
  }
}
