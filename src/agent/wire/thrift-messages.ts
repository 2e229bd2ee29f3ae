/**
 * Flume's Thrift service (flume.thrift): `Status append(1: ThriftFlumeEvent event)`, `Status appendBatch(1:
 * list<ThriftFlumeEvent> events)`; struct ThriftFlumeEvent { 1: map<string, string> headers, 2: binary body }.
 */
import { ByteWriter } from '../../lib/bytes.ts';
import { ProtocolError } from '../../lib/errors.ts';
import type { Event, Sealed } from '../core/event.ts';
import {
  MESSAGE,
  type MessageHead,
  skip,
  type ThriftProtocolName,
  type ThriftReader,
  type ThriftWriter,
  TYPE,
  thriftReader,
  thriftWriter,
} from './thrift-protocol.ts';

/** Status: Flume's answer. */
export const THRIFT_STATUS = { ok: 0, failed: 1, error: 2, unknown: 3 } as const;
export const THRIFT_STATUS_NAMES = ['OK', 'FAILED', 'ERROR', 'UNKNOWN'];
/** Kinds of TApplicationException. */
export const APPLICATION_ERROR = { unknownMethod: 1, internal: 6, protocol: 7 } as const;

/** One call as the server reads it: its events, or null when the method is not known. */
export interface ThriftCall {
  readonly head: MessageHead;
  readonly events: Event[] | null;
}

/** @throws ProtocolError not a message of the protocol, or not these methods' parameters */
export function readCall(protocol: ThriftProtocolName, payload: Buffer): ThriftCall {
  const reader = thriftReader(protocol, payload);
  const head = reader.message();
  if (head.kind !== MESSAGE.call && head.kind !== MESSAGE.oneway) throw new ProtocolError(`a message of kind ${head.kind} instead of a call`);
  if (head.name !== 'append' && head.name !== 'appendBatch') return { head, events: null };
  let events: Event[] | undefined;
  reader.structBegin();
  for (let type = reader.nextField(); type !== TYPE.stop; type = reader.nextField()) {
    if (reader.field === 1 && head.name === 'append' && type === TYPE.struct) events = [readEvent(reader)];
    else if (reader.field === 1 && head.name === 'appendBatch' && type === TYPE.list) events = readEvents(reader);
    else skip(reader, type);
  }
  reader.structEnd();
  if (events === undefined) throw new ProtocolError(`a call of ${head.name} without events`);
  return { head, events };
}

function readEvents(reader: ThriftReader): Event[] {
  const count = reader.list();
  if (count > 0 && reader.element !== TYPE.struct) throw new ProtocolError('the events are no structs');
  const events: Event[] = [];
  for (let i = 0; i < count; i++) events.push(readEvent(reader));
  return events;
}

function readEvent(reader: ThriftReader): Event {
  let headers: Record<string, string> | undefined;
  let body: Buffer | undefined;
  reader.structBegin();
  for (let type = reader.nextField(); type !== TYPE.stop; type = reader.nextField()) {
    if (reader.field === 1 && type === TYPE.map) headers = readHeaders(reader);
    else if (reader.field === 2 && type === TYPE.string) body = reader.bytes();
    else skip(reader, type);
  }
  reader.structEnd();
  if (headers === undefined || body === undefined) throw new ProtocolError(`an event without ${headers === undefined ? 'headers' : 'body'}`);
  return { headers, body };
}

function readHeaders(reader: ThriftReader): Record<string, string> {
  const headers: Record<string, string> = {};
  const count = reader.map();
  if (count > 0 && (reader.key !== TYPE.string || reader.element !== TYPE.string)) throw new ProtocolError('headers that are no strings');
  for (let i = 0; i < count; i++) {
    const key = reader.text();
    const value = reader.text();
    if (key === '__proto__') Object.defineProperty(headers, key, { value, enumerable: true, writable: true, configurable: true });
    else headers[key] = value;
  }
  return headers;
}

/** A framed call of appendBatch. */
export function batchCall(protocol: ThriftProtocolName, id: number, events: readonly Sealed[]): Buffer {
  return framed(protocol, 256 * events.length, (out) => {
    out.message({ name: 'appendBatch', kind: MESSAGE.call, id });
    out.structBegin();
    out.fieldBegin(TYPE.list, 1);
    out.list(TYPE.struct, events.length);
    for (let i = 0; i < events.length; i++) writeEvent(out, events[i] as Sealed);
    out.structEnd();
  });
}

function writeEvent(out: ThriftWriter, { headers, body }: Sealed): void {
  const keys = Object.keys(headers);
  out.structBegin();
  out.fieldBegin(TYPE.map, 1);
  out.map(TYPE.string, TYPE.string, keys.length);
  for (let k = 0; k < keys.length; k++) {
    const key = keys[k] as string;
    out.text(key);
    out.text(headers[key] as string);
  }
  out.fieldBegin(TYPE.string, 2);
  out.bytes(body);
  out.structEnd();
}

/** A framed answer with a status. */
export function statusReply(protocol: ThriftProtocolName, head: MessageHead, status: number): Buffer {
  return framed(protocol, 64, (out) => {
    out.message({ ...head, kind: MESSAGE.reply });
    out.structBegin();
    out.fieldBegin(TYPE.i32, 0);
    out.i32(status);
    out.structEnd();
  });
}

/** A framed TApplicationException. */
export function errorReply(protocol: ThriftProtocolName, head: MessageHead, kind: number, text: string): Buffer {
  return framed(protocol, 128, (out) => {
    out.message({ ...head, kind: MESSAGE.exception });
    out.structBegin();
    out.fieldBegin(TYPE.string, 1);
    out.text(text);
    out.fieldBegin(TYPE.i32, 2);
    out.i32(kind);
    out.structEnd();
  });
}

function framed(protocol: ThriftProtocolName, sizeHint: number, write: (out: ThriftWriter) => void): Buffer {
  const bytes = new ByteWriter(sizeHint + 64);
  const at = bytes.reserve(4);
  write(thriftWriter(protocol, bytes));
  bytes.patchI32(at, bytes.length - 4);
  return bytes.finish();
}

/** What a client reads: a status, or the text of an error. @throws ProtocolError not an answer */
export function readReply(protocol: ThriftProtocolName, payload: Buffer): { readonly id: number; readonly answer: number | string } {
  const reader = thriftReader(protocol, payload);
  const { kind, id } = reader.message();
  if (kind !== MESSAGE.reply && kind !== MESSAGE.exception) throw new ProtocolError(`a message of kind ${kind} instead of an answer`);
  let answer: number | string | undefined;
  reader.structBegin();
  for (let type = reader.nextField(); type !== TYPE.stop; type = reader.nextField()) {
    if (kind === MESSAGE.reply && reader.field === 0 && type === TYPE.i32) answer = reader.i32();
    else if (kind === MESSAGE.exception && reader.field === 1 && type === TYPE.string) answer = reader.text();
    else skip(reader, type);
  }
  reader.structEnd();
  if (answer === undefined && kind === MESSAGE.reply) throw new ProtocolError('an answer without a status');
  return { id, answer: answer ?? 'an error without a text' };
}
