/**
 * The public API for components of your own: `import { defineSink, text } from 'millrace/plugin'`. The only barrel in the
 * house. What is exported here keeps working within a major version.
 */

export type { Channel, ChannelGauges, Lease } from './agent/core/channel.ts';
export type {
  AnySpec,
  ChannelContext,
  ChannelSpec,
  ComponentContext,
  ConfigFilterSpec,
  Delivery,
  DeserializerInput,
  DeserializerSpec,
  Facts,
  InterceptorContext,
  InterceptorSpec,
  Kind,
  Loss,
  ProcessorSpec,
  SelectorSpec,
  SerializerSpec,
  SinkContext,
  SinkSpec,
  SourceContext,
  SourceSpec,
} from './agent/core/define.ts';
export {
  defineChannel,
  defineConfigFilter,
  defineDeserializer,
  defineInterceptor,
  defineProcessor,
  defineSelector,
  defineSerializer,
  defineSink,
  defineSource,
} from './agent/core/define.ts';
export { type Event, eventOf, type Sealed } from './agent/core/event.ts';
export type { Interceptor } from './agent/core/interceptor.ts';
export type { Lifecycle } from './agent/core/lifecycle.ts';
export type { GroupMember, SinkProcessor } from './agent/core/processor.ts';
export type { Route, Selector } from './agent/core/selector.ts';
export type { ByteSource, Deserializer, Serializer } from './agent/core/serializer.ts';
export type { Sink } from './agent/core/sink.ts';
export type { Output, PollableSource, Source } from './agent/core/source.ts';
export { openKafkaProducer } from './kafka/client/plugin-producer.ts';
export type { OutRecord, Producer, RecordSource, Refusal } from './kafka/client/records.ts';
export type { Clock, Timer } from './lib/clock.ts';
export { AppError, ChannelError, ChannelFullError, ConfigError, CorruptLogError, DeliveryError, type ErrorDetail, ProtocolError } from './lib/errors.ts';
export type { Logger } from './lib/log.ts';
export type { FindingDraft, RawValue } from './lib/props/finding.ts';
export {
  BadValue,
  bool,
  type Config,
  charset,
  duration,
  float,
  int,
  list,
  long,
  oneOf,
  type Properties,
  type Property,
  path,
  regex,
  rest,
  secret,
  size,
  text,
} from './lib/props/spec.ts';
