// Express 4 stands beside 5 under this name; what the tests use of it is the same.
declare module 'express4' {
  export { default } from 'express'
}
