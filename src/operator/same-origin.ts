import type { IncomingHttpHeaders } from 'node:http'

/** A browser says what it sends for another site. `none` is the user's own doing. */
const OWN_SITE: readonly unknown[] = [undefined, 'same-origin', 'none']

/**
 * Whether a browser sent this for a page of another origin. What has neither header is no browser's: a page can't send
 * JSON elsewhere without a preflight, which nobody answers here.
 *
 * @param own what the request was sent to, `https://ops.example.com:8443`, as far as proxies are trusted
 */
export function isForeign(headers: IncomingHttpHeaders, own: string): boolean {
  if (!OWN_SITE.includes(headers['sec-fetch-site'])) return true
  if (headers.origin === undefined) return false
  const origin = originOf(headers.origin)
  return origin === undefined || origin !== originOf(own)
}

/** Loopback by name and by address: without that, a page whose name resolves to 127.0.0.1 would pass for the app's own. */
export function isLoopback(own: string, remoteAddress: string | undefined): boolean {
  const origin = originOf(own)
  return (
    origin !== undefined &&
    /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(origin).hostname) &&
    /^(::1|(::ffff:)?127(\.\d+){3})$/.test(remoteAddress ?? '')
  )
}

/** Without a port that is the scheme's own; undefined unless it is an origin and nothing more. */
function originOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { origin, href } = new URL(text)
  return href === `${origin}/` ? origin : undefined
}
