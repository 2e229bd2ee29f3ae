/**
 * `zkServer.sh`, `zookeeper-server-start.sh`, `zookeeper-server-stop.sh`, `zkCli.sh`, `zookeeper-shell.sh`: tutorials for
 * Kafka begin with ZooKeeper, which the broker here does not use. Says so and ends well, so that scripts go on.
 */
process.stdout.write(
  'ZooKeeper is not needed here: nothing was started or stopped.\n' +
    'The broker keeps topics and offsets itself; start it with bin/kafka-server-start.sh conf/server.properties\n' +
    'What tutorials look up in ZooKeeper, bin/kafka-topics.sh --list and --describe tell.\n',
);
