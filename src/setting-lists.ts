import { isIP, isIPv6 } from 'node:net'

/** The entries of a setting that is a list, separated by commas. */
export function splitList (text: string): string[] {
  return text.split(',').map(entry => entry.trim())
}

/**
 * Whether a list is one of addresses and CIDR ranges. A range of every address there is would trust everybody, and an IPv4 address in the clothes of
 * IPv6 is refused since it is known by its own.
 */
export function isProxyList (text: string): boolean {
  return splitList(text).every(isProxy)
}

/** Whether a list is one of origins, or `*` alone. */
export function isOriginList (text: string): boolean {
  return text === '*' || splitList(text).every(entry => parseOrigin(entry) !== undefined)
}

/** The origins of such a list as browsers send them: in lower case, without a port that goes without saying. */
export function parseOrigins (text: string): string[] {
  return text === '*' ? ['*'] : splitList(text).map(entry => parseOrigin(entry) ?? entry)
}

function isProxy (entry: string): boolean {
  const [address = '', prefix, ...rest] = entry.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0 || address.includes('%') || isMapped(address)) return false
  if (prefix === undefined) return true
  return /^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128)
}

function isMapped (address: string): boolean {
  return isIPv6(address) && new URL(`http://[${address}]`).hostname.startsWith('[::ffff:')
}

function parseOrigin (entry: string): string | undefined {
  // what a browser would send anything else for has a path, a query or a user
  if (!/^https?:\/\/[^\s/?#@*]+\/?$/i.test(entry) || !URL.canParse(entry)) return undefined
  return new URL(entry).origin
}
