/** What a subcommand of flume-ng is: a module `cli/<name>.ts` that exports `run`. Only flume-ng.ts exits the process. */

/** What a command gets from the launcher besides its own words. */
export interface CommandContext {
  /** `-Dname=value`, in any position of the command line, and those in JAVA_OPTS of flume-env.sh. */
  readonly systemProperties: Readonly<Record<string, string>>;
  /** `--conf`: where flume-env.sh and log settings are. */
  readonly confDir: string | undefined;
  /** `--plugins-path` as written, colon-separated. */
  readonly pluginsPath: string | undefined;
  /** `--classpath`, cut at its colons: looked through for `classpath:` URIs. */
  readonly classpath: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** Resolves with the exit code when the command is done. `words` are what the launcher did not take. */
export type Command = (words: readonly string[], context: CommandContext) => Promise<number>;

/** Exit codes of all commands; README's table says the same. */
export const EXIT = {
  /** Done. */
  ok: 0,
  /** Could not start or stopped working; the definition has errors; unknown command, as Flume's launcher. */
  failed: 1,
  /** The command line cannot be understood. */
  usage: 2,
  /** Ended in order by SIGINT (128 + 2), as Flume. */
  interrupted: 130,
  /** Ended in order by SIGTERM (128 + 15), as Flume. */
  terminated: 143,
} as const;
