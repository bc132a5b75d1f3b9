/**
 * The turns that run or wait, each a ticket with a lease. A session's turn is that of its smallest ticket without an outcome; a ticket whose time is
 * over is dead for good: nothing renews it, and what its turn still writes is refused. `lease` is what writes are checked by, made by the client,
 * since a crash of the server may give a number twice.
 *
 * Entering and leaving do not wait for the disk. What a crash of the server takes with it is at most the last second of them: of who entered, so that
 * the turn is refused its next write, or of who left, so that the next one waits until that lease ends. A turn that has written is safe: what is
 * written under a lease waits for the disk, and takes all that was written before it along. Renewals wait for the disk too: replicas count on them.
 */
export const TURNS = `
CREATE TABLE holdline.turns (
  ticket bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  lease uuid NOT NULL UNIQUE,
  session_id text COLLATE "C" NOT NULL,
  owner uuid NOT NULL,
  until timestamptz NOT NULL,
  cancel_requested boolean NOT NULL DEFAULT false,
  outcome text CHECK (outcome IN ('interrupted', 'ended'))
);
CREATE INDEX turns_by_session ON holdline.turns (session_id, ticket);

-- of turns that are queued elsewhere: no ticket, so that nothing here takes them for turns that run or wait
CREATE TABLE holdline.turn_fences (
  session_id text COLLATE "C" PRIMARY KEY,
  lease uuid NOT NULL UNIQUE,
  number bigint NOT NULL,
  taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX turn_fences_by_time ON holdline.turn_fences (taken_at);

CREATE FUNCTION holdline.lock_queue (of_session text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- elsewhere, what is seen after the wait for the lock may be from before it
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'Turns need the isolation level read committed' USING ERRCODE = '0A000';
  END IF;
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM pg_advisory_xact_lock(hashtextextended(of_session, 0));
  -- a ticket that is locked has a write under way that was checked in time: it counts until that has ended, and nobody waits here meanwhile
  DELETE FROM holdline.turns t WHERE t.ticket IN (
    SELECT x.ticket FROM holdline.turns x WHERE x.session_id = of_session AND x.until < clock_timestamp() FOR UPDATE SKIP LOCKED
  );
END $$;

-- no row: the ticket is dead
CREATE FUNCTION holdline.look_at_turn (of_session text, with_lease uuid)
RETURNS TABLE (is_first boolean, is_cancelled boolean, wait_ms double precision, found holdline.sessions) LANGUAGE plpgsql AS $$
DECLARE mine holdline.turns; ends_at timestamptz; s holdline.sessions;
BEGIN
  PERFORM holdline.lock_queue(of_session);
  SELECT t.* INTO mine FROM holdline.turns t WHERE t.lease = with_lease AND t.outcome IS NULL AND t.until >= clock_timestamp();
  IF NOT FOUND THEN RETURN; END IF;
  SELECT min(t.until) INTO ends_at FROM holdline.turns t
    WHERE t.session_id = of_session AND t.outcome IS NULL AND t.ticket < mine.ticket;
  IF ends_at IS NULL THEN SELECT x.* INTO s FROM holdline.sessions x WHERE x.session_id = of_session; END IF;
  RETURN QUERY SELECT ends_at IS NULL, mine.cancel_requested, coalesce(extract(epoch FROM ends_at - clock_timestamp()) * 1000, 0)::float8, s;
END $$;

-- no row: the queue is full; asked twice, it gives one ticket
CREATE FUNCTION holdline.enter_turn (of_session text, with_lease uuid, for_owner uuid, max_waiting integer, for_ms double precision)
RETURNS TABLE (is_first boolean, is_cancelled boolean, wait_ms double precision, found holdline.sessions) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM holdline.lock_queue(of_session);
  IF NOT EXISTS (SELECT 1 FROM holdline.turns t WHERE t.lease = with_lease) THEN
    IF (SELECT count(*) FROM holdline.turns t WHERE t.session_id = of_session AND t.outcome IS NULL) > max_waiting THEN RETURN; END IF;
    INSERT INTO holdline.turns (lease, session_id, owner, until)
      VALUES (with_lease, of_session, for_owner, clock_timestamp() + for_ms * interval '1 millisecond');
  END IF;
  RETURN QUERY SELECT * FROM holdline.look_at_turn(of_session, with_lease);
END $$;

-- the lease whose turn it is now, if somebody waited for that
CREATE FUNCTION holdline.leave_turn (with_lease uuid, was_interrupted boolean) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE mine holdline.turns; following holdline.turns;
BEGIN
  -- waits for a write under way that was checked by this lease, and does so before others have to wait for the queue
  SELECT t.* INTO mine FROM holdline.turns t WHERE t.lease = with_lease AND t.outcome IS NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  PERFORM holdline.lock_queue(mine.session_id);
  IF mine.cancel_requested THEN
    -- for whoever asked; the next one who enters takes it away
    UPDATE holdline.turns t SET outcome = CASE WHEN was_interrupted THEN 'interrupted' ELSE 'ended' END, until = clock_timestamp() + interval '10 s'
      WHERE t.lease = with_lease;
    PERFORM pg_notify('holdline', 'outcome:' || with_lease);
  ELSE
    DELETE FROM holdline.turns t WHERE t.lease = with_lease;
  END IF;
  SELECT t.* INTO following FROM holdline.turns t WHERE t.session_id = mine.session_id AND t.outcome IS NULL ORDER BY t.ticket LIMIT 1;
  IF following.ticket IS NULL OR following.ticket < mine.ticket THEN RETURN NULL; END IF;
  -- only if somebody waits: notifications make commits wait for each other
  PERFORM pg_notify('holdline', 'lease:' || following.lease);
  RETURN following.lease;
END $$;

CREATE FUNCTION holdline.check_lease (of_lease uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- the lock keeps the lease until the transaction has ended, and lets it be renewed meanwhile
  PERFORM 1 FROM holdline.turns t WHERE t.lease = of_lease AND t.outcome IS NULL AND t.until >= clock_timestamp() FOR KEY SHARE;
  IF FOUND THEN RETURN; END IF;
  PERFORM 1 FROM holdline.turn_fences f WHERE f.lease = of_lease FOR KEY SHARE;
  IF NOT FOUND THEN RAISE EXCEPTION 'The turn was taken over' USING ERRCODE = 'HL001'; END IF;
END $$;
`
