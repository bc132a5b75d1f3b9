/** What every answer tells browsers, for those that are given before any hook runs: no page, of anybody's, is made of it. */
export const SAFE_HEADERS = {
  'content-security-policy': "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY'
} as const
