-- What is set for a workspace, for one item in it (a tool, say), in a channel or for a person. A projection: the last entry about each.
CREATE TABLE setting (
    workspace    text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    item         text COLLATE "C" NOT NULL,
    conversation text COLLATE "C" NOT NULL,
    person       text COLLATE "C" NOT NULL,
    value        text NOT NULL,
    PRIMARY KEY (workspace, name, item, conversation, person)
);

-- What was read of a thread belongs to what was said in it.
DROP INDEX entry_said;
CREATE INDEX entry_said ON entry (conversation, seq)
    WHERE action IN ('message.received', 'context.read', 'reply.prepared');
