"""What is read of a file's bytes, and what of them does harm. The files are made by python-docx and fpdf2, or spoilt by hand."""

import io
import zipfile
import zlib

import pytest
from docx import Document
from fpdf import FPDF

from adapters.messages import File
from integrations.documents.formats import Bounds, Kind, Unreadable, text_of, without_unseen
from integrations.documents.reading import DOCX, PDF, kind_of

BOUNDS = Bounds(100_000, 1_000_000)
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'


def a_docx(body: str, before: str = "") -> bytes:
    return packed("word/document.xml", f"{before}<w:document {W} {MC}><w:body>{body}</w:body></w:document>".encode())


def packed(name: str, data: bytes) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return kept.getvalue()


def a_pdf(*pages: str, password: str = "", owner: str = "") -> bytes:
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    for page in pages:
        pdf.add_page()
        if page:
            pdf.cell(text=page)
    if password or owner:
        pdf.set_encryption(owner_password=owner or "owner", user_password=password)
    return bytes(pdf.output())


def refused(kind: Kind, data: bytes, bounds: Bounds = BOUNDS) -> str:
    with pytest.raises(Unreadable) as caught:
        text_of(kind, data, bounds)
    return caught.value.cause


def test_the_pages_of_a_pdf_are_read_with_their_numbers() -> None:
    said = text_of("pdf", a_pdf("Rent is due.", "", "On Friday."), BOUNDS)
    assert said == "[Page 1]\nRent is due.\n[Page 3]\nOn Friday."


def test_a_scan_has_no_text() -> None:
    assert text_of("pdf", a_pdf(""), BOUNDS) == ""


def test_a_pdf_that_is_sealed_with_an_empty_password_is_read_and_one_with_a_password_is_not() -> None:
    assert "Rent" in text_of("pdf", a_pdf("Rent", owner="x"), BOUNDS)
    assert refused("pdf", a_pdf("Rent", password="secret")) == "locked"


def drawn(content: bytes, filters: bytes = b"/FlateDecode") -> bytes:
    """A PDF of one page, which is drawn so."""
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</Font<</F1 %s>>>>>>" % font,
        b"<</Length %d/Filter%s>>stream\n%s\nendstream" % (len(content), filters, content),
    ]
    made, places = b"%PDF-1.4\n", b""
    for number, each in enumerate(objects, start=1):
        places += b"%010d 00000 n \n" % len(made)
        made += b"%d 0 obj %s endobj\n" % (number, each)
    table = b"xref\n0 5\n0000000000 65535 f \n" + places
    return made + table + b"trailer <</Root 1 0 R/Size 5>>\nstartxref\n%d\n%%%%EOF" % len(made)


def test_a_pdf_that_unpacks_to_more_than_it_may_is_refused() -> None:
    said = zlib.compress(b"BT /F1 12 Tf (Hello) Tj ET")
    assert text_of("pdf", drawn(said), BOUNDS) == "[Page 1]\nHello"
    bomb = zlib.compress(b"BT /F1 12 Tf " + b" " * 3_000_000 + b"(Hello) Tj ET", 9)
    assert refused("pdf", drawn(bomb)) == "limits"
    assert refused("pdf", drawn(zlib.compress(bomb, 9), b"[/FlateDecode/FlateDecode]")) == "limits"


@pytest.mark.parametrize("data", [b"%PDF-1.7", b"%PDF-1.7\nstartxref\n99999\n%%EOF", b""])
def test_a_pdf_that_is_broken_is_refused(data: bytes) -> None:
    assert refused("pdf", data) == "broken"


def test_a_document_of_word_is_read_with_its_tables() -> None:
    document = Document()
    document.add_heading("Offer", 1)
    document.add_paragraph("To whom\tit may concern")
    table = document.add_table(rows=2, cols=2)
    for number, text in enumerate(("Item", "Price", "Desk", "90 €")):
        table.cell(number // 2, number % 2).text = text
    document.add_paragraph("Yours")
    kept = io.BytesIO()
    document.save(kept)
    said = text_of("docx", kept.getvalue(), BOUNDS)
    assert said == "Offer\nTo whom\tit may concern\nItem | Price\nDesk | 90 €\nYours"


@pytest.mark.parametrize(
    "hidden",
    [
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>send it</w:t></w:r>",
        '<w:r><w:rPr><w:vanish w:val="1"/></w:rPr><w:t>send it</w:t></w:r>',
        "<w:del><w:r><w:delText>send it</w:delText></w:r></w:del>",
        "<w:r><w:instrText>send it</w:instrText></w:r>",
    ],
)
def test_what_word_does_not_show_is_not_read(hidden: str) -> None:
    body = f"<w:p><w:r><w:t>Hello</w:t></w:r>{hidden}</w:p>"
    assert text_of("docx", a_docx(body), BOUNDS) == "Hello"


def test_what_was_moved_away_and_what_stands_in_a_text_box_twice_is_read_once() -> None:
    moved = "<w:moveFrom><w:p><w:r><w:t>old place</w:t></w:r></w:p></w:moveFrom>"
    box = "<w:p><w:r><w:t>in a box</w:t></w:r></w:p>"
    twice = f"<w:p><w:r><mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
    twice += "</mc:AlternateContent></w:r></w:p>"
    shown = '<w:p><w:r><w:rPr><w:vanish w:val="false"/></w:rPr><w:t>shown</w:t></w:r></w:p>'
    assert text_of("docx", a_docx(moved + twice + shown), BOUNDS) == "in a box\nshown"


def test_a_document_that_unpacks_to_more_than_it_may_is_refused_before_it_is_unpacked() -> None:
    bomb = a_docx(f"<w:p><w:r><w:t>{'a' * 3_000_000}</w:t></w:r></w:p>")
    assert len(bomb) < 10_000
    assert refused("docx", bomb) == "unpacked"


def test_a_document_whose_index_lies_about_its_length_is_refused() -> None:
    bomb = a_docx(f"<w:p><w:r><w:t>{'a' * 3_000_000}</w:t></w:r></w:p>")
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive:
        told = archive.infolist()[0].file_size.to_bytes(4, "little")
    lying = bomb.replace(told, (100).to_bytes(4, "little"))
    assert refused("docx", lying) in ("broken", "unpacked")


@pytest.mark.parametrize(
    "before",
    [
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
    ],
)
def test_entities_are_not_read(before: str) -> None:
    assert refused("docx", a_docx("<w:p><w:r><w:t>Hello</w:t></w:r></w:p>", before)) == "entities"


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04", packed("other.xml", b"<a/>"), packed("word/document.xml", b"<w:p"), b"not packed"]
)
def test_what_is_no_document_of_word_is_refused(data: bytes) -> None:
    assert refused("docx", data) == "broken"


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"name,sum\nAnna,3\n", "name | sum\nAnna | 3"),
        (b"name;sum\nAnna;3,5\nBert;4,5\n", "name | sum\nAnna | 3,5\nBert | 4,5"),
        (b"name\tsum\nAnna\t3\n", "name | sum\nAnna | 3"),
        (b'name,note\n"Anna, B.","two\nlines"\n', "name | note\nAnna, B. | two lines"),
        ("naïve;ä\n1;2\n".encode("cp1252"), "naïve | ä\n1 | 2"),
        ("\ufeffa,b\r\n1,2\r\n".encode(), "a | b\n1 | 2"),
        ("a,b\n1,2\n".encode("utf-16"), "a | b\n1 | 2"),
        (b"one word", "one word"),
        (b"\n\n", ""),
    ],
)
def test_tables_of_many_kinds_are_read(data: bytes, rows: str) -> None:
    assert text_of("table", data, BOUNDS) == rows


def test_of_a_long_table_the_beginning_is_read_and_its_rows_are_counted() -> None:
    said = text_of("table", b"a,b\n" + b"1,2\n" * 999, Bounds(60, 1))
    assert said.startswith("a | b\n1 | 2\n")
    assert said.endswith("[Shortened: the first 60 bytes of the table stand above.]\n[1,000 rows in all.]")


def test_a_cell_without_an_end_is_refused() -> None:
    assert refused("table", b'a,b\n"' + b"x" * 1_100_000) == "broken"


def test_text_that_is_none_is_refused() -> None:
    assert refused("text", b"\x00\x01\x02") == "binary"


def test_of_a_page_what_a_person_sees_is_read() -> None:
    assert text_of("html", b"<p>Hello<span hidden>send it</span></p>", BOUNDS) == "Hello"


@pytest.mark.parametrize(
    ("hidden", "seen"),
    [
        ("I\u200bgn\u200core", "Ignore"),
        ("a\u202eb\u2066c", "abc"),
        ("a" + "".join(chr(0xE0000 + ord(letter)) for letter in "send it"), "a"),
        ("a\u3164\u2800\ufe0f", "a"),
        ("a\x1b[8mb", "a[8mb"),
        ("one\u2028two\r\nthree\tfour", "one\ntwo\nthree\tfour"),
    ],
)
def test_characters_that_nobody_sees_are_left_out(hidden: str, seen: str) -> None:
    assert without_unseen(hidden) == seen
    assert text_of("text", hidden.encode(), BOUNDS) == seen


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        (File("a.pdf", PDF, b""), "pdf"),
        (File("a.txt", "text/plain", b"%PDF-1.7"), "pdf"),
        (File("a", DOCX, b"PK"), "docx"),
        (File("a.docx", "application/octet-stream", b"PK"), "docx"),
        (File("A.CSV", "text/plain", b"a"), "table"),
        (File("a", "text/csv; charset=utf-8", b"a"), "table"),
        (File("a.html", "text/html", b"a"), "html"),
        (File("a.py", "text/x-python", b"a"), "text"),
        (File("a.json", "application/json", b"a"), "text"),
        (File("a.zip", "application/zip", b"PK"), None),
        (File("a.mp3", "audio/mpeg", b"ID3"), None),
        (File("a.docx.exe", "application/octet-stream", b"MZ"), None),
    ],
)
def test_what_a_file_is_stands_in_it_or_in_its_type_or_in_its_name(file: File, kind: Kind | None) -> None:
    assert kind_of(file) == kind
