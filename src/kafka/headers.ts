/**
 * Frames and headers of both directions (Kafka protocol guide; KIP-482 for the flexible ones).
 *
 *     frame     int32 size of what follows | header | body
 *     request   v1: int16 api key | int16 version | int32 correlation id | nullable string client id;  v2: + tags
 *     response  v0: int32 correlation id;  v1: + tags
 *
 * Flexible versions use request v2 and response v1, with two exceptions: the client id keeps its int16 length, and
 * ApiVersions answers with header v0 in every version, because its reader cannot know yet what the broker speaks.
 */
import type { ByteReader } from '../lib/bytes.ts';
import { ByteWriter } from '../lib/bytes.ts';
import { ApiVersions } from './apis/api-versions.ts';
import { codec } from './compile.ts';
import { ErrorCode } from './errors.ts';
import type { AnyApi, RequestDraft, ResponseDraft, ResponseOf } from './schema.ts';
import { within } from './schema.ts';
import { wire } from './wire.ts';

export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  /** Null if the client gave none, or if the request is not one of ours. */
  readonly clientId: string | null;
  /** Undefined if the key or the version is not offered; the reader then stands after the correlation id. */
  readonly api: AnyApi | undefined;
}

/**
 * Reads a request's header and leaves the reader at the body. What comes after the correlation id is read only if
 * `find` knows the key and the version is offered: the layout of other requests is unknown.
 */
export function readRequestHeader(reader: ByteReader, find: (apiKey: number) => AnyApi | undefined): RequestHeader {
  const apiKey = reader.i16();
  const apiVersion = reader.i16();
  const correlationId = reader.i32();
  const api = find(apiKey);
  if (api === undefined || !within(api.offered, apiVersion)) return { apiKey, apiVersion, correlationId, clientId: null, api: undefined };
  const clientId = wire.plainString(reader);
  if (apiVersion >= api.flexible) wire.skipTags(reader);
  return { apiKey, apiVersion, correlationId, clientId, api };
}

/** Which call a frame belongs to. */
export interface CallId<A extends AnyApi> {
  readonly api: A;
  readonly version: number;
  readonly correlationId: number;
}

/**
 * A whole response frame, in parts to be written in order: large record buffers are parts of their own, not copied.
 * @throws ProtocolError if the version cannot carry the message
 */
export function encodeResponse<A extends AnyApi>({ api, version, correlationId }: CallId<A>, body: ResponseDraft<A>): Buffer[] {
  const writer = new ByteWriter(256, true);
  writer.reserve(4);
  writer.i32(correlationId);
  if (hasResponseTags(api, version)) writer.i8(0);
  codec(api, version).encodeResponse(writer, body);
  return frame(writer);
}

/** A whole request frame, in parts to be written in order. */
export function encodeRequest<A extends AnyApi>(call: CallId<A> & { readonly clientId: string | null }, body: RequestDraft<A>): Buffer[] {
  const { api, version, correlationId, clientId } = call;
  const writer = new ByteWriter(256, true);
  writer.reserve(4);
  writer.i16(api.key);
  writer.i16(version);
  writer.i32(correlationId);
  wire.writePlainString(writer, clientId);
  if (version >= api.flexible) writer.i8(0);
  codec(api, version).encodeRequest(writer, body);
  return frame(writer);
}

/** Reads a response's body; the reader stands after the correlation id, by which the caller has found the call. */
export function decodeResponse<A extends AnyApi>(api: A, version: number, reader: ByteReader): ResponseOf<A> {
  if (hasResponseTags(api, version)) wire.skipTags(reader);
  return codec(api, version).decodeResponse(reader);
}

function hasResponseTags(api: AnyApi, version: number): boolean {
  return version >= api.flexible && api.key !== ApiVersions.key;
}

function frame(writer: ByteWriter): Buffer[] {
  const size = writer.length - 4;
  const parts = writer.finishParts();
  parts[0]!.writeInt32BE(size, 0);
  return parts;
}

/**
 * The answer to an ApiVersions request that is newer than ours: version 0, UNSUPPORTED_VERSION, and our own range of
 * ApiVersions alone, from which the client learns what to ask with (KIP-511).
 */
export function apiVersionsFallback(correlationId: number): Buffer[] {
  const [minVersion, maxVersion] = ApiVersions.offered;
  const apiKeys = [{ apiKey: ApiVersions.key, minVersion, maxVersion }];
  return encodeResponse({ api: ApiVersions, version: 0, correlationId }, { errorCode: ErrorCode.UNSUPPORTED_VERSION, apiKeys });
}
