-- The chain. Append only: the triggers below refuse everything else, also for whoever owns the table.
CREATE TABLE entry (
    seq          bigint PRIMARY KEY,
    leaf         bytea NOT NULL,
    hash         bytea NOT NULL,
    idem         text COLLATE "C" NOT NULL UNIQUE,
    turn         text COLLATE "C" NOT NULL,
    conversation text COLLATE "C" NOT NULL,
    action       text COLLATE "C" NOT NULL,
    commitment   text COLLATE "C"
);
CREATE INDEX entry_turn ON entry (turn, seq) WHERE turn <> '';
CREATE INDEX entry_said ON entry (conversation, seq) WHERE action IN ('message.received', 'reply.prepared');

CREATE FUNCTION entry_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'RC011: an entry is never % (%)',
        CASE TG_OP WHEN 'UPDATE' THEN 'changed' ELSE 'removed' END, lower(TG_OP);
END
$$;
CREATE TRIGGER entry_keeps BEFORE UPDATE OR DELETE ON entry FOR EACH ROW EXECUTE FUNCTION entry_is_kept();
CREATE TRIGGER entry_stays BEFORE TRUNCATE ON entry FOR EACH STATEMENT EXECUTE FUNCTION entry_is_kept();
-- ALWAYS: also in a session that takes itself for a replica.
ALTER TABLE entry ENABLE ALWAYS TRIGGER entry_keeps;
ALTER TABLE entry ENABLE ALWAYS TRIGGER entry_stays;
REVOKE UPDATE, DELETE, TRUNCATE ON entry FROM PUBLIC, CURRENT_USER;

-- The end of the chain: one row, locked by each batch.
CREATE TABLE head (
    one  integer PRIMARY KEY CHECK (one = 1),
    size bigint NOT NULL,
    hash bytea NOT NULL,
    mono bigint NOT NULL
);
INSERT INTO head (one, size, hash, mono) VALUES (1, 0, '', 0);

-- Text, beside the chain: a row may go, its commitment in the leaf stays.
CREATE TABLE payload (
    commitment text COLLATE "C" PRIMARY KEY,
    salt       bytea NOT NULL,
    body       bytea NOT NULL
);

-- Projections: made anew from the entries by a replay. The last three columns of a turn are work in hand, not record.
CREATE TABLE turn (
    turn          text COLLATE "C" PRIMARY KEY,
    seq           bigint NOT NULL,
    workspace     text COLLATE "C" NOT NULL,
    actor         text COLLATE "C" NOT NULL,
    conversation  text COLLATE "C" NOT NULL,
    platform      text COLLATE "C" NOT NULL,
    kind          text COLLATE "C" NOT NULL,
    state         text COLLATE "C" NOT NULL,
    lease_owner   text COLLATE "C",
    not_before_us bigint NOT NULL DEFAULT 0,
    attempts      bigint NOT NULL DEFAULT 0
);
CREATE INDEX turn_open ON turn (seq) WHERE state = 'open';
CREATE INDEX turn_conversation ON turn (conversation, seq);
CREATE INDEX turn_actor ON turn (actor, seq);

CREATE TABLE conversation (
    conversation text COLLATE "C" PRIMARY KEY,
    workspace    text COLLATE "C" NOT NULL,
    platform     text COLLATE "C" NOT NULL,
    first_seq    bigint NOT NULL,
    last_seq     bigint NOT NULL,
    turns        bigint NOT NULL,
    pinned_model text COLLATE "C" NOT NULL DEFAULT ''
);

-- What an explorer may see: no text and no salt. It reads as the view's owner, and has no right on the tables below it.
CREATE VIEW published_entry AS SELECT seq, leaf, hash, action FROM entry;
CREATE VIEW published_head AS SELECT size, hash FROM head;
