const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/**
 * The time in a version 6 UUID (RFC 9562, 5.6: 100 ns steps since 1582-10-15), which LangGraph gives its checkpoints: milliseconds since the epoch; 0
 * for any other text.
 */
export function parseUuid6Time (uuid: string): number {
  if (!UUID.test(uuid)) return 0
  const hex = uuid.replaceAll('-', '')
  const steps = BigInt(`0x${hex.slice(0, 12)}${hex.slice(13, 16)}`)
  return Number((steps - 122_192_928_000_000_000n) / 10_000n)
}
