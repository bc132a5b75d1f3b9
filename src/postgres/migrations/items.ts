/** What agents remember beyond a conversation; a namespace is its labels, each ended by the character U+001F. */
export const ITEMS = `
CREATE TABLE holdline.items (
  namespace text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  value json NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  PRIMARY KEY (namespace, key)
);
`
