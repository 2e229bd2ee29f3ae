/** Names of topics given as a regular expression, as Kafka's IncludeList reads them: commas separate alternatives. */
import { AppError } from '../../lib/errors.ts';

/** A test for names; everything passes without a pattern. @throws AppError no regular expression */
export function topicFilter(pattern: string | undefined): (name: string) => boolean {
  if (pattern === undefined) return () => true;
  const whole = pattern
    .trim()
    .replaceAll(',', '|')
    .replaceAll(' ', '')
    .replace(/^["']+|["']+$/g, '');
  let regex: RegExp;
  try {
    regex = new RegExp(`^(?:${whole})$`, 'u');
  } catch {
    try {
      regex = new RegExp(`^(?:${whole})$`);
    } catch {
      throw new AppError('USAGE', `${whole} is an invalid regex.`, { fix: 'escape what is meant literally with a backslash' });
    }
  }
  return (name) => regex.test(name);
}
