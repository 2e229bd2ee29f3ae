/**
 * ApiVersions (key 18): what this broker speaks, derived from the handlers it has. A request newer than ours is answered
 * by the connection itself with error 35 in the oldest form (KIP-511). Names of client software are checked as Kafka does.
 */
import { ApiVersions } from '../../kafka/apis/api-versions.ts';
import { handle } from '../request.ts';

const INVALID_REQUEST = 42;
const SOFTWARE = /^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?$/;

export const apiVersions = handle(ApiVersions, (request, { broker, version }) => {
  if (version >= 3 && !(SOFTWARE.test(request.clientSoftwareName) && SOFTWARE.test(request.clientSoftwareVersion))) {
    return { errorCode: INVALID_REQUEST, apiKeys: [] };
  }
  const apiKeys = [...broker.handlers.values()]
    .map(({ api }) => ({ apiKey: api.key, minVersion: api.offered[0], maxVersion: api.offered[1] }))
    .sort((a, b) => a.apiKey - b.apiKey);
  return { errorCode: 0, apiKeys };
});
