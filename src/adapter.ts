/**
 * For authors of adapters: what the Express and Fastify guards are made of, for any framework on Node's http server.
 *
 * @module
 */
export { strictSnapshot } from './health/snapshot.js'
export {
  OperatorHandler,
  type AuditEntry,
  type Authorized,
  type OperatorExchange,
  type OperatorOptions,
} from './operator-handler.js'
export type { OperatorAction, OperatorTarget } from './operator/actions.js'
export type { OperatorAnswer } from './operator/refused.js'
export { Inbound, type InboundOptions } from './request/inbound.js'
export { refusalOf, type Refusal } from './request/refusal.js'
export { Scope } from './request/scope.js'
export { watchClose } from './request/watch-close.js'
export type { Visit } from './request/visit.js'
