import type { Target } from '../targets.js'
import type { Checked } from './save.js'
import { limit, ratio } from './table.js'
import type { Verdict } from './verdict.js'

/** The targets and how each was met, with a column for each Node that was checked, as a Markdown table. */
export function markdownOf(targets: readonly Target[], checked: readonly Checked[]): string {
  const head = ['what', 'divided by', 'at most', ...checked.map(({ node }) => `Node ${node}`)]
  const rows = targets.map((target) => [
    target.what,
    target.by?.name ?? '',
    limit(target.atMost),
    ...checked.map(({ verdicts }) => cell(verdicts.find((one) => isOf(one, target)))),
  ])
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function isOf({ what, by }: Verdict, target: Target): boolean {
  return what === target.what && by === target.by?.name
}

function cell(verdict: Verdict | undefined): string {
  if (verdict === undefined) return '–'
  const { measured, result } = verdict
  return result === 'kept' ? ratio(measured) : `${ratio(measured)}, ${result}`
}
