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
_APART = {code: " " for code in range(128) if not chr(code).isalpha()}
"""What stands between words of plain ASCII, which are taken apart ten times as fast so as by the expression above."""
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
_COMMON = frozenset().union(*_COMMON_WORDS.values())
_HINTS = _CODE_WORDS | _REASONING_WORDS | _WRITING_WORDS | _RECENT_WORDS
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
    input_tokens, images, files = 0, False, False
    for message in messages:
        input_tokens += tokens_in(message)
        for part in message.parts:
            images = images or isinstance(part, Image)
            # One whose text was read can be answered by any model.
            files = files or (isinstance(part, File) and not part.text)
    sample = _sample(messages[-1].text if messages else "")
    words = _words_in(sample)
    hints = words & _HINTS
    task = _task(sample, hints)
    return Needs(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        images=images,
        files=files,
        tools=tools,
        past_tokens=past_tokens,
        task=task,
        reasoning=task == "reasoning",
        language=_language(sample, words & _COMMON),
        recent=not hints.isdisjoint(_RECENT_WORDS),
    )


def _sample(text: str) -> str:
    if len(text) <= SAMPLE_CHARS:
        return text
    return f"{text[: SAMPLE_CHARS // 2]}\n{text[-SAMPLE_CHARS // 2 :]}"


def _words_in(sample: str) -> set[str]:
    """Its words, each once, in small letters."""
    small = sample.casefold()
    return set(small.translate(_APART).split() if small.isascii() else _WORD.findall(small))


def _task(sample: str, hints: set[str]) -> Task:
    if "```" in sample or not hints.isdisjoint(_CODE_WORDS):
        return "code"
    if not hints.isdisjoint(_REASONING_WORDS):
        return "reasoning"
    return "writing" if not hints.isdisjoint(_WRITING_WORDS) else "chat"


def _language(sample: str, common: set[str]) -> str:
    """By its commonest words; by its letters where none of them occurs."""
    if common:
        return max(_COMMON_WORDS, key=lambda name: len(_COMMON_WORDS[name] & common))
    if sample.isascii():
        return ""
    script = _SCRIPTS.search(sample)
    if script is not None and script.lastgroup is not None:
        return script.lastgroup
    return "zh" if _HAN.search(sample) else ""
