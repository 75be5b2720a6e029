import { closingContract } from '../support/web/contract/closing.js'
import { express5Driver, express4Driver } from '../support/web/express.js'

for (const driver of [express5Driver, express4Driver]) closingContract(driver)
