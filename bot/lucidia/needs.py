"""What a message requires of a model, worked out in microseconds and without asking one.

Words are looked up in small sets: a hint that is missed costs a little quality or a little money, never the answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from adapters.messages import File, Image, Message
from bot.tokens import tokens_in

Task: TypeAlias = Literal["chat", "writing", "code", "reasoning"]

SAMPLE_CHARS = 1_500
"""How much of a question is looked at: what is wanted stands at its beginning, or at its end behind what was pasted."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[^\W\d_]+")
_CODE_WORDS = _words(
    "api bash bug class code compile compiler css debug function git html java javascript json kotlin linux method program"
    " programm programmieren python query react refactor regex rust script sql stacktrace traceback typescript unittest"
)
_REASONING_WORDS = _words(
    "algorithm analyse analyze beweis beweise calculate compute derive equation integral logic math mathematics optimise"
    " optimize probability proof prove puzzle riddle solve theorem berechne calcule demuestra"
)
_WRITING_WORDS = _words(
    "article blog draft edit email essay letter paraphrase poem proofread rephrase report rewrite story summarise summarize"
    " summary translate translation übersetze zusammenfassung brief gedicht traduis résume traduce resume"
)
_RECENT_WORDS = _words(
    "currently latest news nowadays recent recently today tonight yesterday aktuell heute neueste gestern aujourd hui actualité"
    " hoy noticias"
)
_COMMON_WORDS = {
    "en": _words("the is are and of to what how why it you i a my can do does with for this that not"),
    "de": _words("der die das und ist nicht wie was ich ein eine mit für zu von warum kann den dem sind"),
    "fr": _words("le la les est et que une un des pour pas je vous comment pourquoi dans avec du ce qui"),
    "es": _words("el los las es y una un por para como cómo qué no con del está puede mi se"),
    "it": _words("il lo gli è e che una un per non come perché con del della sono mi puoi"),
    "pt": _words("o os é e que uma um por para como não com do da são me você"),
}
_SCRIPTS = re.compile(
    "(?P<ja>[\u3040-\u30ff])|(?P<ko>[\uac00-\ud7af])|(?P<ru>[\u0400-\u04ff])|(?P<el>[\u0370-\u03ff])|(?P<he>[\u0590-\u05ff])"
    "|(?P<ar>[\u0600-\u06ff])|(?P<hi>[\u0900-\u097f])|(?P<th>[\u0e00-\u0e7f])"
)
_HAN = re.compile("[\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class Needs:
    """Tokens are estimates from above. ``past_tokens`` is what of the conversation goes along where there is room.

    ``language`` is ISO 639-1, empty where it cannot be told. ``recent``: it asks for what was so lately.
    """

    input_tokens: int
    output_tokens: int
    images: bool
    files: bool
    tools: bool
    past_tokens: int = 0
    task: Task = "chat"
    reasoning: bool = False
    language: str = ""
    recent: bool = False


def needs_of(messages: Sequence[Message], output_tokens: int, tools: bool, past_tokens: int = 0) -> Needs:
    """``messages`` is what is asked now, with the instructions and without the past. The last one is the question."""
    parts = [part for message in messages for part in message.parts]
    sample = _sample(messages[-1].text if messages else "")
    words = frozenset(_WORD.findall(sample.casefold()))
    task = _task(sample, words)
    return Needs(
        input_tokens=sum(tokens_in(message) for message in messages),
        output_tokens=output_tokens,
        images=any(isinstance(part, Image) for part in parts),
        files=any(isinstance(part, File) for part in parts),
        tools=tools,
        past_tokens=past_tokens,
        task=task,
        reasoning=task == "reasoning",
        language=_language(sample, words),
        recent=not words.isdisjoint(_RECENT_WORDS),
    )


def _sample(text: str) -> str:
    if len(text) <= SAMPLE_CHARS:
        return text
    return f"{text[: SAMPLE_CHARS // 2]}\n{text[-SAMPLE_CHARS // 2 :]}"


def _task(sample: str, words: frozenset[str]) -> Task:
    if "```" in sample or not words.isdisjoint(_CODE_WORDS):
        return "code"
    if not words.isdisjoint(_REASONING_WORDS):
        return "reasoning"
    return "writing" if not words.isdisjoint(_WRITING_WORDS) else "chat"


def _language(sample: str, words: frozenset[str]) -> str:
    """By its commonest words; by its letters where none of them occurs."""
    language, found = max(
        ((name, len(common & words)) for name, common in _COMMON_WORDS.items()), key=lambda item: item[1]
    )
    if found:
        return language
    if sample.isascii():
        return ""
    script = _SCRIPTS.search(sample)
    if script is not None and script.lastgroup is not None:
        return script.lastgroup
    return "zh" if _HAN.search(sample) else ""
