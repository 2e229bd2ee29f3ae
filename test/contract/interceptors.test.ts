import type { InterceptorContext, InterceptorSpec } from '../../src/agent/core/define.ts';
import { builtInCatalog } from '../../src/agent/wire/catalog.ts';
import { configOf } from './config-of.ts';
import { componentContext } from './contexts.ts';
import { interceptorContract } from './interceptor-kit.ts';

/** What each interceptor needs to be built; those that need nothing are tested as they come. */
const NEEDED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  regex_filter: { regex: 'pass' },
  regex_extractor: { regex: '(p)ass', serializers: 's1', 'serializers.s1.name': 'first' },
  search_replace: { searchPattern: 'a', replaceString: 'b' },
  remove_header: { withName: 'gone' },
  static: { key: 'k', value: 'v' },
};

const { log, clock } = componentContext();
const context: InterceptorContext = { name: 'i1', source: 'r1', log, clock };

for (const type of await builtInCatalog.types('interceptor')) {
  const spec = (await builtInCatalog.find('interceptor', type)) as InterceptorSpec;
  interceptorContract({ name: type, make: () => spec.create(configOf(spec, NEEDED[type] ?? {}) as never, context) });
}
