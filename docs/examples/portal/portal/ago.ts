/** `4 s ago`, for people. */
export function ago(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1_000)
  if (seconds < 1) return 'a moment ago'
  if (seconds < 120) return `${seconds} s ago`
  return `${Math.round(seconds / 60)} min ago`
}
