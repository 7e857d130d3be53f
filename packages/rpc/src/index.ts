export { StatusCode, RpcError, toRpcError, statusName, CANCELLED_TEXT, DEADLINE_TEXT } from './status.ts';
export { Exporter as SpanExporter } from './tracing/exporter.ts';
export type { Resource as SpanResource } from './tracing/otlp.ts';
export { Sampler } from './tracing/sampler.ts';
export { Span, SpanKind, type Attribute, type AttributeValue } from './tracing/span.ts';
export { remoteParent, traceparentOf, type RemoteParent } from './tracing/trace-context.ts';
export { Metadata, type MetadataValue } from './metadata.ts';
export {
  MethodTable,
  type BidiHandler,
  type CallContext,
  type Codec,
  type DuplexStream,
  type InStream,
  type MethodDescriptor,
  type MethodEntry,
  type MethodKind,
  type OutStream,
  type ServerStream,
  type ServerStreamHandler,
  type UnaryHandler,
} from './method-table.ts';
export {
  DEFAULT_MAX_RECEIVE_BYTES,
  type CallHooks,
  type CallOutcome,
  type ListenAddress,
  type RpcServer,
  type RpcServerOptions,
} from './server.ts';
export {
  type CallOptions,
  type Channel,
  type ChannelState,
  type ClientReader,
  type ClientStream,
} from './channel.ts';
export { grpcJsServer } from './grpc-js-server.ts';
export { grpcJsChannel, type ChannelOptions } from './grpc-js-channel.ts';
export { inProcessChannel, type InProcessChannel, type InProcessOptions } from './in-process.ts';
export { nativeServer, type NativeServerOptions } from './native-server.ts';
export { nativeChannel, type NativeChannelOptions } from './native-channel.ts';
export { DEFAULT_LIMITS, STRICT_RESETS, type Limits, type Rate } from './limits.ts';
export { sniff, type Protocol, type SniffOptions } from './sniff.ts';
export { describeCertificate, verifiedCertificate, type PeerCertificate } from './peer-certificate.ts';
export {
  TlsError,
  dialErrorText,
  dialTls,
  type DialTarget,
  type DialTls,
  type DialTlsOptions,
} from './tls-dial.ts';
export { KeyPairFiles, TlsFileError, readAuthorities, readTlsFile, type KeyPair } from './tls-files.ts';
export { opensslCiphers, unknownCipherSuite } from './tls-ciphers.ts';
export { chainText, handshakeText, hostnameProblem } from './tls-text.ts';
