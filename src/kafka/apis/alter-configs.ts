/**
 * AlterConfigs (key 33).
 *
 * Replaces the whole set of configs of a resource; kafkajs knows only this one, everybody else uses IncrementalAlterConfigs.
 * Version 2 is flexible.
 */
import { api, array, bool, int8, int16, int32, string } from '../schema.ts';

export const AlterConfigs = api(
  33,
  { name: 'AlterConfigs', versions: '0-2', flexible: '2+' },
  {
    resources: array({
      resourceType: int8(),
      resourceName: string(),
      configs: array({
        name: string(),
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
