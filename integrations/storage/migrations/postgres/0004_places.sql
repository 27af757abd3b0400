-- A key that is scattered, as a commitment and a turn's name are, makes a batch write a page of its own for each row. What is
-- looked for by the number of an entry is written at the end.

-- A text by its entry. One that no entry names is nobody's, and is not carried over.
CREATE TABLE payload_of_entry (
    seq  bigint PRIMARY KEY,
    salt bytea NOT NULL,
    body bytea NOT NULL
);
-- Statistics hold samples of what is in a column, and would keep a text that was erased.
ALTER TABLE payload_of_entry ALTER COLUMN body SET STATISTICS 0, ALTER COLUMN salt SET STATISTICS 0;
INSERT INTO payload_of_entry (seq, salt, body)
SELECT entry.seq, salt, body FROM entry JOIN payload ON payload.commitment = entry.commitment ORDER BY entry.seq;
DROP TABLE payload;
ALTER TABLE payload_of_entry RENAME TO payload;

-- Entries of a turn by the entry that opened it; NULL for those before it, and of a turn that none opened.
ALTER TABLE entry ADD COLUMN began bigint;
ALTER TABLE entry DISABLE TRIGGER entry_keeps;
GRANT UPDATE ON entry TO CURRENT_USER;
UPDATE entry SET began = (SELECT turn.seq FROM turn WHERE turn.turn = entry.turn AND turn.seq <= entry.seq);
REVOKE UPDATE ON entry FROM CURRENT_USER;
ALTER TABLE entry ENABLE ALWAYS TRIGGER entry_keeps;
DROP INDEX entry_turn;
CREATE INDEX entry_began ON entry (began, seq) WHERE began IS NOT NULL;
CREATE INDEX entry_unopened ON entry (turn, seq) WHERE began IS NULL AND turn <> '';
