/** The suite of sockets on both transports and on their pairs. */
import { grpcJsChannel, grpcJsServer, nativeChannel, nativeServer } from '@keelson/rpc';
import { socketContract } from './contract/sockets.ts';

socketContract('native', nativeServer, nativeChannel);
socketContract('native server, grpc-js channel', nativeServer, grpcJsChannel);
socketContract('grpc-js server, native channel', grpcJsServer, nativeChannel);
socketContract('grpc-js', grpcJsServer, grpcJsChannel);
