import type { ErrorCode } from '../errors.ts'
import type { Examples } from './document.ts'

/** An answer that is no error. */
export interface AnswerDocumentation {
  readonly description: string
  readonly examples?: Examples
  /** JSON, if not said otherwise. */
  readonly mediaType?: string
  /** Headers of this answer, beside those of every one; names of `components.headers`. */
  readonly headers?: readonly string[]
  /** It may come as an event stream, too. */
  readonly stream?: StreamDocumentation
}

/** The events of an answer that is streamed. */
export interface StreamDocumentation {
  readonly description: string
  /** The schema of each event's data, by the event's name. */
  readonly events: Readonly<Record<string, object>>
  readonly examples: Examples
}

/** What the document says of a route beside its schema. */
export interface RouteDocumentation {
  /** Bodies that may be sent as they stand. */
  readonly requests?: Examples
  /** By status; each has its schema in the route's. */
  readonly answers: Readonly<Record<number, AnswerDocumentation>>
  /** What it may answer with beside what every route may. */
  readonly errors?: readonly ErrorCode[]
}
