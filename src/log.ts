/** Takes a line for the operator: fields first, message second, as pino does. Ids and counts are fields; content never is. */
export type LogLine = (fields: object, message: string) => void

/** The part of a logger that the lower floors use. */
export interface Log {
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
}
