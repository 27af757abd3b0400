-- What is set for a workspace, for one item in it (a tool, say), in a channel or for a person. A projection: the last entry about each.
CREATE TABLE setting (
    workspace    TEXT NOT NULL,
    name         TEXT NOT NULL,
    item         TEXT NOT NULL,
    conversation TEXT NOT NULL,
    person       TEXT NOT NULL,
    value        TEXT NOT NULL,
    PRIMARY KEY (workspace, name, item, conversation, person)
) STRICT, WITHOUT ROWID;

-- What was read of a thread belongs to what was said in it.
DROP INDEX entry_said;
CREATE INDEX entry_said ON entry (conversation, seq)
    WHERE action IN ('message.received', 'context.read', 'reply.prepared');
