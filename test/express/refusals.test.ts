import { refusalsContract } from '../support/web/contract/refusals.js'
import { express5Driver, express4Driver, express5Plain, express4Plain } from '../support/web/express.js'

for (const driver of [express5Driver, express4Driver, express5Plain, express4Plain]) refusalsContract(driver)
