import { BaseStore, type Operation, type OperationResults } from '@langchain/langgraph-checkpoint'
import type { ConversationDatabase } from './database.ts'
import type { Reopening } from './reopening.ts'

/** What an agent remembers, in the file as it is open now; see `ItemStore`. */
export class FileNotes extends BaseStore {
  readonly #file: Reopening<ConversationDatabase>

  constructor (file: Reopening<ConversationDatabase>) {
    super()
    this.#file = file
  }

  override async batch<Op extends Operation[]> (operations: Op): Promise<OperationResults<Op>> {
    return await this.#file.use(({ notes }) => notes.batch(operations))
  }
}
