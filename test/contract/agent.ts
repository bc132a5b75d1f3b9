import type { Test } from 'tap'
import { testAgentDecisions } from './agent-decisions.ts'
import { testAgentFailures } from './agent-failures.ts'
import { testAgentQuestions } from './agent-questions.ts'
import type { MakeAgent } from './agent-script.ts'
import { testAgentTurns } from './agent-turns.ts'

/** Every promise of `Agent`, each a test. */
export function testAgent (t: Test, makeAgent: MakeAgent): void {
  testAgentTurns(t, makeAgent)
  testAgentQuestions(t, makeAgent)
  testAgentDecisions(t, makeAgent)
  testAgentFailures(t, makeAgent)
}
