/** What is done to sessions in one round trip; it knows the tables of sessions and of turns. */
export const SESSION_FUNCTIONS = `
-- the sessions whose turn runs or waits: few
CREATE VIEW holdline.held AS
  SELECT t.session_id FROM holdline.turns t WHERE t.until >= statement_timestamp() AND t.outcome IS NULL;

CREATE FUNCTION holdline.find_latest (of_users text[], on_platform text, since timestamptz)
RETURNS SETOF holdline.sessions LANGUAGE plpgsql STABLE AS $$
BEGIN
  -- not in SQL: its plan is made once on each connection, which takes longer than what it plans
  RETURN QUERY SELECT s.* FROM holdline.sessions s
  WHERE s.user_id = ANY (of_users) AND s.platform = on_platform
    AND (s.last_activity >= since OR EXISTS (SELECT 1 FROM holdline.held h WHERE h.session_id = s.session_id))
  ORDER BY array_position(of_users, s.user_id), s.last_activity DESC, s.session_id DESC LIMIT 1;
END $$;

-- of all that ask for one person at the same time, one adds its session, the others find it
CREATE FUNCTION holdline.continue_or_add (fresh holdline.sessions, since timestamptz)
RETURNS SETOF holdline.sessions LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(fresh.platform || ' ' || fresh.user_id, 1));
  RETURN QUERY SELECT * FROM holdline.find_latest(ARRAY[fresh.user_id], fresh.platform, since);
  IF NOT FOUND THEN
    RETURN QUERY INSERT INTO holdline.sessions SELECT fresh.* ON CONFLICT DO NOTHING RETURNING *;
  END IF;
END $$;

-- a session for which somebody asks at this moment, or that a change locks, is one that is not silent
CREATE FUNCTION holdline.remove_silent (before timestamptz, at_most integer)
RETURNS SETOF holdline.sessions LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE s holdline.sessions; removed integer := 0;
BEGIN
  -- more than are asked for, since some are held; not all, which a sort would have to see first
  FOR s IN
    SELECT x.* FROM holdline.sessions x WHERE x.last_activity < before
    ORDER BY x.last_activity, x.session_id LIMIT at_most + 1000 FOR UPDATE SKIP LOCKED
  LOOP
    EXIT WHEN removed >= at_most;
    -- the lock that a turn enters by: from here on it waits, and then finds no session
    CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtextextended(s.session_id, 0));
    CONTINUE WHEN EXISTS (SELECT 1 FROM holdline.held h WHERE h.session_id = s.session_id);
    DELETE FROM holdline.sessions x WHERE x.session_id = s.session_id;
    removed := removed + 1;
    RETURN NEXT s;
  END LOOP;
END $$;
`
