import t from 'tap'
import { runSaverValidation } from '../../fixtures/run-saver-validation.ts'

t.test('LangGraph\'s own suite for checkpointers passes: with and without the memory, and through the file of the conversations', async t => {
  await runSaverValidation(t, ['with its memory', 'without its memory', 'in the file of the conversations'])
})
