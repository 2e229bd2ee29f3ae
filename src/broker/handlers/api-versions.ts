/**
 * ApiVersions (key 18): what this broker speaks, derived from the handlers it has. A request newer than ours is answered
 * by the connection itself with error 35 in the oldest form (KIP-511). Names of client software are checked as Kafka does.
 *
 * Of the cluster's features (KIP-584) there is one: `group.version` 1, the new consumer protocol. In version 3 its least
 * level is told as 1 instead of 0, which older clients cannot read (KIP-1022).
 */
import { ApiVersions } from '../../kafka/apis/api-versions.ts';
import { handle } from '../request.ts';

const INVALID_REQUEST = 42;
const SOFTWARE = /^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?$/;
const FEATURE = { name: 'group.version', level: 1 } as const;

export const apiVersions = handle(ApiVersions, (request, { broker, version }) => {
  if (version >= 3 && !(SOFTWARE.test(request.clientSoftwareName) && SOFTWARE.test(request.clientSoftwareVersion))) {
    return { errorCode: INVALID_REQUEST, apiKeys: [] };
  }
  const apiKeys = [...broker.handlers.values()]
    .map(({ api }) => ({ apiKey: api.key, minVersion: api.offered[0], maxVersion: api.offered[1] }))
    .sort((a, b) => a.apiKey - b.apiKey);
  const isOn = broker.config.own['group.coordinator.rebalance.protocols'].includes('consumer');
  const supportedFeatures = [{ name: FEATURE.name, minVersion: version >= 4 ? 0 : 1, maxVersion: FEATURE.level }];
  const finalizedFeatures = isOn ? [{ name: FEATURE.name, minVersionLevel: FEATURE.level, maxVersionLevel: FEATURE.level }] : [];
  return { errorCode: 0, apiKeys, supportedFeatures, finalizedFeaturesEpoch: 0, finalizedFeatures };
});
