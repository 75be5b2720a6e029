/** The title of a suite that can't be run here, and why. */
export const skippedTitle = (title: string, reason: string): string => `${title} (skipped: ${reason})`

export const saysWhy = (title: string): boolean => /\(skipped: .+\)$/.test(title)
