/**
 * The host of the groups with the answer typed by the command: callers need no casts, the machine no second interface.
 */
import type { GroupCommand, GroupReplies, GroupReply } from './groups.ts';
import type { Host } from './host.ts';
import type { StateRecord, Ticket } from './machine.ts';

type CommandOf<K extends GroupCommand['kind']> = Extract<GroupCommand, { readonly kind: K }>;
type ReplyOf<K> = K extends keyof GroupReplies ? GroupReplies[K] : undefined;

export class GroupHost {
  readonly #host: Host<GroupCommand, GroupReply, StateRecord>;

  constructor(host: Host<GroupCommand, GroupReply, StateRecord>) {
    this.#host = host;
  }

  /** A command that is answered at once; resolves when what it changed is on disk. */
  run<K extends GroupCommand['kind']>(command: CommandOf<K> & { readonly kind: K }): Promise<ReplyOf<K>> {
    return this.#host.run(command) as Promise<ReplyOf<K>>;
  }

  /** A join or sync: answered when the group is ready. */
  wait<K extends 'join' | 'sync'>(
    build: (ticket: Ticket) => CommandOf<K> & { readonly kind: K },
    gone: { readonly signal: AbortSignal; readonly leave: (ticket: Ticket) => GroupCommand },
  ): Promise<GroupReplies[K]> {
    return this.#host.wait(build, gone) as Promise<GroupReplies[K]>;
  }

  stop(reason: Error): void {
    this.#host.stop(reason);
  }
}
