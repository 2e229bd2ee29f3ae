/** The `hadoop` config filter, refused: Hadoop's credential store is a Java keystore that only the JVM can open. */
import { ConfigError } from '../../lib/errors.ts';
import { path, text } from '../../lib/props/spec.ts';
import { defineConfigFilter } from '../core/define.ts';

const REASON = 'the Hadoop credential store (JCEKS) can be opened by Java only';
const FIX = 'use the filter "env", or "external" with a command such as a wrapper that prints the credential';

export default defineConfigFilter({
  type: 'hadoop',
  aliases: ['org.apache.flume.configfilter.HadoopCredentialStoreConfigFilter'],
  summary: 'Not available: reads a Hadoop credential store, which needs Java.',
  properties: {
    'credential.provider.path': text({ doc: 'Path of the store.' }),
    'credstore.java-keystore-provider.password-file': path({ doc: 'File with the password of the store.' }),
  },
  check: () => [{ code: 'unavailable-type', severity: 'error', message: `config filter hadoop is not available: ${REASON}`, fix: FIX, key: 'type' }],
  create: () => {
    throw new ConfigError(`config filter hadoop is not available: ${REASON}`, { fix: FIX });
  },
});
