/**
 * Where turns are queued elsewhere, the lease of the one that runs is here too, for what is written under it to be checked by it. Its number rises
 * with each lease that is given: one that comes late, after its successor, is known by it. The last lease of a session stays as that memory, for
 * longer than a turn takes, or its first words are under way.
 */
export const TURN_FENCES = `
CREATE FUNCTION holdline.take_turn (of_session text, with_lease uuid, with_number bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(of_session, 0));
  IF EXISTS (SELECT 1 FROM holdline.turns t WHERE t.session_id = of_session AND t.ticket > with_number) THEN RETURN false; END IF;
  -- waits for what is being written under the one before
  DELETE FROM holdline.turns t WHERE t.session_id = of_session AND t.ticket < with_number;
  INSERT INTO holdline.turns (ticket, lease, session_id, owner, until) OVERRIDING SYSTEM VALUE
    VALUES (with_number, with_lease, of_session, with_lease, clock_timestamp() + interval '1 day') ON CONFLICT DO NOTHING;
  RETURN true;
END $$;
`
