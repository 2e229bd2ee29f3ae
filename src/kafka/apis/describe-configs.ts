/**
 * DescribeConfigs (key 32).
 *
 * Configs of topics (resource type 2), brokers (4), loggers (8), with their origin.
 *
 * Versions: 0 has isDefault where later ones have the source, 1 adds synonyms (KIP-226), 3 types and documentation
 * (KIP-569), 4 is flexible. Null keys ask for all; in version 0 an empty list does too.
 */
import { api, array, bool, int8, int16, int32, string } from '../schema.ts';

export const DescribeConfigs = api(
  32,
  { name: 'DescribeConfigs', versions: '0-4', flexible: '4+' },
  {
    resources: array({
      resourceType: int8(),
      resourceName: string(),
      configurationKeys: array(string()).nullable(),
    }),
    includeSynonyms: bool().since(1),
    includeDocumentation: bool().since(3),
  },
  {
    throttleTimeMs: int32().default(0),
    results: array({
      errorCode: int16(),
      errorMessage: string().nullable(),
      resourceType: int8(),
      resourceName: string(),
      configs: array({
        name: string(),
        value: string().nullable(),
        readOnly: bool(),
        isDefault: bool().until(0),
        configSource: int8().default(-1).since(1).ignorable(),
        isSensitive: bool(),
        synonyms: array({
          name: string(),
          value: string().nullable(),
          source: int8(),
        })
          .since(1)
          .ignorable(),
        configType: int8().since(3).ignorable(),
        documentation: string().nullable().since(3).ignorable(),
      }),
    }),
  },
);
