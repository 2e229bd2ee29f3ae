/**
 * SaslHandshake and SaslAuthenticate (keys 17 and 36) on listeners without SASL. On SASL listeners the connection runs
 * the exchange itself (auth/login.ts) and these are never reached.
 */
import { SaslAuthenticate } from '../../kafka/apis/sasl-authenticate.ts';
import { SaslHandshake } from '../../kafka/apis/sasl-handshake.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { handle } from '../request.ts';

export const saslHandshake = handle(SaslHandshake, () => ({ errorCode: ErrorCode.ILLEGAL_SASL_STATE, mechanisms: [] }));

export const saslAuthenticate = handle(SaslAuthenticate, () => ({
  errorCode: ErrorCode.ILLEGAL_SASL_STATE,
  errorMessage: 'SaslAuthenticate request received after successful authentication',
  authBytes: Buffer.alloc(0),
}));
