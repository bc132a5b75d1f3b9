import Database from 'better-sqlite3'
import t from 'tap'
import { ItemStore } from '../../src/agent/item-store.ts'
import { testNotes } from '../contract/notes.ts'

testNotes(t, async (_t, now) => new ItemStore(new Database(':memory:'), now))
