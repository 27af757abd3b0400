"""What an agent may change in somebody's Gmail. A mail carries a mark of its own, by which it is found again and never
sent twice.

Gmail may give a mail that is sent another Message-ID than the one that it came with, so that a look goes by that, by where
Gmail keeps the one of before, and by a header of ours.
"""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.messages import Json, JsonObject, ToolCall, ToolSpec
from integrations.sentence import Sentence, Told
from integrations.tools.base import (
    BadAnswer,
    Invalid,
    NotAllowed,
    NotFound,
    Preview,
    Tool,
    ToolLimits,
    Unknown,
    Use,
    WriteTool,
    parameters,
)
from integrations.tools.gmail_mail import SERVICE, USE_HEADER, Mail, carries, message_id, read_mail, write_mail
from integrations.tools.marker import MARK, marker

if TYPE_CHECKING:
    from integrations.tools.gmail import Mailbox

WRITE_LIMITS = ToolLimits(timeout_s=45.0)
SOUGHT_MAX = 200
SOUGHT_S = 30 * 86_400
"""How many of the newest are looked through for a mark, of how many seconds: a turn does not rest longer. Where there are
more, and it is not among them, it is not known."""
PEOPLE_MAX = 50

ADDRESS: JsonObject = {"type": "string", "maxLength": 254, "pattern": r"^[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9.-]{1,189}$"}
"""An address alone: a name beside it could be another address."""
ADDRESSES: JsonObject = {"type": "array", "items": ADDRESS, "minItems": 1, "maxItems": PEOPLE_MAX}
LABELS: JsonObject = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 225}, "maxItems": 20}
ID: JsonObject = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
SUBJECT: JsonObject = {"type": "string", "maxLength": 500}
TEXT: JsonObject = {"type": "string", "minLength": 1, "maxLength": 50_000}


@dataclass(frozen=True, slots=True)
class _Writing:
    """A mail that is to be sent, or kept as a draft."""

    to: Sequence[str]
    cc: Sequence[str]
    bcc: Sequence[str]
    subject: str
    text: str
    answers: Mail | None

    def body(self, use: Use) -> JsonObject:
        raw = write_mail(self.to, self.cc, self.bcc, self.subject, self.text, marker(use), self.answers)
        return {"raw": raw} if self.answers is None else {"raw": raw, "threadId": self.answers.thread}

    def preview(self, title: Sentence, account: str, irreversible: Told = "") -> Preview:
        answered = "" if self.answers is None else self.answers.line
        people = ((Sentence("To"), self.to), (Sentence("Cc"), self.cc), (Sentence("Bcc"), self.bcc))
        given = (
            (Sentence("From"), account),
            *((name, ", ".join(value)) for name, value in people),
            (Sentence("Subject"), self.subject),
            (Sentence("In answer to"), answered),
            (Sentence("Text"), self.text),
        )
        return Preview(title, tuple((name, value) for name, value in given if value), irreversible=irreversible)


def writing_tools(mailbox: "Mailbox") -> list[Tool]:
    mail = parameters(
        {
            "to": ADDRESSES,
            "cc": ADDRESSES,
            "bcc": ADDRESSES,
            "subject": SUBJECT,
            "text": TEXT,
            "answers": {**ID, "description": "The id of the mail that this one answers."},
        },
        ("to", "subject", "text"),
    )
    return [_send(mailbox, mail), _draft(mailbox, mail), _label(mailbox), _delete_draft(mailbox)]


def _send(mailbox: "Mailbox", takes: JsonObject) -> Tool:
    async def send(use: Use) -> str:
        writing = await _writing(mailbox, use)
        answer = await mailbox.rest.send("POST", "/gmail/v1/users/me/messages/send", use.token, writing.body(use))
        return f"Sent: mail {_name(answer)}"

    async def show(use: Use) -> Preview:
        final = Sentence("A mail that was sent cannot be taken back.")
        return (await _writing(mailbox, use)).preview(Sentence("Send a mail"), await _account(mailbox, use), final)

    async def seek(use: Use) -> str | None:
        found = await _sought(mailbox, use, "in:sent")
        return None if found is None else f"Sent: mail {found}"

    about = "Sends a mail in the person's name, as plain text."
    return WriteTool(ToolSpec("gmail_send", about, takes, "write"), send, show, seek, WRITE_LIMITS, "gmail")


def _draft(mailbox: "Mailbox", takes: JsonObject) -> Tool:
    async def draft(use: Use) -> str:
        writing = await _writing(mailbox, use)
        body: JsonObject = {"message": writing.body(use)}
        answer = await mailbox.rest.send("POST", "/gmail/v1/users/me/drafts", use.token, body)
        return f"Kept as the draft {_name(answer)}"

    async def show(use: Use) -> Preview:
        return (await _writing(mailbox, use)).preview(Sentence("Keep a draft of a mail"), await _account(mailbox, use))

    async def seek(use: Use) -> str | None:
        found = await _sought(mailbox, use, "in:drafts")
        return None if found is None else f"Kept as the draft {await _draft_of(mailbox, use, found)}"

    about = "Keeps a draft of a mail in the person's mailbox. Nothing is sent."
    return WriteTool(
        ToolSpec("gmail_draft", about, takes, "write"), draft, show, seek, WRITE_LIMITS, "gmail", _back_draft
    )


def _back_draft(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    found = re.fullmatch("Kept as the draft ([A-Za-z0-9_-]{1,64})", said)
    return None if found is None else ("gmail_delete_draft", {"draft": found[1]})


async def _draft_of(mailbox: "Mailbox", use: Use, mail: str) -> str:
    """The id of the draft that this mail is; of the mail, where it is none of the newest."""
    answer = await mailbox.rest.get("/gmail/v1/users/me/drafts", use.token, {"maxResults": SOUGHT_MAX})
    drafts = answer.get("drafts")
    for draft in drafts if isinstance(drafts, list) else ():
        message = draft.get("message") if isinstance(draft, dict) else None
        if isinstance(draft, dict) and isinstance(message, dict) and message.get("id") == mail:
            return _name(draft)
    return f"of the mail {mail}"


def _delete_draft(mailbox: "Mailbox") -> Tool:
    async def found(use: Use) -> Mail:
        """Raises ``NotAllowed`` where it was not written here, or somebody has rewritten it since."""
        answer = await mailbox.rest.get(f"/gmail/v1/users/me/drafts/{use.text('draft')}?format=full", use.token)
        message = answer.get("message")
        if not isinstance(message, dict):
            raise BadAnswer(f"{SERVICE}: a draft without a mail", "{0} gave an answer that was not expected.", SERVICE)
        mail = read_mail(message)
        if not re.fullmatch(MARK, mail.header(USE_HEADER)):
            raise NotAllowed("no mark", "That draft is not as it was written here, and only what is is taken back.")
        return mail

    async def delete(use: Use) -> str:
        await found(use)
        await mailbox.rest.send("DELETE", f"/gmail/v1/users/me/drafts/{use.text('draft')}", use.token)
        return f"Deleted the draft {use.text('draft')}."

    async def show(use: Use) -> Preview:
        mail = await found(use)
        fields = ((Sentence("To"), mail.header("To")), (Sentence("Subject"), mail.header("Subject")))
        final = Sentence("A deleted draft is gone.")
        return Preview(Sentence("Delete a draft of a mail"), fields, irreversible=final)

    async def seek(use: Use) -> str | None:
        """Where it is gone, nothing is left to do, whoever deleted it."""
        try:
            await mailbox.rest.get(f"/gmail/v1/users/me/drafts/{use.text('draft')}?format=minimal", use.token)
        except NotFound:
            return f"The draft {use.text('draft')} is gone."
        return None

    takes = parameters({"draft": ID}, ("draft",))
    about = "Takes back a draft of a mail that was written here with gmail_draft: deletes it."
    return WriteTool(ToolSpec("gmail_delete_draft", about, takes, "write"), delete, show, seek, WRITE_LIMITS, "gmail")


def _label(mailbox: "Mailbox") -> Tool:
    async def label(use: Use) -> str:
        add, remove = await _label_ids(mailbox, use)
        body: JsonObject = {"addLabelIds": add, "removeLabelIds": remove}
        async with mailbox.together() as opened:
            before = set((await opened.mail(use.token, use.text("id"), headers_only=True)).labels)
            await opened.rest.send("POST", f"/gmail/v1/users/me/messages/{use.text('id')}/modify", use.token, body)
        # What changed, and not what was asked for: to take it back must not touch what was so before.
        added = [name for name, label in zip(_texts(use, "add"), add, strict=True) if label not in before]
        removed = [name for name, label in zip(_texts(use, "remove"), remove, strict=True) if label in before]
        return f"The labels are changed: {json.dumps({'added': added, 'removed': removed}, ensure_ascii=False)}"

    async def show(use: Use) -> Preview:
        await _label_ids(mailbox, use)
        mail = await mailbox.mail(use.token, use.text("id"), headers_only=True)
        add, remove = ", ".join(_texts(use, "add")), ", ".join(_texts(use, "remove"))
        given = ((Sentence("Mail"), mail.line), (Sentence("Add"), add), (Sentence("Remove"), remove))
        return Preview(Sentence("Change the labels of a mail"), tuple((name, value) for name, value in given if value))

    async def seek(use: Use) -> str | None:
        """That it looks as wanted is all that matters: doing it again would change nothing."""
        add, remove = await _label_ids(mailbox, use)
        labels = set((await mailbox.mail(use.token, use.text("id"), headers_only=True)).labels)
        return (
            "The labels are changed." if set(map(str, add)) <= labels and not labels & set(map(str, remove)) else None
        )

    takes = parameters({"id": ID, "add": LABELS, "remove": LABELS}, ("id",))
    about = (
        "Adds labels to a mail and removes some, by their names; without INBOX it is archived, with TRASH thrown away."
    )
    return WriteTool(
        ToolSpec("gmail_label", about, takes, "write"), label, show, seek, WRITE_LIMITS, "gmail", _back_label
    )


def _back_label(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    try:
        changed = json.loads(said.removeprefix("The labels are changed: "))
        added, removed = changed["added"], changed["removed"]
    except (ValueError, TypeError, KeyError):  # it was found later, when nobody knew any more what had changed
        return None
    back = {name: labels for name, labels in (("add", removed), ("remove", added)) if labels}
    return ("gmail_label", {"id": call.arguments["id"], **back}) if back else None


async def _writing(mailbox: "Mailbox", use: Use) -> _Writing:
    to, cc, bcc = _texts(use, "to"), _texts(use, "cc"), _texts(use, "bcc")
    # A pattern's `$` lets a line break at the end through.
    if not all(address.isprintable() for address in (*to, *cc, *bcc)):
        raise Invalid("an address with a line break", "That is no address of a mail.")
    answers = use.text("answers")
    answered = await mailbox.mail(use.token, answers, headers_only=True) if answers else None
    return _Writing(to, cc, bcc, use.text("subject"), use.text("text"), answered)


async def _account(mailbox: "Mailbox", use: Use) -> str:
    """Whose mailbox it is; empty where Gmail does not say."""
    try:
        found = (await mailbox.rest.get("/gmail/v1/users/me/profile", use.token)).get("emailAddress")
    except (NotAllowed, NotFound):
        return ""
    return found if isinstance(found, str) else ""


async def _sought(mailbox: "Mailbox", use: Use, where: str) -> str | None:
    """The id of the mail that carries the mark of this use. Raises ``Unknown`` where not all could be looked through."""
    mark = marker(use)
    async with mailbox.together() as opened:
        names, _ = await opened.find(use.token, f"rfc822msgid:{message_id(mark).strip('<>')}", 1)
        if names:
            return names[0]
        names, more = await opened.find(use.token, f"{where} after:{int(time.time()) - SOUGHT_S}", SOUGHT_MAX)
        found = next((mail.id for mail in await opened.heads(use.token, names) if carries(mail, mark)), None)
    if found is None and more:
        raise Unknown(f"{SERVICE}: more than {SOUGHT_MAX}", "It is not known whether this was done.")
    return found


async def _label_ids(mailbox: "Mailbox", use: Use) -> tuple[list[Json], list[Json]]:
    add, remove = _texts(use, "add"), _texts(use, "remove")
    if (not add and not remove) or set(add) & set(remove):
        raise Invalid("labels", "Name labels to add or to remove, and none of them as both.")
    known = await mailbox.labels(use.token)
    missing = [name for name in (*add, *remove) if name not in known]
    if missing:
        raise Invalid("labels", "There is no label {0}: gmail_labels lists them.", missing[0])
    return [known[name] for name in add], [known[name] for name in remove]


def _texts(use: Use, name: str) -> list[str]:
    found = use.call.arguments.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise Invalid(f"{use.call.name}: {name} is no list of texts", "{0} has to be a list of texts.", name)
    return [item for item in found if isinstance(item, str)]


def _name(answer: JsonObject) -> str:
    found = answer.get("id")
    return found if isinstance(found, str) else "(Gmail did not say which)"
