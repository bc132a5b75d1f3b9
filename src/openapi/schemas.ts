import { isDeepStrictEqual } from 'node:util'

/** What holds values of the API's, not schemas. */
const VALUES = new Set(['example', 'examples', 'default', 'enum', 'const'])

/**
 * A part of the document with each schema that has a title moved to `schemas`, under its title, and a reference in its place; one that may also be
 * null refers to the same schema. Throws where two different schemas have one title.
 */
export function hoistSchemas (part: unknown, schemas: Record<string, object>): unknown {
  if (Array.isArray(part)) return part.map(item => hoistSchemas(item, schemas))
  if (!isObject(part)) return part
  const entries = Object.entries(part).map(([key, value]) => [key, hoistValue(key, value, schemas)])
  const hoisted: Record<string, unknown> = joinLiterals(Object.fromEntries(entries))
  return typeof hoisted.title === 'string' ? referTo(hoisted.title, hoisted, schemas) : hoisted
}

function hoistValue (key: string, value: unknown, schemas: Record<string, object>): unknown {
  // A property may have any name, also one that is a word of JSON schema.
  if (key === 'properties' && isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, hoistSchemas(schema, schemas)]))
  }
  return VALUES.has(key) ? value : hoistSchemas(value, schemas)
}

function referTo (title: string, { type, ...rest }: Record<string, unknown>, schemas: Record<string, object>): object {
  const types: unknown[] = Array.isArray(type) ? type : [type]
  const [kind] = types.filter(name => name !== 'null')
  const schema = { type: kind, ...rest }
  if (!isDeepStrictEqual(schemas[title] ?? schema, schema)) throw new Error(`Two schemas of the document are called ${title}`)
  schemas[title] = schema
  const reference = { $ref: `#/components/schemas/${title}` }
  return types.includes('null') ? { anyOf: [reference, { type: 'null' }] } : reference
}

/** TypeBox writes a choice of literals as a union of constants; generators read an enumeration better. */
function joinLiterals (schema: Record<string, unknown>): Record<string, unknown> {
  const { anyOf, ...rest } = schema
  if (!Array.isArray(anyOf) || !anyOf.every(isTextLiteral)) return schema
  return { ...rest, type: 'string', enum: anyOf.flatMap(literal => literal.enum) }
}

function isTextLiteral (schema: unknown): schema is { enum: string[] } {
  return isObject(schema) && schema.type === 'string' && Array.isArray(schema.enum) && Object.keys(schema).length === 2
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
