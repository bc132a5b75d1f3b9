/**
 * What cannot be seen, or makes something else be seen: control characters, line and paragraph separators, what turns the direction of writing, what
 * Unicode lets programs ignore (zero widths, tags, selectors, fillers), annotations, and halves of surrogate pairs.
 */
const HIDDEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{DI}\ufff9-\ufffb]/gu

/** Letters that are written with joiners between them, as in Persian and in the languages of India. */
const JOINED = '[\\p{sc=Arab}\\p{sc=Syrc}\\p{sc=Deva}\\p{sc=Beng}\\p{sc=Guru}\\p{sc=Gujr}\\p{sc=Orya}\\p{sc=Taml}\\p{sc=Telu}\\p{sc=Knda}\\p{sc=Mlym}\\p{sc=Sinh}]'

/** Where such a character belongs to what is seen: between the parts of one emoji, behind one, and between such letters. */
const FITTING = new RegExp(
  '(?<=[\\p{Extended_Pictographic}\\p{Emoji_Modifier}]\\ufe0f?)\\u200d(?=\\p{Extended_Pictographic})|' +
  `(?<=[\\p{Extended_Pictographic}#*0-9])[\\ufe0e\\ufe0f](?![\\ufe0e\\ufe0f])|(?<=${JOINED})[\\u200c\\u200d](?=${JOINED})`, 'uy')

/**
 * A text as a person is to see it: each character that hides, or that changes the look of others, stands as its escape (`\u202e`), so that a question
 * cannot be forged with it. Emoji and joined letters stay whole. Line feeds stay in a text of several lines; a line ends with nothing else.
 */
export function showHidden (text: string, { isMultiline = false } = {}): string {
  const lines = isMultiline ? text.replaceAll('\r\n', '\n') : text
  return lines.replace(HIDDEN, (character, index: number) => {
    if ((isMultiline && character === '\n') || isFitting(lines, index)) return character
    return escape(character)
  })
}

/** The same without these characters, for a name: what ends a line becomes a space, the rest goes. */
export function dropHidden (text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').replace(HIDDEN, (character, index: number, whole: string) => isFitting(whole, index) ? character : '').trim()
}

/** The beginning and the end of a long text, and in between how much is left out: nothing can hide behind the end. */
export function shortenVisibly (text: string, maxCharacters: number): string {
  const characters = [...text]
  const left = characters.length - maxCharacters
  if (left <= 0) return text
  const tail = Math.floor(maxCharacters / 3)
  const head = maxCharacters - tail
  return `${characters.slice(0, head).join('')} […${left} characters left out here…] ${characters.slice(characters.length - tail).join('')}`
}

function isFitting (text: string, index: number): boolean {
  FITTING.lastIndex = index
  return FITTING.test(text)
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escape (character: string): string {
  const short = SHORT_ESCAPES[character]
  if (short !== undefined) return short
  const code = character.codePointAt(0) ?? 0
  const digits = code.toString(16)
  return code > 0xffff ? `\\u{${digits}}` : `\\u${digits.padStart(4, '0')}`
}
