/** `kafka-features.sh describe`: the features of a cluster and their versions (org.apache.kafka.tools.FeatureCommand 3.9). */
import { ApiVersions } from '../kafka/apis/api-versions.ts';
import { type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { out } from './kafka-tool/output.ts';
import { BOOTSTRAP, COMMAND_CONFIG, ELSEWHERE, KAFKA_VERSION, runTool, withCluster } from './kafka-tool/tool.ts';

const OPTIONS: readonly ToolOption[] = [BOOTSTRAP, COMMAND_CONFIG, ...ELSEWHERE];
/** What Kafka calls the levels of `metadata.version`, from 1 on. */
const METADATA_VERSIONS: readonly string[] = Object.entries({ '3.0': [1], '3.1': [0], '3.2': [0], '3.3': [0, 1, 2, 3], '3.4': [0] })
  .concat(Object.entries({ '3.5': [0, 1, 2], '3.6': [0, 1, 2], '3.7': [0, 1, 2, 3, 4], '3.8': [0], '3.9': [0], '4.0': [0, 1, 2, 3] }))
  .flatMap(([release, steps]) => steps.map((step) => `${release}-IV${step}`));

const levelText = (feature: string, level: number): string => (feature === 'metadata.version' ? METADATA_VERSIONS[level - 1] : undefined) ?? String(level);

const USAGE = 'usage: kafka-features [-h] [--command-config COMMAND_CONFIG] --bootstrap-server BOOTSTRAP_SERVER {describe}';

await runTool({
  purpose: `This tool manages feature flags in Kafka.\n${USAGE}`,
  options: OPTIONS,
  run: async (options) => {
    const command = options.rest[0];
    const fault = (message: string): UsageFault => new UsageFault(`${USAGE}\nkafka-features: error: ${message}`, { brief: true });
    if (command === undefined) throw fault('too few arguments');
    // Levels that could be chosen belong to the log of a quorum of controllers.
    if (command !== 'describe') throw fault(`'${command}' is not available here: features have the levels of ${KAFKA_VERSION}`);
    return withCluster(
      options,
      async ({ entry }) => {
        const answer = await entry.call(ApiVersions, { clientSoftwareName: 'millrace-tools', clientSoftwareVersion: KAFKA_VERSION });
        const finalized = new Map(answer.finalizedFeatures.map((one) => [one.name, one.maxVersionLevel]));
        for (const { name, minVersion, maxVersion } of [...answer.supportedFeatures].sort((a, b) => (a.name < b.name ? -1 : 1))) {
          out(
            `Feature: ${name}\tSupportedMinVersion: ${levelText(name, minVersion)}\tSupportedMaxVersion: ${levelText(name, maxVersion)}\t` +
              `FinalizedVersionLevel: ${levelText(name, finalized.get(name) ?? 0)}\tEpoch: ${answer.finalizedFeaturesEpoch < 0 ? '-' : answer.finalizedFeaturesEpoch}\n`,
          );
        }
        return 0;
      },
      fault('argument --bootstrap-server is required'),
    );
  },
});
