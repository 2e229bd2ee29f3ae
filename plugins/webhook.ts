/**
 * A sink to copy: posts each batch as lines of text to a URL. The batch is delivered when the other end says 2xx; a 5xx
 * or a broken connection makes it come again, a 4xx too, but with status degraded until somebody mends it.
 *   a1.sinks.k1.type = webhook
 *   a1.sinks.k1.url = http://127.0.0.1:8080/lines
 */
import { DeliveryError, defineSink, duration, text } from 'millrace/plugin';

export default defineSink({
  type: 'webhook',
  aliases: ['org.example.flume.WebhookSink'],
  summary: 'Posts each batch as lines to a URL.',
  properties: {
    url: text({ required: true, doc: 'Where to post.' }),
    contentType: text({ default: 'text/plain; charset=utf-8', doc: 'Content-Type of the request.' }),
    timeout: duration({ default: 5_000, min: 1, unit: 'ms', doc: 'How long one post may take.' }),
  },
  check: ({ url }) =>
    URL.canParse(url)
      ? []
      : [{ code: 'bad-url', severity: 'error', key: 'url', message: `url is not a URL: ${url}`, fix: 'Write it in full, e.g. http://host:8080/path.' }],
  delivery: () => ({
    crash: { effect: 'doubles', note: 'a batch that was posted but not yet committed is posted again' },
    stop: { effect: 'nothing', note: 'a post in flight is finished' },
    dead: { effect: 'waits', note: 'batches stay in the channel and are tried again' },
  }),
  create: ({ url, contentType, timeout }, ctx) => ({
    async deliver(batch) {
      const body = batch.map((event) => `${event.body.toString('utf8')}\n`).join('');
      const reply = await fetch(url, { method: 'POST', body, headers: { 'content-type': contentType }, signal: AbortSignal.timeout(timeout) }).catch(
        (cause: Error) => {
          throw new DeliveryError(`POST ${url}: ${cause.message}`, { cause, fix: 'Is the receiver running and can it be reached?' });
        },
      );
      await reply.arrayBuffer(); // frees the connection for the next post
      if (reply.ok) return;
      const error = new DeliveryError(`POST ${url} answered ${reply.status}`, { retriable: reply.status >= 500, fix: 'See what the receiver says.' });
      if (!error.retriable) ctx.degraded(error);
      throw error;
    },
  }),
});
