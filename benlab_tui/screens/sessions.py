"""F3: earlier sessions, found by title or by any word in them; resume, rename, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benlab_tui.screens.entry import Entry
from benlab_tui.screens.picker import Choice, Picker

if TYPE_CHECKING:
    from benlab_tui.screens.sending import Sending


async def choose_session(screen: Sending) -> None:
    """Opens the chosen session; rename and delete come back to the list."""

    def find(query: str) -> list[Choice]:
        return [
            Choice(str(s.id), s.title, f"{s.messages} messages · {s.updated[:16].replace('T', ' ')}")
            for s in screen.chats.sessions(200, query)
        ]

    while True:
        chosen = await screen.app.push_screen_wait(Picker("Sessions", find, ("delete", "rename")))
        if chosen is None:
            return
        action, key = chosen
        if action == "take":
            await screen.open_session(int(key))
            return
        if action == "rename":
            await _rename(screen, int(key))
        elif await screen.ask("Delete this session and its messages?"):
            screen.chats.delete(int(key))
            if int(key) == screen.session.id:
                await screen.open_session((screen.chats.newest() or screen.chats.start()).id)


async def _rename(screen: Sending, session_id: int) -> None:
    session = screen.chats.session(session_id)
    title = await screen.app.push_screen_wait(Entry("Title", session.title if session else ""))
    if title:
        screen.chats.rename(session_id, title)
        if session_id == screen.session.id:
            screen.session = screen.chats.session(session_id) or screen.session
            screen.show_engine()
