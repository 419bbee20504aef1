"""The tables of chats in lab.db, a step a version, and how free text becomes a query of their search index."""

from __future__ import annotations

STEPS = [
    """
    CREATE TABLE chat_sessions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title TEXT NOT NULL,
        created TEXT NOT NULL,
        updated TEXT NOT NULL
    );
    CREATE TABLE chat_messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id INTEGER NOT NULL REFERENCES chat_sessions (id) ON DELETE CASCADE,
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        meta TEXT NOT NULL,
        created TEXT NOT NULL
    );
    CREATE INDEX chat_messages_session ON chat_messages (session_id, id);
    CREATE VIRTUAL TABLE chat_search USING fts5 (
        content, content='chat_messages', content_rowid='id', tokenize='unicode61'
    );
    CREATE TRIGGER chat_messages_added AFTER INSERT ON chat_messages BEGIN
        INSERT INTO chat_search (rowid, content) VALUES (new.id, new.content);
    END;
    CREATE TRIGGER chat_messages_removed AFTER DELETE ON chat_messages BEGIN
        INSERT INTO chat_search (chat_search, rowid, content) VALUES ('delete', old.id, old.content);
    END;
    CREATE TRIGGER chat_messages_changed AFTER UPDATE OF content ON chat_messages BEGIN
        INSERT INTO chat_search (chat_search, rowid, content) VALUES ('delete', old.id, old.content);
        INSERT INTO chat_search (rowid, content) VALUES (new.id, new.content);
    END;
    CREATE TABLE console_state (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    """
]


def match_expression(query: str) -> str:
    """The words of free text as an FTS5 expression that cannot be a syntax error; '' where it has none."""
    words = ["".join(char for char in word if char.isalnum() or char in "_-.") for word in query.split()[:20]]
    return " ".join(f'"{word}"*' for word in words if any(char.isalnum() for char in word))
