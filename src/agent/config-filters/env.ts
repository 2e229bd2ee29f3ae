/** The `env` config filter: values from the environment (Flume: EnvironmentVariableConfigFilter). */
import { defineConfigFilter } from '../core/define.ts';

export default defineConfigFilter({
  type: 'env',
  aliases: ['org.apache.flume.configfilter.EnvironmentVariableConfigFilter'],
  summary: 'Takes values from environment variables.',
  properties: {},
  create: () => (key) => process.env[key] ?? null,
});
