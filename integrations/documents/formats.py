"""What stands in a file, as text. Pure: bytes in, text out; each raises ``Unreadable``, and anything else of broken bytes.

It runs in a process of its own with limits on its memory and its time (``worker``), so that nothing in here keeps count of those.
"""

import codecs
import csv
import io
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from pypdf import PdfReader

Kind: TypeAlias = Literal["pdf", "docx", "table", "html", "text"]
Cause: TypeAlias = Literal["locked", "broken", "unpacked", "limits", "entities", "binary", "empty", "memory", "time"]

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
ALTERNATIVE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
DOCX_PARTS = ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml")
SAMPLE_CHARACTERS = 8_192
CELL_CHARACTERS_MAX = 1_000_000
UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs"})
DRAWN_AS_NOTHING = frozenset({0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}).union(
    range(0x180B, 0x180E), range(0xFE00, 0xFE10), range(0xE0000, 0xE01F0)
)


class Unreadable(Exception):
    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause: Cause = cause


@dataclass(frozen=True, slots=True)
class Bounds:
    """``text_bytes_max``: what is given out, as UTF-8; ``unpacked_bytes_max``: what a packed part of a file may come to."""

    text_bytes_max: int
    unpacked_bytes_max: int


def text_of(kind: Kind, data: bytes, bounds: Bounds) -> str:
    """Empty where there is none in it. What is longer than it may be ends with a note that says so."""
    return FORMATS[kind](data, bounds)


def _pdf(data: bytes, bounds: Bounds) -> str:
    from pypdf import Configuration, PdfReader, apply_configuration
    from pypdf.errors import LimitReachedError, PyPdfError

    most = bounds.unpacked_bytes_max
    limits = Configuration(
        maximum_declared_stream_length=most,
        array_based_stream_maximum_output_length=most,
        jbig2_maximum_output_length=most,
        lzw_maximum_output_length=most,
        run_length_maximum_output_length=most,
        zlib_maximum_output_length=most,
        brotli_maximum_output_length=most,
    )
    try:
        with apply_configuration(limits):
            return _pages(PdfReader(io.BytesIO(data), strict=False), bounds)
    except LimitReachedError as error:
        raise Unreadable("limits") from error
    except (PyPdfError, RecursionError) as error:
        raise Unreadable("broken") from error


def _pages(reader: "PdfReader", bounds: Bounds) -> str:
    # Many are sealed with an empty password, which every viewer tries.
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("locked")
    texts = (without_unseen(page.extract_text()).strip() for page in reader.pages)
    return _fitting(_numbered(texts), bounds.text_bytes_max, f"of {len(reader.pages):,} pages")


def _numbered(texts: Iterable[str]) -> Iterator[str]:
    for number, text in enumerate(texts, start=1):
        if text:
            yield f"[Page {number}]\n{text}"


def _docx(data: bytes, bounds: Bounds) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            names = set(packed.namelist())
            if DOCX_PARTS[0] not in names:
                raise Unreadable("broken")
            paragraphs = (text for part in DOCX_PARTS if part in names for text in _paragraphs(packed, part, bounds))
            return _fitting(paragraphs, bounds.text_bytes_max, "of the document")
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise Unreadable("broken") from error
    except RuntimeError as error:  # zipfile's word for a password
        raise Unreadable("locked") from error


def _paragraphs(packed: zipfile.ZipFile, part: str, bounds: Bounds) -> Iterator[str]:
    """See ECMA-376 part 1, 17.3 (paragraphs and runs) and 17.4 (tables)."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, iterparse

    row: list[str] | None = None
    cell: list[str] = []
    left_out = 0  # open elements whose content stands elsewhere, or nowhere any more
    try:
        with packed.open(part) as file:
            bounded = _Bounded(file, bounds.unpacked_bytes_max)
            for event, element in iterparse(bounded, ("start", "end"), forbid_dtd=True):
                name = element.tag
                if name in (ALTERNATIVE, f"{WORD}moveFrom"):
                    left_out += 1 if event == "start" else -1
                elif event == "start" and name == f"{WORD}tr":
                    row = []
                elif event == "end" and name == f"{WORD}p":
                    text = without_unseen(_paragraph(element)).rstrip()
                    element.clear()
                    if left_out or not text:
                        continue
                    if row is None:
                        yield text
                    else:
                        cell.append(text)
                elif event == "end" and name == f"{WORD}tc" and row is not None:
                    row.append(" ".join(cell))
                    cell = []
                elif event == "end" and name == f"{WORD}tr" and row is not None:
                    if any(row):
                        yield " | ".join(row)
                    row = None
                    element.clear()
    except DefusedXmlException as error:
        raise Unreadable("entities") from error
    except ParseError as error:
        raise Unreadable("broken") from error


def _paragraph(paragraph: "Element") -> str:
    """Without what Word does not show. A paragraph in it (of a text box) was read, and emptied, before."""
    said: list[str] = []
    for run in paragraph.iter(f"{WORD}r"):
        hidden = run.find(f"{WORD}rPr/{WORD}vanish")
        if hidden is not None and hidden.get(f"{WORD}val", "true") not in ("false", "0", "off"):
            continue
        for piece in run:
            if piece.tag == f"{WORD}t":
                said.append(piece.text or "")
            elif piece.tag == f"{WORD}tab":
                said.append("\t")
            elif piece.tag in (f"{WORD}br", f"{WORD}cr"):
                said.append("\n")
    return "".join(said)


class _Bounded(io.RawIOBase):
    """A packed file, of which no more is unpacked than may be. What its index says of its length is not believed."""

    def __init__(self, file: IO[bytes], bytes_max: int) -> None:
        self._file = file
        self._left = bytes_max

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(65_536, size if size >= 0 else 65_536))
        self._left -= len(data)
        if self._left < 0:
            raise Unreadable("unpacked")
        return data


def _table(data: bytes, bounds: Bounds) -> str:
    text = _decoded(data)
    sample = text[:SAMPLE_CHARACTERS]
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(sample, delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    count = 0

    def rows() -> Iterator[str]:
        nonlocal count
        for row in csv.reader(io.StringIO(text, newline=""), dialect):
            if any(row):
                count += 1
                yield " | ".join(" ".join(without_unseen(cell).split()) for cell in row)

    try:
        lines = rows()
        shown = _fitting(lines, bounds.text_bytes_max, "of the table")
        kept = count
        # The rest is counted, so that the model knows how much it does not see.
        for _ in lines:
            pass
    except csv.Error as error:
        raise Unreadable("broken") from error
    return f"{shown}\n[{count:,} rows in all.]" if kept != count else shown


def _html(data: bytes, bounds: Bounds) -> str:
    from integrations.tools.html_text import text_of as seen_of

    return _fitting([without_unseen(seen_of(_decoded(data)))], bounds.text_bytes_max, "of the page")


def _plain(data: bytes, bounds: Bounds) -> str:
    return _fitting([without_unseen(_decoded(data)).strip()], bounds.text_bytes_max, "of the text")


def _decoded(data: bytes) -> str:
    """UTF-8, UTF-16 by its mark, else what Windows wrote for long."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    if b"\x00" in data:
        raise Unreadable("binary")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def without_unseen(text: str) -> str:
    """Without characters that have no shape, or move what has one; lines and tabs stay.

    >>> without_unseen("I\\u200bgn\\u202eore\\U000e0041")
    'Ignore'
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    gone = {
        ord(letter): None
        for letter in set(text)
        if letter not in "\n\t" and (unicodedata.category(letter) in UNSEEN or ord(letter) in DRAWN_AS_NOTHING)
    }
    return text.translate(gone)


def _fitting(pieces: Iterable[str], bytes_max: int, of_what: str) -> str:
    """The pieces, one a line, as far as they fit. No more of them is made than that."""
    kept: list[str] = []
    left = bytes_max
    for piece in pieces:
        whole = piece.encode(errors="replace")
        if len(whole) + 1 > left:
            note = f"[Shortened: the first {bytes_max:,} bytes {of_what} stand above.]"
            kept += [whole[:left].decode(errors="ignore"), note]
            break
        left -= len(whole) + 1
        kept.append(whole.decode())
    return "\n".join(kept)


FORMATS: Mapping[Kind, Callable[[bytes, Bounds], str]] = {
    "pdf": _pdf,
    "docx": _docx,
    "table": _table,
    "html": _html,
    "text": _plain,
}
