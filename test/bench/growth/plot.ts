import * as echarts from 'echarts'
import type { SubjectName } from '../harness/case.js'
import type { Outcome } from '../report/outcome.js'

const colours: Partial<Record<SubjectName, string>> = {
  cofferdam: '#1d7a4f',
  floor: '#7d8a92',
  raw: '#b9c2c7',
  opossum: '#b08a1e',
  'opossum-no-percentiles': '#b08a1e',
}
const names: Partial<Record<SubjectName, string>> = {
  floor: 'written by hand',
  raw: 'unguarded',
  'opossum-no-percentiles': 'opossum, without percentiles',
}
const nameOf = (subject: SubjectName): string => names[subject] ?? subject

/** The median of each subject over the points, as an SVG. The points grow tenfold, the cost ought not to grow at all. */
export function plot({ title, unit, pointIs = '', measured }: Outcome, subtitle: string): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 440 })
  const subjects = [...new Set(measured.map(({ subject }) => subject))]
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'system-ui, sans-serif' },
    title: { text: title, subtext: subtitle, left: 24, top: 12 },
    legend: { right: 24, top: 60, itemGap: 24, data: subjects.map(nameOf) },
    grid: { left: 76, right: 32, top: 100, bottom: 52 },
    xAxis: {
      type: 'log',
      min: 'dataMin',
      max: 'dataMax',
      name: pointIs,
      nameLocation: 'middle',
      nameGap: 30,
      splitLine: { show: false },
      axisLabel: { formatter: (point: number) => point.toLocaleString('en') },
    },
    yAxis: {
      type: 'value',
      min: 0,
      name: unit,
      axisLabel: { formatter: (value: number) => value.toLocaleString('en') },
    },
    series: subjects.map((subject) => ({
      name: nameOf(subject),
      type: 'line' as const,
      data: measured.filter((one) => one.subject === subject).map(({ point, median }) => [point, Math.round(median)]),
      symbol: 'circle',
      symbolSize: 7,
      color: colours[subject],
      lineStyle: { width: subject === 'cofferdam' ? 3 : 2 },
      z: subject === 'cofferdam' ? 3 : 2,
    })),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}
