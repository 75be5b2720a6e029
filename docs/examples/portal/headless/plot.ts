import * as echarts from 'echarts'
import { variants, type Variant } from '../site.js'
import type { Played } from './play.js'
import { visitsPerSecond } from './script.js'

const colours: Record<Variant, string> = { guarded: '#1d7a4f', unguarded: '#d64545' }
// The wider line lies below, so that both show where they run together.
const widths: Record<Variant, number> = { guarded: 2.5, unguarded: 5 }
const bands = ['#eef3f5', '#fde9d9', '#fbdcdc', '#e4f2e9']

/** Good pages a second over time, as an SVG: a page counts in the second in which its visit was due. */
export function plot(played: Played): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 440 })
  const begin = played.phases[0]?.from ?? 0
  const end = played.phases.at(-1)?.to ?? 0
  const seconds = Math.floor((end - begin) / 1_000)

  const goodPerSecond = (variant: Variant): [number, number][] => {
    const counts = new Array<number>(seconds).fill(0)
    for (const { at, good } of played.visits[variant]) {
      const second = Math.floor((at - begin) / 1_000)
      if (good && second in counts) counts[second] = (counts[second] ?? 0) + 1
    }
    return counts.map((count, second) => [second + 0.5, count])
  }

  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'system-ui, sans-serif' },
    title: {
      text: 'Good pages per second',
      subtext: `${visitsPerSecond} visits a second on each portal, in the same run`,
      left: 24,
      top: 12,
    },
    legend: { right: 24, top: 20, itemGap: 24, data: [...variants] },
    grid: { left: 56, right: 24, top: 92, bottom: 52 },
    xAxis: {
      type: 'value',
      min: 0,
      max: seconds,
      name: 'seconds',
      nameLocation: 'middle',
      nameGap: 30,
      splitLine: { show: false },
    },
    yAxis: { type: 'value', min: 0, max: visitsPerSecond * 1.5, interval: 10 },
    series: variants.map((variant, index) => ({
      name: variant,
      type: 'line' as const,
      data: goodPerSecond(variant),
      symbol: 'none',
      color: colours[variant],
      lineStyle: { width: widths[variant] },
      z: variant === 'guarded' ? 3 : 2,
      ...(index === 0 && { markArea: phaseBands(played, begin) }),
    })),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

const phaseBands = ({ phases }: Played, begin: number) => ({
  silent: true,
  label: { position: 'insideTop' as const, color: '#1d2a33', lineHeight: 16 },
  data: phases.map(({ name, what, from, to }, index): [object, object] => [
    { name: `${name}\n${what}`, xAxis: (from - begin) / 1_000, itemStyle: { color: bands[index % bands.length] } },
    { xAxis: (to - begin) / 1_000 },
  ]),
})
