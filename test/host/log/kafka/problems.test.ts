// What a broker's answer is to whoever asked it: something that passes, or an end.
import t from 'tap'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import { refused } from '#host/log/kafka/problems.js'

t.test('what has failed inside a broker is tried again, and halts no function', async (t) => {
  t.match(refused(kafkaErrors.UNKNOWN_SERVER_ERROR, 'clicks-0', { message: 'disk' }), {
    code: 'BROKER_UNAVAILABLE',
    retryable: true,
    message: 'failed at clicks-0 (UNKNOWN_SERVER_ERROR, disk)',
  })
  t.match(refused(kafkaErrors.POLICY_VIOLATION, 'clicks-0', { message: 'too many' }), {
    code: 'BROKER_REFUSED',
    retryable: false,
    message: '(POLICY_VIOLATION, too many)',
  })
})
