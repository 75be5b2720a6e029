export { cacheFile, type CacheFile, type CacheFileOptions, type CacheFileSource } from './cache-file.js'
export type { CacheFileCounts, Saved } from './cache-file/keeper.js'
export type { FileLoaded } from './cache-file/loaded.js'
export type { BackoffOptions } from './core/backoff.js'
export type { CallContext, CallOptions, CallOutcome, Source } from './core/call.js'
export type { Clock, Timer } from './core/clock.js'
export { compose, type ComposeOptions } from './core/compose.js'
export {
  BudgetExhaustedError,
  BulkheadFullError,
  CacheDumpError,
  CallTimeoutError,
  ClosedError,
  CofferdamError,
  DeadlineError,
  DrainError,
  FailedValueError,
  InvariantError,
  OptionError,
  QueueTimeoutError,
  RateLimitError,
  UnavailableError,
  type ErrorCode,
  type HeldWork,
} from './core/errors.js'
export type { CacheDump, DumpedEntry, DumpedVersion, DumpOptions, LoadCounts } from './core/dump.js'
export type { GuardPolicy, PolicyHost, RecovererPolicy } from './core/policy.js'
export type { Departure, Guard, Outcome, Recoverer, Recovery } from './core/guard.js'
export type { Counts } from './core/tally.js'
export type { Caller, Operation, OperationCache, Refresh, RefreshOptions, ServedAges, Wrapped } from './core/wrapped.js'
export type { Dependency } from './dependency.js'
export type { RunOptions } from './operations.js'
export type { CloseOptions } from './close-options.js'
export type { Drained, DrainOptions } from './drain.js'
export type { BulkheadOptions, ClassOptions, DependencyChanges, DependencyOptions } from './dependency-options.js'
export type { CircuitOptions, IsFailure } from './health/circuit-options.js'
export type { Health } from './health/health.js'
export type { HistoryEntry, HistoryKind } from './health/history.js'
export { drift } from './health/drift.js'
export { identity } from './health/identity.js'
export { invariant } from './health/invariant.js'
export type {
  InBandInvariant,
  InBandOptions,
  Invariant,
  InvariantOptions,
  Read,
  RememberingOptions,
} from './health/invariant-definition.js'
export type { InvariantStore } from './health/invariant-store.js'
export { monotonic } from './health/monotonic.js'
export { keepTrying, type KeepTryingOptions } from './keep-trying.js'
export type { Trying } from './keep-trying/round.js'
export type { Percentiles } from './core/histogram.js'
export type { Acknowledged } from './health/monitors.js'
export { INCONCLUSIVE, type ProbeOptions } from './health/probe.js'
export type { Warning, WarningKind } from './health/warnings.js'
export type { Mode, SetModeOptions } from './health/override.js'
export type { DependencySnapshot, Snapshot } from './health/snapshot.js'
export type { Cause, CauseKind } from './health/cause.js'
export type { CircuitState } from './health/verdict.js'
export { loadConfig, type ConfigOptions, type Loaded } from './load-config.js'
export { notify, type Notifications, type NotifyOptions } from './notify.js'
export type { Message } from './notify/message.js'
export type { NotifyCounts, Send } from './notify/notifier.js'
export type { NotifyEvents, NotifySource } from './notify/source.js'
export type { OperationOptions } from './operation-options.js'
export type { AuditEntry, Authorized, OperatorOptions } from './operator-handler.js'
export type { OperatorAction, OperatorTarget } from './operator/actions.js'
export type { AcknowledgeOptions, DisableOptions, Target } from './operator-control.js'
export { bulkhead } from './policies/bulkhead.js'
export type { CacheOptions, StaleOptions } from './policies/cache/cache-options.js'
export type { CacheCounts } from './policies/cache/counts.js'
export type { Scope } from './policies/cache/key.js'
export type { KeyvLike } from './policies/cache/second-store.js'
export type { SecondCounts } from './policies/cache/second-host.js'
export type { Version } from './policies/cache/version.js'
export { circuit } from './policies/circuit.js'
export { fallback, type Alternative, type FallbackContext } from './policies/fallback.js'
export type { Injected, InjectOptions } from './policies/inject.js'
export { rate, type RateOptions } from './policies/rate.js'
export { retry } from './policies/retry.js'
export type { OperationRetryOptions, RetryOptions } from './policies/retry/retry-options.js'
export { staleCache } from './policies/stale-cache.js'
export { timeout } from './policies/timeout.js'
export { createPool, type Pool } from './pool.js'
export { createRegistry, type Readiness, type Registry, type RegistryOptions } from './registry.js'
export type { RegistryEvents, TryingState } from './registry-events.js'
export {
  rehearse,
  type AskRoute,
  type Rehearsal,
  type RehearsalReport,
  type RehearsalRow,
  type RehearsedFault,
  type RehearseOptions,
} from './rehearse.js'
export {
  createBudgets,
  type BudgetEvents,
  type BudgetOptions,
  type Budgets,
  type BudgetsOptions,
  type BudgetUsage,
  type PauseEntry,
} from './request/budgets.js'
export { gather, type Gathered } from './request/gather.js'
export type { WorkInFlight } from './work-in-flight.js'
