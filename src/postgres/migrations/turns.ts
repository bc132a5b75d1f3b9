/**
 * The turns that run or wait. A session's turn is that of its smallest ticket that is alive; `lease` is what writes are checked by, made by the
 * client, since a crash of the server may give a number twice.
 */
export const TURNS = `
CREATE TABLE holdline.turns (
  ticket bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  lease uuid NOT NULL UNIQUE,
  session_id text COLLATE "C" NOT NULL,
  owner uuid NOT NULL,
  until timestamptz NOT NULL,
  cancel_requested boolean NOT NULL DEFAULT false,
  outcome text
);
CREATE INDEX turns_by_session ON holdline.turns (session_id, ticket);

CREATE FUNCTION holdline.enter_turn (of_session text, with_lease uuid, for_owner uuid, max_waiting integer, for_time interval)
RETURNS TABLE (is_queued boolean, is_first boolean, found holdline.sessions) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE ahead integer; s holdline.sessions;
BEGIN
  -- a ticket that a crash loses is one whose holder is told so: nothing here has to reach the disk
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM pg_advisory_xact_lock(hashtextextended(of_session, 0));
  DELETE FROM holdline.turns t WHERE t.session_id = of_session AND t.until < clock_timestamp();
  SELECT count(*) INTO ahead FROM holdline.turns t WHERE t.session_id = of_session AND t.outcome IS NULL;
  IF max_waiting IS NOT NULL AND ahead > max_waiting THEN
    RETURN QUERY SELECT false, false, s;
    RETURN;
  END IF;
  INSERT INTO holdline.turns (lease, session_id, owner, until) VALUES (with_lease, of_session, for_owner, clock_timestamp() + for_time);
  IF ahead = 0 THEN SELECT x.* INTO s FROM holdline.sessions x WHERE x.session_id = of_session; END IF;
  RETURN QUERY SELECT true, ahead = 0, s;
END $$;

CREATE FUNCTION holdline.advance_turn (of_session text, with_lease uuid)
RETURNS TABLE (is_alive boolean, is_first boolean, found holdline.sessions) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE alive boolean; first boolean; s holdline.sessions;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM pg_advisory_xact_lock(hashtextextended(of_session, 0));
  DELETE FROM holdline.turns t WHERE t.session_id = of_session AND t.until < clock_timestamp();
  SELECT coalesce(bool_or(t.lease = with_lease), false),
    coalesce((array_agg(t.lease ORDER BY t.ticket) FILTER (WHERE t.outcome IS NULL))[1] = with_lease, false)
    INTO alive, first FROM holdline.turns t WHERE t.session_id = of_session;
  IF first THEN SELECT x.* INTO s FROM holdline.sessions x WHERE x.session_id = of_session; END IF;
  RETURN QUERY SELECT alive, first, s;
END $$;

CREATE FUNCTION holdline.check_lease (of_lease uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- the lock makes a successor wait until the transaction that was checked has ended
  PERFORM 1 FROM holdline.turns t WHERE t.lease = of_lease AND t.outcome IS NULL FOR SHARE;
  IF NOT FOUND THEN RAISE EXCEPTION 'The turn was taken over' USING ERRCODE = 'HL001'; END IF;
END $$;
`
