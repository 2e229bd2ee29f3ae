/**
 * IncrementalAlterConfigs (key 44).
 *
 * Changes single configs (KIP-339): operation 0 set, 1 delete, 2 append, 3 subtract (the last two for lists). Version 1 is flexible.
 */
import { api, array, bool, int8, int16, int32, string } from '../schema.ts';

export const IncrementalAlterConfigs = api(
  44,
  { name: 'IncrementalAlterConfigs', versions: '0-1', flexible: '1+' },
  {
    resources: array({
      resourceType: int8(),
      resourceName: string(),
      configs: array({
        name: string(),
        configOperation: int8(),
        value: string().nullable(),
      }),
    }),
    validateOnly: bool(),
  },
  {
    throttleTimeMs: int32().default(0),
    responses: array({
      errorCode: int16(),
      errorMessage: string().nullable(),
      resourceType: int8(),
      resourceName: string(),
    }),
  },
);
