/**
 * The calls inside Avro frames: handshake, message name, answer (Avro 1.11 specification, "Protocol Wire Format"), and
 * Flume's protocol AvroSourceProtocol (flume.avdl).
 *
 *   request  = [handshake] | meta map<bytes> | name | parameters        response = [handshake] | meta | error flag | payload
 *
 * The handshake goes before the first call of a connection, and before later ones until both ends know the other's
 * protocol. Its hash is of the protocol's text with the licence in it, the same in Flume 1.4 to 1.11.
 */
import { type ByteReader, ByteWriter } from '../../lib/bytes.ts';
import { ProtocolError } from '../../lib/errors.ts';

/** The licence header of flume.avdl, which Avro takes for the protocol's documentation. */
const LICENCE = `* Licensed to the Apache Software Foundation (ASF) under one
 * or more contributor license agreements.  See the NOTICE file
 * distributed with this work for additional information
 * regarding copyright ownership.  The ASF licenses this file
 * to you under the Apache License, Version 2.0 (the
 * "License"); you may not use this file except in compliance
 * with the License.  You may obtain a copy of the License at
 *
 * http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing,
 * software distributed under the License is distributed on an
 * "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY
 * KIND, either express or implied.  See the License for the
 * specific language governing permissions and limitations
 * under the License.`;

/** The schema of AvroFlumeEvent. */
export const EVENT_SCHEMA = {
  type: 'record',
  name: 'AvroFlumeEvent',
  fields: [
    { name: 'headers', type: { type: 'map', values: 'string' } },
    { name: 'body', type: 'bytes' },
  ],
};

/** The protocol's text as Flume prints it: what the hash is of. */
export const PROTOCOL_TEXT = JSON.stringify({
  protocol: 'AvroSourceProtocol',
  namespace: 'org.apache.flume.source.avro',
  doc: LICENCE,
  types: [{ type: 'enum', name: 'Status', symbols: ['OK', 'FAILED', 'UNKNOWN'] }, EVENT_SCHEMA],
  messages: {
    append: { request: [{ name: 'event', type: 'AvroFlumeEvent' }], response: 'Status' },
    appendBatch: { request: [{ name: 'events', type: { type: 'array', items: 'AvroFlumeEvent' } }], response: 'Status' },
  },
});

/** MD5 of {@link PROTOCOL_TEXT}. */
export const PROTOCOL_HASH = Buffer.from('86aadae2c45474c0fe93ffd0f2350a65', 'hex');
const HASH_BYTES = 16;

/** HandshakeResponse.match: both sides known; the client must take our protocol; the client must say its own. */
export const MATCH = { both: 0, client: 1, none: 2 } as const;
/** Status: Flume's answer to append and appendBatch. */
export const STATUS = { ok: 0, failed: 1, unknown: 2 } as const;
export const STATUS_NAMES = ['OK', 'FAILED', 'UNKNOWN'];

export interface HandshakeRequest {
  readonly clientHash: Buffer;
  readonly clientProtocol: string | null;
  readonly serverHash: Buffer;
}

/** @throws ProtocolError not a handshake */
export function readHandshakeRequest(input: ByteReader): HandshakeRequest {
  const clientHash = input.bytes(HASH_BYTES);
  const clientProtocol = branch(input) ? text(input) : null;
  const serverHash = input.bytes(HASH_BYTES);
  if (branch(input)) skipMeta(input);
  return { clientHash, clientProtocol, serverHash };
}

/** A client's handshake; `withText` after the server has answered that it does not know the hash. */
export function handshakeRequest(withText: boolean): Buffer {
  const out = new ByteWriter(64);
  out.bytes(PROTOCOL_HASH);
  if (withText) {
    out.varlong(1);
    out.varlong(Buffer.byteLength(PROTOCOL_TEXT));
    out.utf8(PROTOCOL_TEXT);
  } else out.varlong(0);
  out.bytes(PROTOCOL_HASH);
  out.varlong(0);
  return out.finish();
}

/** A server's answer; with anything but {@link MATCH}.both it says what our protocol is. */
export function handshakeResponse(match: number): Buffer {
  const out = new ByteWriter(16);
  out.varlong(match);
  if (match === MATCH.both) {
    out.varlong(0);
    out.varlong(0);
  } else {
    out.varlong(1);
    out.varlong(Buffer.byteLength(PROTOCOL_TEXT));
    out.utf8(PROTOCOL_TEXT);
    out.varlong(1);
    out.bytes(PROTOCOL_HASH);
  }
  out.varlong(0);
  return out.finish();
}

/** The server's answer as a client sees it: the match. @throws ProtocolError not a handshake */
export function readHandshakeResponse(input: ByteReader): number {
  const match = input.varlong();
  if (match < 0 || match > MATCH.none) throw new ProtocolError(`a handshake answered ${match}`);
  if (branch(input)) text(input);
  if (branch(input)) input.skip(HASH_BYTES);
  if (branch(input)) skipMeta(input);
  return match;
}

/** Which branch of union{null, X}: true = X. */
function branch(input: ByteReader): boolean {
  const index = input.varlong();
  if (index !== 0 && index !== 1) throw new ProtocolError(`a handshake has branch ${index}`);
  return index === 1;
}

function text(input: ByteReader): string {
  return input.utf8(input.varlong());
}

/** Reads over a map<bytes>. @throws ProtocolError malformed */
export function skipMeta(input: ByteReader): void {
  for (let count = input.varlong(); count !== 0; count = input.varlong()) {
    if (count < 0) {
      input.skip(input.varlong());
      continue;
    }
    for (let i = 0; i < count; i++) {
      input.skip(input.varlong());
      input.skip(input.varlong());
    }
  }
}

/** What a call asks for, up to its parameters. @throws ProtocolError malformed */
export function readCallHead(input: ByteReader): string {
  skipMeta(input);
  return text(input);
}

/** Meta and name of a call. */
export function callHead(message: string): Buffer {
  const out = new ByteWriter(16);
  out.varlong(0);
  out.varlong(Buffer.byteLength(message));
  out.utf8(message);
  return out.finish();
}

/** The payload of an answer: a status, or the text of an error of the system. */
export function answerPayload(outcome: number | string): Buffer {
  const out = new ByteWriter(32);
  out.bool(typeof outcome === 'string');
  if (typeof outcome === 'string') {
    out.varlong(0);
    out.varlong(Buffer.byteLength(outcome));
    out.utf8(outcome);
  } else out.varlong(outcome);
  return out.finish();
}

/** The status, or the text of an error. `input` stands behind the handshake. @throws ProtocolError malformed */
export function readAnswer(input: ByteReader): number | string {
  skipMeta(input);
  if (!input.bool()) return input.varlong();
  const index = input.varlong();
  return index === 0 ? text(input) : `an error of kind ${index}`;
}

/** A frame around the given buffers, which are copied. */
export function frameOf(serial: number, buffers: readonly Buffer[]): Buffer {
  const out = new ByteWriter(8 + buffers.reduce((sum, buffer) => sum + 4 + buffer.length, 0));
  out.i32(serial);
  out.i32(buffers.length);
  for (const buffer of buffers) {
    out.i32(buffer.length);
    out.bytes(buffer);
  }
  return out.finish();
}
