"""What CarPool itself says comes from a table, all of it: seen by a language in which each sentence is in brackets."""

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import polib
import pytest
from starlette.requests import Request

import bot.sentences
from adapters.errors import AdapterError
from adapters.messages import Usage
from adapters.scripted import answer
from bot.approvals import question
from bot.billing import Billing
from bot.commands.explaining import OUTCOMES
from bot.config import load
from bot.errors import Trouble, TroubleCode, explain
from bot.http.answers import NotTaken
from bot.http.payments import RETURN_PATH, PaymentsDoor
from bot.limits import Limits
from bot.lucidia.catalog import Rates
from bot.notices import sentence as sentence_about
from bot.platforms.base import Standing
from bot.sentences import ENGLISH, NoSuchLanguage, languages, sentences_of
from integrations.oauth import Declined
from integrations.payments.base import (
    Buyer,
    Cents,
    IntentId,
    News,
    ObjectRef,
    PaymentError,
    PaymentMisconfigured,
    PaymentUnavailable,
    PaymentUnknown,
)
from integrations.sentence import Sentence
from integrations.tools.base import Toolbox, ToolError, Unknown
from integrations.tools.github_writes import WATCHED, preview_of
from integrations.tools.status import error_of
from ledger.actions import CallOutcome
from ledger.credit_actions import CreditRefused
from ledger.errors import Code
from ledger.money import URC_PER_RC, Money
from ledger.pseudonyms import ActorId, TurnId, WorkspaceId
from tests.bracketed import BRACKETED, unsaid
from tests.github_emulator import use_of
from tests.house import ME, WANTS_TOOL, RecordingPlatform, RecordingTool, asks, card, running_house
from tests.house_at_a_till import MINE, OURS, at_a_till, bought
from tests.payments import scope
from tests.sentences import OF_PAYMENTS, OF_TOOLS, TEMPLATE, kinds_of, places, said_by, sentences, sources, template


def test_the_template_has_every_sentence_of_the_code() -> None:
    assert TEMPLATE.read_text(encoding="utf-8") == template(), "`make sentences` writes it anew"
    assert len(sentences()) > 200


def test_a_translation_has_the_places_of_its_sentence_and_no_other() -> None:
    for code in languages():
        for sentence, translated in sentences_of(code).table.items():
            assert places(translated) == places(sentence), f"{code}: {translated}"


def test_a_sentence_is_never_put_together_before_it_is_looked_up() -> None:
    for path, name in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            given = said_by(node)
            together = isinstance(given, ast.JoinedStr | ast.BinOp) or (
                isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute) and given.func.attr == "format"
            )
            assert not together, f"{name}:{node.lineno}: its values go behind the sentence"  # type: ignore[attr-defined]  # a call has it


def test_what_a_write_shows_before_it_is_done_is_named_from_the_table() -> None:
    """A name or a title as plain text would be one of somebody else's."""
    for path, name in sources():
        code = path.read_text(encoding="utf-8")
        if not name.startswith("integrations/tools/") or "Preview" not in code:
            continue
        for node in ast.walk(ast.parse(code)):
            shown: list[ast.expr] = []
            match node:
                case ast.Call(
                    func=ast.Name(id="Preview" | "preview_of" | "_preview" | "_shows"), args=args, keywords=named
                ):
                    shown = [*args, *(word.value for word in named)]
                case ast.Tuple(elts=[first, _]):
                    shown = [first]
                case _:
                    continue
            ours = [it for it in shown if isinstance(it, ast.JoinedStr) or _is_capital(it)]
            assert not ours, f"{name}:{node.lineno}: a Sentence"


def _is_capital(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value[:1].isupper()


def test_a_question_says_what_would_be_done_in_the_language_and_what_it_is_done_with_as_it_is() -> None:
    use = use_of("github_create_issue", {"repository": "o/r", "title": "Door {0}", "body": "It sticks."})
    preview = preview_of(Sentence("Create an issue at GitHub"), use, ("title", "body"), irreversible=WATCHED)
    said = question(use.call, preview, "asker", TurnId("t-0000000000000000"), 1, 60, BRACKETED).text
    assert "⟦Create an issue at GitHub⟧" in said
    assert "- ⟦Title⟧: `Door {0}`" in said
    assert unsaid(said) == ""


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    table = polib.POFile()
    table.append(polib.POEntry(msgid="{0} is {1}.", msgstr="{1} ist {0}."))
    table.append(polib.POEntry(msgid="Stopped.", msgstr=""))
    table.append(polib.POEntry(msgid="free", msgstr="frei", flags=["fuzzy"]))
    (tmp_path / "de.po").write_text(str(table), encoding="utf-8")
    monkeypatch.setattr(bot.sentences, "TABLES", tmp_path)
    return tmp_path


def test_a_sentence_is_said_in_the_language_and_its_values_stand_where_that_has_them(tables: Path) -> None:
    say = sentences_of("de")
    assert say("{0} is {1}.", "A", "B") == "B ist A."
    assert ENGLISH("{0} is {1}.", "A", "B") == "A is B."


def test_what_is_not_translated_or_only_guessed_is_said_in_english(tables: Path) -> None:
    say = sentences_of("de")
    assert (say("Stopped."), say("free"), say("Not in the table: {0:,}.", 1000)) == (
        "Stopped.",
        "free",
        "Not in the table: 1,000.",
    )


def test_what_people_wrote_is_a_value_and_never_a_sentence() -> None:
    assert ENGLISH("You: {0}", "{0} {1.__class__} {") == "You: {0} {1.__class__} {"


def test_a_language_that_is_not_there_is_refused_by_name(tables: Path) -> None:
    assert languages() == ("en", "de")
    with pytest.raises(NoSuchLanguage, match="fr"):
        sentences_of("fr")
    with pytest.raises(NoSuchLanguage):
        sentences_of("../de")
    (trouble,) = load({"CARPOOL_LANGUAGE": "fr"}, tables, tables).problems
    assert "en, de" in trouble.what


@pytest.mark.parametrize("code", TroubleCode.__args__)  # type: ignore[attr-defined]  # of a Literal
def test_each_trouble_is_told_from_the_table(code: TroubleCode) -> None:
    if code == "not_paid":
        return
    said = explain(
        Trouble(code, "scripted/m", detail=BRACKETED("x")), TurnId("t-0000000000000000"), Limits(), BRACKETED
    )
    assert said.startswith("⟦")
    assert unsaid(said) == ""


@pytest.mark.parametrize("code", [kind.code for kind in kinds_of(AdapterError)])
def test_each_failure_of_a_model_is_told_from_the_table(code: str) -> None:
    for trouble in (Trouble("model_failed", "scripted/m", code, 7), Trouble("cut_short", "scripted/m", code)):
        said = explain(trouble, TurnId("t-0000000000000000"), Limits(), BRACKETED)
        assert (unsaid(said), "scripted/m" in said) == ("", True)


@pytest.mark.parametrize("kind", OF_TOOLS)
def test_each_error_of_a_tool_is_told_from_the_table_with_its_values_as_they_are(kind: type[ToolError]) -> None:
    inner = Sentence("It is not known what became of this: {0}", ("{0} ⟦x",))
    error = kind("for the log", "{0} took {1:,}: {2}", "{1} {", 1000, inner)
    assert error.sentence == "{1} { took 1,000: It is not known what became of this: {0} ⟦x"
    assert BRACKETED.of(error.told) == "⟦{1} { took 1,000: ⟦It is not known what became of this: {0} ⟦x⟧⟧"
    assert BRACKETED("{0} Nothing was connected.", error.told) == f"⟦{BRACKETED.of(error.told)} Nothing was connected.⟧"
    assert str(error) == "for the log"


def test_the_kinds_of_errors_are_all_known_to_the_template() -> None:
    assert {Declined, Unknown} < set(OF_TOOLS)
    assert PaymentMisconfigured in OF_PAYMENTS
    assert {kind.remedy for kind in OF_PAYMENTS} < set(sentences())


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 418, 429, 500, 503])
@pytest.mark.parametrize("wait_s", [None, 7.5])
def test_what_a_service_answered_is_in_the_template_and_its_name_a_value(status: int, wait_s: float | None) -> None:
    told = error_of("{Mail}", status, "secret detail", wait_s).told
    assert told.english in sentences()
    assert str(told).startswith("{Mail} ")
    assert "secret" not in BRACKETED.of(told)


@pytest.mark.parametrize("outcome", ["recorded", "waiting", "failed", "expired", "unmatched", "of a later version"])
async def test_the_page_behind_a_payment_is_said_from_the_table(outcome: str) -> None:
    status, said = await _page_behind(b"session_id=cs_1", outcome)
    assert (status, said[0], unsaid(said)) == (200, "⟦", "")


@pytest.mark.parametrize(
    ("query", "outcome", "status"),
    [
        (b"session_id=cs_1", PaymentUnknown("secret detail"), 404),
        (b"session_id=cs_1", PaymentUnavailable("secret detail"), 200),
        (b"session_id=<b>", "recorded", 400),
    ],
)
async def test_a_page_behind_no_payment_is_said_from_the_table(
    query: bytes, outcome: str | PaymentError, status: int
) -> None:
    answered, said = await _page_behind(query, outcome)
    assert (answered, unsaid(said)) == (status, "")


async def _page_behind(query: bytes, outcome: str | PaymentError) -> tuple[int, str]:
    async def come_back(about: ObjectRef) -> str:
        if isinstance(outcome, PaymentError):
            raise outcome
        return outcome

    async def unused(*given: object) -> None:
        raise AssertionError("nothing is delivered here")

    (page,) = [
        route for route in PaymentsDoor(unused, unused, come_back, BRACKETED).routes(1) if route.path == RETURN_PATH
    ]
    try:
        answer = await page.endpoint(Request({"type": "http", "query_string": query, "headers": []}))
    except NotTaken as refused:
        return refused.status, refused.sentence
    return answer.status_code, bytes(answer.body).decode()


@pytest.mark.parametrize("outcome", get_args(CallOutcome))
def test_what_came_of_each_call_has_a_sentence(outcome: CallOutcome) -> None:
    assert OUTCOMES[outcome] in sentences()


BUYER = Buyer(WorkspaceId("w-1"), ActorId("a-1"), IntentId("i-1"))
SESSION, INVOICE = ObjectRef("checkout.session", "cs_1"), ObjectRef("invoice", "in_1")


@pytest.mark.parametrize(
    "news",
    [
        News(BUYER, SESSION, "recorded", Cents(1000)),
        News(BUYER, SESSION, "recorded", Cents(1000), plan="{pro}"),
        News(BUYER, SESSION, "unmatched", Cents(1000)),
        News(BUYER, INVOICE, "returned", Cents(1000), currency="eur"),
        News(BUYER, SESSION, "failed"),
        News(BUYER, INVOICE, "failed"),
        News(BUYER, INVOICE, "failed", url="https://x.test/"),
    ],
)
def test_what_is_told_unasked_is_said_from_the_table(news: News) -> None:
    said = sentence_about(news, BRACKETED)
    assert (said[0], unsaid(said)) == ("⟦", "")
    assert news.plan in said
    assert news.url in said


SAID = [
    *("/help", "/help model", "/nonsense", "/model", "/model auto", "/model scripted/m", "/model none/such"),
    *("/why", "/receipt", "/good", "/bad", "/history", "/history 0", "/stop"),
    *("/settings", "/settings policy best", "/settings policy x", "/settings model x", "/settings providers x"),
    *("/settings budget x", "/settings budget 1", "/settings guests x", "/settings here off", "/settings here x"),
    *(
        "/settings x y",
        "/settings role x",
        "/settings role U1 admin",
        "/settings approver x",
        "/settings approver t admin",
    ),
    *("/keys", "/keys add", "/keys remove x", "/connect", "/connect github", "/disconnect github", "/billing"),
    *("/billing topup 10", "/billing refund", "/billing x", "/billing statement", "/billing statement 2999-01"),
    *("/billing gift", "/billing gift U1", "/billing gift U1 1", "/billing allocate U1 1", "/billing referral"),
    *("/approve", "/approve x", "/refuse", "/allow", "/allow revoke 1", "/allow x"),
]


@pytest.mark.parametrize("standing", ["owner", "member", "guest"])
async def test_commands_and_refusals_are_said_from_the_table(tmp_path: Path, standing: Standing) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, say=BRACKETED) as open_:
        for number, text in enumerate(("hello", *SAID)):
            await open_.ask(replace(asks(text, f"{number}"), standing=standing))
    assert len(platform.texts) == 1 + len(SAID)
    assert {rest for text in platform.texts if (rest := unsaid(text))} <= {"Hello"}
    labels = [button.label for _, _, reply in platform.sent for button in reply.buttons]
    assert all(label.startswith("⟦") for label in labels)
    assert bool(labels) == (standing != "guest")


async def test_a_question_before_a_write_and_the_footer_are_said_from_the_table(tmp_path: Path) -> None:
    platform, tool = RecordingPlatform(), RecordingTool("write")
    script = (WANTS_TOOL, answer("Hello."))
    async with running_house(tmp_path, platform, script, toolbox=Toolbox({"look": tool}), say=BRACKETED) as open_:
        turn, ending = await open_.ask(asks("look"))
        assert ending == "suspended"
        ((_, _, question),) = platform.sent
        assert unsaid(question.text) == "Look at it at"  # the tool's own title
        await open_.ask(asks(f"/allow {turn}.1", "2"))
        await open_.intake.ended(turn)
        await open_.ask(asks("/allow", "3"))
        await open_.ask(asks("/allow revoke 1", "4"))
    (answered,) = [reply for _, _, reply in platform.sent if reply.footer is not None]
    assert answered.footer is not None
    assert unsaid(answered.footer.line) == ""
    assert {rest for _, _, reply in platform.sent if (rest := unsaid(reply.text))} == {"Hello", "Look at it at"}


OF_BILLING = [
    *("/billing", "/billing topup 10", "/billing subscribe", "/billing subscribe none", "/billing portal"),
    *("/billing portal x", "/billing invoices", "/billing refund", "/billing refund pi_x 3", "/billing allocate U2 5"),
    *("/billing allocate U2 500000", "/billing reclaim U2 2", "/billing gift U2 1", "/billing referral"),
    *("/billing referral abc", "/billing statement", "/why", "/receipt"),
]


async def test_billing_and_its_refusals_are_said_from_the_table(tmp_path: Path) -> None:
    script = [answer("Hello.", usage=Usage(input=10_000, output=2_000))] * 9
    priced = [card("scripted", rates=Rates(2_000_000, 10_000_000))]
    billing = Billing("funded", person_day_max=URC_PER_RC * 6, referral=Money(URC_PER_RC))
    async with at_a_till(tmp_path, script, cards=priced, billing=billing, say=BRACKETED) as place:
        for number, text in enumerate(("hello", *OF_BILLING)):  # without credit
            await place.open.ask(replace(asks(text, f"poor {number}"), standing="owner"))
        await bought(place.till)
        await place.till.delivered()
        link = await place.till.cashier.subscribe(scope("t-1", MINE, OURS), place.till.pro)
        place.till.account.pay(link.about.id)
        await place.till.delivered()
        for number, text in enumerate(("hello", *OF_BILLING, "hello", "hello")):  # up to the day's limit, and beyond
            await place.open.ask(replace(asks(text, f"rich {number}"), standing="owner"))
        for number, text in enumerate(OF_BILLING[::4]):
            await place.open.ask(replace(asks(text, f"member {number}"), standing="member"))
        actions = [item.entry.action for item in await place.open.all()]
        refused = {action.code for action in actions if isinstance(action, CreditRefused)}
        texts = [re.sub(r"\]\(\S+\)|\[in_\w+", "]", text) for text in place.platform.texts]
        labels = [button.label for _, _, reply in place.platform.sent for button in reply.buttons]
    assert len(texts) > 2 * len(OF_BILLING)
    assert {rest for text in texts if (rest := unsaid(text))} == {"Hello"}
    assert all(label.startswith("⟦") for label in labels)
    assert {Code.INSUFFICIENT_BALANCE.value, Code.RATE_LIMIT_EXCEEDED.value, Code.UNAUTHORISED.value} <= refused


@pytest.mark.parametrize("standing", ["owner", "guest"])
async def test_a_persons_own_page_is_said_from_the_table(tmp_path: Path, standing: Standing) -> None:
    async with running_house(tmp_path, RecordingPlatform(), say=BRACKETED) as open_:
        sections = await open_.door.home(ME, standing)
    assert [section.title for section in sections if unsaid(section.title)] == []
    assert [section.title for section in sections if unsaid(section.text)] == []
