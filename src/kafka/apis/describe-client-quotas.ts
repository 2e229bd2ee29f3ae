/**
 * DescribeClientQuotas (key 48).
 *
 * Quotas by entity (KIP-546): types `user`, `client-id`, `ip`; a null name is the default entity. Match type 0 exact, 1 the
 * default entity, 2 any. Version 1 is flexible.
 */
import { api, array, bool, float64, int8, int16, int32, string } from '../schema.ts';

export const DescribeClientQuotas = api(
  48,
  { name: 'DescribeClientQuotas', versions: '0-1', flexible: '1+' },
  {
    components: array({
      entityType: string(),
      matchType: int8(),
      match: string().nullable(),
    }),
    strict: bool(),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16(),
    errorMessage: string().nullable(),
    entries: array({
      entity: array({
        entityType: string(),
        entityName: string().nullable(),
      }),
      values: array({
        key: string(),
        value: float64(),
      }),
    }).nullable(),
  },
);
