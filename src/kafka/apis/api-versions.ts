/**
 * ApiVersions (key 18).
 *
 * Which APIs and versions the broker offers. The response has header version 0 in every version, and a request newer than
 * ours is answered in version 0 with UNSUPPORTED_VERSION instead of closing (KIP-35, KIP-511): see ../headers.ts.
 *
 * Versions: 1 adds the throttle time, 3 is flexible and names the client's software, 4 may hold features with minimum 0.
 */
import { api, array, bool, int16, int32, int64, string } from '../schema.ts';

export const ApiVersions = api(
  18,
  { name: 'ApiVersions', versions: '0-4', flexible: '3+' },
  {
    clientSoftwareName: string().since(3).ignorable(),
    clientSoftwareVersion: string().since(3).ignorable(),
  },
  {
    errorCode: int16(),
    apiKeys: array({
      apiKey: int16(),
      minVersion: int16(),
      maxVersion: int16(),
    }),
    throttleTimeMs: int32().since(1).ignorable(),
    supportedFeatures: array({
      name: string(),
      minVersion: int16(),
      maxVersion: int16(),
    })
      .tag(0, '3+')
      .ignorable(),
    finalizedFeaturesEpoch: int64().default(-1).tag(1, '3+').ignorable(),
    finalizedFeatures: array({
      name: string(),
      maxVersionLevel: int16(),
      minVersionLevel: int16(),
    })
      .tag(2, '3+')
      .ignorable(),
    zkMigrationReady: bool().tag(3, '3+').ignorable(),
  },
);
