/**
 * Loggers are views on one sink: a function of level, message and fields. The
 * message is a constant sentence and what varies stands in the fields, so that
 * lines can be grouped. `with` adds fields and shares the sink.
 */
import type { LogFields, Logger, LogLevel } from "./host.ts";

/** Where log lines go. It must not throw; if it does, the line is lost and nothing else. */
export type LogSink = (level: LogLevel, message: string, fields: LogFields) => void;

/** Makes a logger over a sink. `fields` are on each of its lines. */
export function createLogger(sink: LogSink, fields: LogFields = {}): Logger {
  const write = (level: LogLevel, message: string, more?: LogFields): void => {
    try {
      sink(level, message, more === undefined ? fields : { ...fields, ...more });
    } catch {
      // A broken sink must not break what wanted to log.
    }
  };
  return {
    debug: (message, more) => write("debug", message, more),
    info: (message, more) => write("info", message, more),
    warn: (message, more) => write("warn", message, more),
    error: (message, more) => write("error", message, more),
    with: (more) => createLogger(sink, { ...fields, ...more }),
  };
}

/** What to log of an error value: its message, its code where it has one, and its stack. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: String(error) };
  const code = (error as { code?: unknown }).code;
  return {
    error: error.message,
    ...(typeof code === "string" ? { code } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}
