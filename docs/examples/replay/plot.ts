import * as echarts from 'echarts'
import type { PlayedPhase, Recording } from './recording.js'

export interface Plot {
  title: string
  subtitle: string
  /** What the axis counts, a second, when all is well. */
  perSecond: number
}

const colours: Record<string, string> = {
  guarded: '#1d7a4f',
  unguarded: '#d64545',
  'guarded, Fastify': '#6fbf97',
  'unguarded, Fastify': '#eba0a0',
}
const others = ['#7a5cc4', '#b08a1e', '#3a7ca5', '#8a5a44']
const bands = ['#eef3f5', '#fde9d9', '#fbdcdc', '#e4f2e9']

/** Good answers a second over time, as an SVG: an answer counts in the second in which its visit was due. */
export function plot(recordings: readonly Recording[], { title, subtitle, perSecond }: Plot): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 470 })
  const phases = recordings[0]?.phases ?? []
  const unnamed = recordings.filter(({ variant }) => !(variant in colours))
  const seconds = Math.floor(((phases.at(-1)?.to ?? 0) - (phases[0]?.from ?? 0)) / 1_000)
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'system-ui, sans-serif' },
    title: { text: title, subtext: subtitle, left: 24, top: 12 },
    legend: { left: 48, right: 24, bottom: 8, itemGap: 20, data: recordings.map(({ variant }) => variant) },
    grid: { left: 56, right: 24, top: 80, bottom: 100 },
    xAxis: {
      type: 'value',
      min: 0,
      max: seconds,
      name: 'seconds',
      nameLocation: 'middle',
      nameGap: 30,
      splitLine: { show: false },
    },
    yAxis: { type: 'value', min: 0, max: perSecond * 1.5 },
    series: recordings.map((recording, index) => ({
      name: recording.variant,
      type: 'line' as const,
      data: goodPerSecond(recording, seconds),
      symbol: 'none',
      color: colours[recording.variant] ?? others[unnamed.indexOf(recording) % others.length],
      // The wider line lies below, so that both show where they run together.
      lineStyle: { width: recording.variant === 'unguarded' ? 5 : 2.5 },
      z: recording.variant === 'guarded' ? 3 : 2,
      ...(index === 0 && { markArea: phaseBands(phases) }),
    })),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

function goodPerSecond({ phases, visits }: Recording, seconds: number): [number, number][] {
  const counts = new Array<number>(seconds).fill(0)
  for (const { at, good } of visits) {
    const second = Math.floor((at - phases[0]!.from) / 1_000)
    if (good && second in counts) counts[second]!++
  }
  return counts.map((count, second) => [second + 0.5, count])
}

const phaseBands = (phases: readonly PlayedPhase[]) => ({
  silent: true,
  label: { position: 'insideTop' as const, color: '#1d2a33', lineHeight: 16 },
  data: phases.map(({ name, what, from, to }, index): [object, object] => [
    {
      name: `${name}\n${what}`,
      xAxis: (from - phases[0]!.from) / 1_000,
      itemStyle: { color: bands[index % bands.length] },
    },
    { xAxis: (to - phases[0]!.from) / 1_000 },
  ]),
})
