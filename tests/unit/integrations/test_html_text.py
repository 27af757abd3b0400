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


@pytest.mark.timeout(60)
def test_very_many_hidden_elements_and_ends_of_others_are_read_in_a_moment() -> None:
    html = "<div hidden>" * 100_000 + "</p>" * 100_000 + "</div>" * 100_000 + "Seen."
    assert text_of(html) == "Seen."
