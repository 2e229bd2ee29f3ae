/** Kinds of things that have settings, as DescribeConfigs and AlterConfigs number them. */
export const CONFIG_RESOURCE = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const;
