import { describe, expect, it } from 'vitest'
import { inboundDeadline } from '../../src/request/inbound-deadline.js'

const ENVOY = 'x-envoy-expected-rq-timeout-ms'
const GRPC = 'grpc-timeout'

describe('how long a caller says it will wait', () => {
  it.each([
    ['1', 1],
    ['0', 0],
    ['1500', 1_500],
    ['0250', 250],
    ['4294967295', 4_294_967_295],
  ])('is milliseconds from Envoy: %s', (value, ms) => {
    expect(inboundDeadline({ [ENVOY]: value })).toBe(ms)
  })

  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['30S', 30_000],
    ['250m', 250],
    ['1500u', 1.5],
    ['2000000n', 2],
    ['99999999H', 359_999_996_400_000],
  ])('has a unit from gRPC: %s', (value, ms) => {
    expect(inboundDeadline({ [GRPC]: value })).toBeCloseTo(ms, 6)
  })

  it.each([
    '',
    ' ',
    '-5',
    '+5',
    '1.5',
    '1e3',
    '0x10',
    '12 ',
    'NaN',
    'Infinity',
    'soon',
    '10ms',
    '10,20',
    '12345678901',
  ])('is nothing when Envoy’s says %j', (value) => {
    expect(inboundDeadline({ [ENVOY]: value })).toBeUndefined()
  })

  it.each(['', '5', 'm', '-5m', '1.5S', '5s', '5h', '5 m', '5mm', '123456789m', 'soon', '5m, 6m'])(
    'is nothing when gRPC’s says %j',
    (value) => {
      expect(inboundDeadline({ [GRPC]: value })).toBeUndefined()
    },
  )

  it('is nothing when nobody says it, or a header that is given twice does', () => {
    expect(inboundDeadline({})).toBeUndefined()
    expect(inboundDeadline({ [ENVOY]: ['5', '6'], [GRPC]: ['5m'] })).toBeUndefined()
    expect(inboundDeadline({ [ENVOY]: undefined, [GRPC]: undefined })).toBeUndefined()
  })

  it('is Envoy’s where both say it, and gRPC’s where Envoy’s makes no sense', () => {
    expect(inboundDeadline({ [ENVOY]: '100', [GRPC]: '50m' })).toBe(100)
    expect(inboundDeadline({ [ENVOY]: 'soon', [GRPC]: '50m' })).toBe(50)
  })
})
