/**
 * The JSON form of the API: every method of the table that the .proto files give a path, unary and streaming,
 * over the same handlers and hooks as gRPC, in process. JSON becomes the bytes of the request message and the
 * bytes of the response become JSON; no handler knows which way it was called. Rules, status mapping and bodies
 * are grpc-gateway v2's with the options etcd 3.7 gives it (server/embed/serve.go).
 */
import { loadDescriptors, services } from '@keelson/proto';
import {
  RpcError,
  StatusCode,
  toRpcError,
  type CallOptions,
  type Channel,
  type ClientReader,
  type MethodDescriptor,
} from '@keelson/rpc';
import type { Exchange, ExchangeListener } from './gateway-exchange.ts';
import { gatewayMetadata, timeoutOf } from './gateway-metadata.ts';
import { JsonChunks } from './json-chunks.ts';
import { JsonError, readJson } from './json-reader.ts';
import { MappingError, ProtoJson } from './proto-json.ts';

/** HTTP status of each gRPC code: grpc-gateway's runtime/errors.go. 499 is nginx' "client closed request". */
const HTTP_STATUS: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

export function httpStatusOf(code: number): number {
  return HTTP_STATUS[code] ?? 500;
}

/** A message passes as it is: its bytes are made and read here. */
type BytesMethod = MethodDescriptor<Buffer, Buffer>;

interface Route {
  readonly method: BytesMethod;
  readonly requestType: string;
  readonly responseType: string;
}

export interface GatewayOptions {
  /** The member's methods, with the hooks every call passes. */
  readonly channel: Channel;
  /** Largest request as gRPC counts it; its JSON may be some times longer. */
  readonly messageBytesMax: number;
  /** Calls at a time, all clients together, as on the one connection etcd's gateway has; more wait. */
  readonly concurrentMax: number;
}

/** base64 takes 4/3, an escape in a string up to 6 bytes for one, names and brackets the rest. */
const JSON_BYTES_PER_BYTE = 8;

const GRPC_CONTENT_TYPE = { 'Grpc-Metadata-Content-Type': 'application/grpc' };
const JSON_CONTENT_TYPE = { 'Content-Type': 'application/json' };

export class Gateway {
  private readonly options: GatewayOptions;
  private readonly routes: ReadonlyMap<string, Route>;
  private readonly json: ProtoJson;
  private readonly waiting: (() => void)[] = [];
  private running = 0;

  /** Reads the generated tables, which nothing else needs at run time. */
  static async load(options: GatewayOptions): Promise<Gateway> {
    const descriptors = await loadDescriptors();
    const routes = new Map<string, Route>();
    for (const service of Object.values(services)) {
      for (const { path, kind } of Object.values(service.methods)) {
        const { http, request, response } = descriptors.METHODS[path];
        const method: BytesMethod = { path, kind, request: BYTES, response: BYTES };
        for (const httpPath of http)
          routes.set(httpPath, { method, requestType: request, responseType: response });
      }
    }
    return new Gateway(options, routes, new ProtoJson(descriptors));
  }

  private constructor(options: GatewayOptions, routes: ReadonlyMap<string, Route>, json: ProtoJson) {
    this.options = options;
    this.routes = routes;
    this.json = json;
  }

  /** Longest JSON of one message, bytes. */
  get jsonBytesMax(): number {
    return this.options.messageBytesMax * JSON_BYTES_PER_BYTE;
  }

  /** Every path there is. */
  get paths(): readonly string[] {
    return [...this.routes.keys()];
  }

  /** Calls that wait for another to end. */
  get waitingCount(): number {
    return this.waiting.length;
  }

  get runningCount(): number {
    return this.running;
  }

  /** Answers a request. Never throws. */
  serve(exchange: Exchange): void {
    const route = this.routes.get(exchange.path);
    if (route === undefined) {
      refuse(exchange, new RpcError(StatusCode.NotFound, 'Not Found'));
      return;
    }
    if (exchange.method !== 'POST') {
      refuse(exchange, new RpcError(StatusCode.Unimplemented, 'Method Not Allowed'));
      return;
    }
    const call = new GatewayCall(this.json, route, exchange, this.jsonBytesMax);
    let options: CallOptions;
    try {
      const timeoutMs = timeoutOf(exchange.headers);
      const signal = call.signal;
      options = {
        metadata: gatewayMetadata(exchange),
        signal,
        ...(timeoutMs !== undefined && { timeoutMs }),
      };
    } catch (error) {
      refuse(exchange, toRpcError(error));
      return;
    }
    exchange.listen(call);
    const run = (): void => {
      call.onOver = () => this.release();
      call.run(this.options.channel, options);
    };
    if (this.running < this.options.concurrentMax) {
      this.running++;
      run();
      return;
    }
    this.waiting.push(run);
    call.onOver = () => void this.waiting.splice(this.waiting.indexOf(run), 1);
  }

  private release(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.running--;
    else next();
  }
}

const BYTES = { encode: (bytes: Buffer): Buffer => bytes, decode: (bytes: Buffer): Buffer => bytes };

/** What a call makes of its body. */
interface BodyReader {
  /** @returns false when no more should come until the exchange is resumed */
  data(chunk: Buffer): boolean;
  end(): void;
}

/** One call: the exchange's body in, its answer out. */
class GatewayCall implements ExchangeListener {
  /** Called once when the call is over, or its client gone before it ran. */
  onOver: () => void = () => {};
  private readonly json: ProtoJson;
  private readonly route: Route;
  private readonly exchange: Exchange;
  private readonly jsonBytesMax: number;
  private readonly abort = new AbortController();
  private reader: BodyReader | undefined = undefined;
  /** Of the body, what came before the call ran. */
  private held: Buffer[] = [];
  private heldEnd = false;
  private started = false;
  private over = false;

  constructor(json: ProtoJson, route: Route, exchange: Exchange, jsonBytesMax: number) {
    this.json = json;
    this.route = route;
    this.exchange = exchange;
    this.jsonBytesMax = jsonBytesMax;
  }

  /** Aborted when nobody waits for the answer any more. */
  get signal(): AbortSignal {
    return this.abort.signal;
  }

  run(channel: Channel, options: CallOptions): void {
    const { kind } = this.route.method;
    this.reader = kind === 'bidi' ? this.readMany(channel, options) : this.readOne(channel, options);
    const held = this.held;
    this.held = [];
    for (const chunk of held) this.reader.data(chunk);
    if (this.heldEnd) this.reader.end();
    else this.exchange.resume();
  }

  data(chunk: Buffer): boolean {
    if (this.reader !== undefined) return this.reader.data(chunk);
    this.held.push(chunk);
    return false;
  }

  end(): void {
    if (this.reader === undefined) this.heldEnd = true;
    else this.reader.end();
  }

  gone(): void {
    if (!this.over) {
      this.over = true;
      this.onOver();
    }
    this.abort.abort();
  }

  /** One request, then one answer or a stream of them. The body's first value counts; an empty body is `{}`. */
  private readOne(channel: Channel, options: CallOptions): BodyReader {
    const { method } = this.route;
    const chunks = new JsonChunks(this.jsonBytesMax);
    let begun = false;
    const begin = (text: string | undefined): void => {
      if (begun) return;
      begun = true;
      const request = text === undefined ? Buffer.alloc(0) : this.encode(text);
      if (method.kind === 'unary') this.answerUnary(channel.unary(method, request, options));
      else this.forward(channel.serverStream(method, request, options));
    };
    const guarded = (task: () => void): void => {
      try {
        task();
      } catch (error) {
        begun = true;
        this.fail(toRpcError(error));
      }
    };
    return {
      data: (chunk) => {
        if (!begun)
          guarded(() => {
            const values = chunks.push(chunk);
            if (values.length > 0) begin(values[0]);
          });
        return true;
      },
      end: () => guarded(() => begin(chunks.rest())),
    };
  }

  /** A request a value, as they come. One that cannot be read ends what the client says. */
  private readMany(channel: Channel, options: CallOptions): BodyReader {
    const chunks = new JsonChunks(this.jsonBytesMax);
    const stream = channel.bidi(this.route.method, options);
    stream.onDrain(() => this.exchange.resume());
    this.forward(stream);
    let broken = false;
    let sent = false;
    const send = (texts: readonly string[]): boolean => {
      let room = true;
      for (const text of texts) {
        room = stream.write(this.encode(text));
        sent = true;
      }
      return room;
    };
    const guarded = (task: () => boolean): boolean => {
      if (broken) return true;
      try {
        return task();
      } catch (error) {
        broken = true;
        if (sent) stream.end();
        else this.fail(toRpcError(error));
        return true;
      }
    };
    return {
      data: (chunk) => guarded(() => send(chunks.push(chunk))),
      end: () => {
        guarded(() => {
          const rest = chunks.rest();
          if (rest !== undefined) send([rest]);
          stream.end();
          return true;
        });
      },
    };
  }

  private answerUnary(response: Promise<Buffer>): void {
    response.then(
      (bytes) => this.answer(200, this.json.decode(this.route.responseType, bytes), GRPC_CONTENT_TYPE),
      (error: unknown) => this.fail(toRpcError(error)),
    );
  }

  private forward(stream: ClientReader<Buffer>): void {
    const { exchange } = this;
    exchange.onDrain(() => stream.resume());
    stream.onMessage((message) => {
      if (this.over) return;
      this.startStream(200);
      const result = goHtmlEscape(this.json.decode(this.route.responseType, message));
      if (!exchange.write(`{"result":${result}}\n`)) stream.pause();
    });
    stream.onEnd((error) => {
      if (this.over) return;
      this.startStream(error === undefined ? 200 : httpStatusOf(error.code));
      if (error !== undefined) exchange.write(`{"error":${goHtmlEscape(errorBody(error))}}\n`);
      this.finish();
    });
  }

  private startStream(status: number): void {
    if (this.started) return;
    this.started = true;
    this.exchange.start(status, { ...JSON_CONTENT_TYPE, ...GRPC_CONTENT_TYPE });
  }

  private encode(text: string): Buffer {
    try {
      return this.json.encode(this.route.requestType, readJson(text), text);
    } catch (error) {
      if (!(error instanceof JsonError || error instanceof MappingError)) throw error;
      throw new RpcError(StatusCode.InvalidArgument, error.message);
    }
  }

  private fail(error: RpcError): void {
    this.answer(httpStatusOf(error.code), errorBody(error), {});
  }

  private answer(status: number, body: string, headers: Readonly<Record<string, string>>): void {
    if (this.over) return;
    this.started = true;
    this.exchange.start(status, {
      ...JSON_CONTENT_TYPE,
      ...headers,
      'Content-Length': Buffer.byteLength(body),
    });
    this.exchange.write(body);
    this.finish();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.exchange.end();
    this.abort.abort();
    this.onOver();
  }
}

function refuse(exchange: Exchange, error: RpcError): void {
  const body = errorBody(error);
  exchange.listen({ data: () => true, end: () => {}, gone: () => {} });
  exchange.start(httpStatusOf(error.code), {
    ...JSON_CONTENT_TYPE,
    'Content-Length': Buffer.byteLength(body),
  });
  exchange.write(body);
  exchange.end();
}

/** google.rpc.Status. */
function errorBody({ code, message }: RpcError): string {
  return JSON.stringify({ code, message, details: [] });
}

/** What Go's encoding/json, which writes the lines of a stream, does to characters that HTML gives a meaning. */
function goHtmlEscape(json: string): string {
  return json.replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
