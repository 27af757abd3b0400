"""The text of HTML as a person would see it, whatever somebody makes of the markup."""

import pytest

from integrations.tools.html_text import text_of

LONG = 1_000_000


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ("a < b &amp;&lt; c &#8364;", "a < b &< c €"),
        ("1<2 and <3", "1<2 and <3"),
        ("<P>one<BR/>two<p >three", "one\ntwo\nthree"),
        ("a<!-- b -->c<!-->d<!--->e<!-- f --!>g<!-- h > i", "acdeg"),
        ("a<!DOCTYPE html>b<?xml x?>c<![CDATA[d]]>e", "abce"),
        ("a</>b</ x>c</p>d", "abc\nd"),
        ("<p hidden>a</p>b<p HIDDEN=''>c</p>d", "bd"),
        ("<p style=display:none>a</p>b<p STYLE='Display : None'>c</p>d", "bd"),
        ('<p title="> a" style="display:none">b</p>c', "c"),
        ("<p title='\"' hidden>b</p>c", "c"),
        ("<p/hidden/>b</p>c", "c"),
        ('<p style="display:&#110;one">a</p>b', "b"),
        ("<p style='color:red' style='display:none'>a</p>", "a"),
        ("<p data-x hidden data-y>a</p>b", "b"),
        ("a<script>if (b < c) { '</p>' }</script >d<SCRIPT>e</Script>f", "adf"),
        ("a<script>b</scripts>c</script/>d", "ad"),
        ("a<style><!-- </style>b", "ab"),
        ("<head><title>One &amp; two</title><meta><p>a</head>b", "One & two\nb"),
        ("<head><title>One</title><body>a", "One\na"),
        ("<textarea><p hidden>a</textarea>b", "<p hidden>ab"),
        ("<div hidden><p>a</div>b</p>c", "b\nc"),
        ("a<p hidden", "a"),
        ("a<p title='b>c", "a"),
        ("a<script>b", "a"),
        ("", ""),
        ("<", "<"),
        ("a<b", "a"),
    ],
)
def test_what_is_seen_is_what_a_browser_would_show(html: str, seen: str) -> None:
    assert text_of(html) == seen


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit",
    [
        "<!--",
        "<!",
        "<?",
        "<a ",
        "<",
        "<a b='",
        "</",
        "<script>",
        "<style><!--",
        "<p hidden>",
        "</p>",
        "<p a=b c=d ",
        "<title>",
    ],
)
def test_markup_that_is_made_to_be_slow_is_read_in_a_moment(unit: str) -> None:
    """Read by Python's own parser, most of these take hours."""
    assert text_of(f"<p>Seen.{(unit * LONG)[:LONG]}").startswith("Seen.")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("style", "seen"),
    [
        (f"left:-{'9' * LONG}x", "Seen."),
        (f"opacity:{'0' * LONG}!", ""),  # a value that is too long is judged by its beginning
        (f"transform:{'rect(0' * 100_000}", "Seen."),
        (";" * LONG, "Seen."),
        ("/*" * LONG, "Seen."),
        (f"color:{'#' * LONG}", "Seen."),
        ("display:/* not */none", ""),
        ("/**/display/**/:none /* and so on", ""),
    ],
)
def test_a_style_that_is_made_to_be_slow_or_to_mislead_is_read_in_a_moment(style: str, seen: str) -> None:
    assert text_of(f'<p style="{style}">Seen.</p>') == seen


@pytest.mark.parametrize(
    ("css", "html", "seen"),
    [
        (".x{display:none}", "<p class=x>a</p>b", "b"),
        (".x { DISPLAY : None !important }", "<p class='y x'>a<b>c</b></p>b", "b"),
        ("#x{visibility:hidden}", "<p id=x>a</p>b", "b"),
        ("aside{font-size:0}", "<aside>a</aside>b", "b"),
        ("P.x{color:white;background:#fff}", "<p class=x>a</p>b", "b"),
        (".x{opacity:0}.y{top:-9999px}", "<p class=x>a</p><p class=y>b</p>c", "c"),
        (".y,.x{display:none}", "<p class=x>a</p>b", "b"),
        ("/* .x{ */.x{display:/**/none}", "<p class=x>a</p>b", "b"),
        (".q::before{content:'}'}.x{display:none}", "<p class=x>a</p>b", "b"),
        ("<!-- .x{display:none} -->", "<p class=x>a</p>b", "b"),
        ("@import 'y.css';.x{display:none}", "<p class=x>a</p>b", "b"),
        ("*{display:none}", "<p>a</p>b", "b"),
        # What shows again what another rule hides.
        (".x{display:none}.x.y{display:block}", "<p class='x y'>a</p>b", "a\nb"),
        (".x.y{display:block}.x{display:none}", "<p class='x y'>a</p>b", "a\nb"),
        (".x{display:none}.x{display:block}", "<p class=x>a</p>b", "a\nb"),
        (".x{display:none!important}.x{display:block}", "<p class=x>a</p>b", "b"),
        ("p{display:block}.x{display:none}", "<p class=x>a</p>b", "b"),
        (".x{display:none}#i{display:block}", "<p class=x id=i>a</p>b", "a\nb"),
        (".x{display:none}", "<p class=x style='display:block'>a</p>b", "a\nb"),
        (".x{display:none!important}", "<p class=x style='display:block'>a</p>b", "b"),
        (".x{color:red;background:white}", "<p class=x>a</p>b", "a\nb"),
        # What holds perhaps hides nothing, and what it says of the same makes that uncertain.
        ("@media print{.x{display:none}}", "<p class=x>a</p>b", "a\nb"),
        ("@media print{.y{color:red}}.x{display:none}", "<p class=x>a</p>b", "b"),
        ("div .x{display:none}", "<p class=x>a</p>b", "a\nb"),
        (".x:hover{display:none}", "<p class=x>a</p>b", "a\nb"),
        (".x{display:none}.open .x{display:block}", "<p class=x>a</p>b", "a\nb"),
        (".x{display:none}[data-y]{display:block}", "<p class=x>a</p>b", "a\nb"),
        (".x{display:none}@media screen{.x{display:block}}", "<p class=x>a</p>b", "a\nb"),
        (".x,!{display:none}", "<p class=x>a</p>b", "a\nb"),
        (".x{.y{display:none}}", "<p class=y>a</p>b", "a\nb"),
        ("body{visibility:hidden}", "<body>a<p>b", "a\nb"),
        (".X{display:none}", "<p class=x>a</p>b", "a\nb"),
        (".x{display:var(--none)}", "<p class=x>a</p>b", "a\nb"),
        ("}}.x{display:none", "<p class=x>a</p>b", "a\nb"),
    ],
)
def test_what_a_style_sheet_hides_for_certain_is_not_seen_and_what_it_may_show_is(
    css: str, html: str, seen: str
) -> None:
    assert text_of(f"<head><style>{css}</style></head>{html}") == seen
    # Wherever it stands on the page, it holds for all of it.
    assert text_of(f"{html}<style>{css}</style>") == seen


@pytest.mark.parametrize(
    "html",
    [
        "<style media=print>.x{display:none}</style><p class=x>a</p>",
        "<style type=text/less>.x{display:none}</style><p class=x>a</p>",
        "<template><style>.x{display:none}</style></template><p class=x>a</p>",
        "<!--<style>.x{display:none}</style>--><p class=x>a</p>",
        "<noscript><style>.x{display:none}</style></noscript><p class=x>a</p>",
        "<style>" + ".x{display:none}" * 20_001 + "</style><p class=x>a</p>",
        f"<style>.x{{display:none}}</style><p class='x {' '.join(map(str, range(60)))}'>a</p>",
    ],
)
def test_a_style_sheet_that_may_not_hold_hides_nothing(html: str) -> None:
    assert text_of(html) == "a"


def test_what_says_of_itself_that_programs_read_it_not_is_not_seen_however_it_is_written() -> None:
    assert text_of("<p aria-hidden=TRUE>a</p><p aria-hidden=false>b</p>") == "b"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "css",
    [
        "{",
        "}",
        ".x{display:none}",
        ".x,",
        "@media x{",
        "a:not(",
        "/*",
        "'",
        '"\n',
        "'\\",
        ".x{display:none;",
        ";",
        "a b>c+d~e ",
        ".a.b.c.d#e{left:0}",
    ],
)
def test_a_style_sheet_that_is_made_to_be_slow_is_read_in_a_moment(css: str) -> None:
    assert "Seen." in text_of(f"<style>{(css * LONG)[:LONG]}</style><p>Seen.</p>")


@pytest.mark.timeout(60)
def test_very_many_elements_that_very_many_rules_fit_are_read_in_a_moment() -> None:
    css = ".x{left:0}" * 10_000
    assert text_of(f"<style>{css}</style>{'<p class=x>a</p>' * 20_000}").startswith("a\na")


@pytest.mark.timeout(60)
def test_very_many_hidden_elements_and_ends_of_others_are_read_in_a_moment() -> None:
    html = "<div hidden>" * 100_000 + "</p>" * 100_000 + "</div>" * 100_000 + "Seen."
    assert text_of(html) == "Seen."
