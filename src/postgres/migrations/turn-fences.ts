/**
 * Where turns are queued elsewhere, the lease of the one that runs is here too, for what is written under it to be checked by it. Its number rises
 * with each lease that is given: one that comes late, after its successor, is known by it. The last lease of a session stays as that memory, for
 * longer than a turn takes, or its first words are under way.
 */
export const TURN_FENCES = `
CREATE FUNCTION holdline.take_turn (of_session text, with_lease uuid, with_number bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  -- another lease is another key of the row: this waits for what is being written under the one before
  INSERT INTO holdline.turn_fences AS f (session_id, lease, number) VALUES (of_session, with_lease, with_number)
    ON CONFLICT (session_id) DO UPDATE SET lease = excluded.lease, number = excluded.number, taken_at = excluded.taken_at
    WHERE f.number < excluded.number;
  RETURN FOUND OR EXISTS (SELECT 1 FROM holdline.turn_fences f WHERE f.session_id = of_session AND f.lease = with_lease);
END $$;
`
