import { operatorContract } from '../support/web/contract/operator.js'
import { expressStation } from '../support/web/operators.js'

for (const major of ['Express 5', 'Express 4'] as const)
  for (const parsers of ['none', 'json', 'form'] as const) operatorContract(expressStation(major, parsers))
