/** An example, under a name of its own. */
export interface Example {
  readonly summary: string
  readonly value: unknown
}

/** Examples by name. */
export type Examples = Readonly<Record<string, Example>>

/** Anything of the document that another place of it may be pointed to for. */
export interface Reference {
  readonly $ref: string
}

/** What a body is, by its media type. */
export interface MediaType {
  readonly schema: object
  readonly examples?: Examples
  /** Of an event stream: the schema of each event's data, by the event's name. OpenAPI 3.1 has no word for it. */
  readonly 'x-events'?: object
}

/** One answer of an operation. */
export interface ApiResponse {
  readonly description: string
  readonly headers?: Readonly<Record<string, Reference>>
  readonly content?: Readonly<Record<string, MediaType>>
}

/** What a request may carry beside its body. */
export interface Parameter {
  readonly in: string
  readonly name: string
  readonly required?: boolean
  readonly description?: string
  readonly schema: object
  readonly example?: unknown
}

/** One method of one path. */
export interface Operation {
  readonly operationId: string
  description?: string
  parameters?: Array<Parameter | Reference>
  requestBody?: { content: Record<string, MediaType> }
  responses: Record<string, ApiResponse>
  security?: object[]
}

/** As much of an OpenAPI 3.1 document as is worked on here. */
export interface ApiDocument {
  paths: Record<string, Record<string, Operation>>
  components: Record<string, Record<string, object>>
}
