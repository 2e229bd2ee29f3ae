/**
 * Counters as plain number fields, named as Flume's monitoring names them (instrumentation/*Counter.java), so that
 * `/metrics` needs no mapping. The runner keeps those all components of a kind have; a component counts the rest:
 * Append*, OpenConnectionCount and EventReadFail (sources), Connection* (sinks). All else is the runner's.
 */
export class SourceCounters {
  StartTime = 0;
  StopTime = 0;
  EventReceivedCount = 0;
  EventAcceptedCount = 0;
  AppendReceivedCount = 0;
  AppendAcceptedCount = 0;
  AppendBatchReceivedCount = 0;
  AppendBatchAcceptedCount = 0;
  OpenConnectionCount = 0;
  EventReadFail = 0;
  ChannelWriteFail = 0;
  GenericProcessingFail = 0;
}

export class SinkCounters {
  StartTime = 0;
  StopTime = 0;
  ConnectionCreatedCount = 0;
  ConnectionClosedCount = 0;
  ConnectionFailedCount = 0;
  BatchEmptyCount = 0;
  BatchUnderflowCount = 0;
  BatchCompleteCount = 0;
  EventDrainAttemptCount = 0;
  EventDrainSuccessCount = 0;
  EventWriteFail = 0;
  ChannelReadFail = 0;
}

export class ChannelCounters {
  StartTime = 0;
  StopTime = 0;
  EventPutAttemptCount = 0;
  EventPutSuccessCount = 0;
  EventTakeAttemptCount = 0;
  EventTakeSuccessCount = 0;
}
