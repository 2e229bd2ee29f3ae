/** Kerberos between agents (Thrift over SASL GSSAPI): known by name, and refused with a reason. Reference: section 10. */
import type { FindingDraft } from '../../lib/props/finding.ts';
import { bool } from '../../lib/props/spec.ts';

export const KERBEROS_ONLY = 'it belongs to Kerberos, which is not to be had here';

export const kerberosProperties = {
  kerberos: bool({ default: false, doc: 'Authenticate with Kerberos; not to be had here, true leaves the component out.' }),
} as const;

/** Running without what was meant to protect the connection would be worse than not running. */
export function kerberosFindings(kerberos: boolean): FindingDraft[] {
  if (!kerberos) return [];
  return [
    {
      code: 'refused-property',
      severity: 'error',
      message: 'property "kerberos" is not supported: GSSAPI needs Java’s login modules',
      fix: 'use ssl = true on both ends instead',
      key: 'kerberos',
    },
  ];
}
