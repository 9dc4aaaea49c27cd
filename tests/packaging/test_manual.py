"""packaging/manual.py: Markdown as a man page, read through groff as a person would."""

import subprocess

import manual
import pytest

from tests.support import needs

FORMS = {
    "paragraphs": ("one\ntwo\n\nthree", "one two\n\nthree"),
    "a dot": ("first\n.TH first\n\n.br", "first .TH first\n\n.br"),
    "a quote": ("it's\n'so' \"it\" is", "it's 'so' \"it\" is"),
    "a backslash": (r"C:\\new\\fB `\n\e`", r"C:\new\fB \n\e"),
    "signs": ("--a-b `--c-d` ~/x ^y \\`z\\`", "--a-b --c-d ~/x ^y `z`"),
    "another alphabet": ("größe „so“", "größe „so“"),
    "fonts": ("**bold**, *slanted*, `code`", "bold, slanted, code"),
    "a link in here": ("[text](page.md#part)", "text"),
    "a link out": (
        "[text](https://a.b/c-d), <https://e.f>",
        "text (https://a.b/c-d), https://e.f",
    ),
    "code": ("```sh\n.a  'b'\n\n  c \\\n```", ".a  'b'\n\n  c \\"),
    "a list": ("- a\n\n  b\n- c", "• a\n\n  b\n\n• c"),
    "a numbered list": ("3. a\n4. b", "3.  a\n\n4.  b"),
    "a heading": ("### Part", "Part"),
    "a table": ("|k|m|\n|-|-|\n|`a`|b|\n|c|`.d`|", "a      b\n\nc      .d"),
    "a wide table": (
        "|k|m|n|\n|-|-|-|\n|a|b|c|\n|d||e|",
        "a      m: b\n       n: c\n\nd      n: e",
    ),
}


def read(roff: str) -> str:
    """Return what groff shows of a section, without the margin."""
    page = f'.TH X 1 "" x x\n.SH SECTION\n{roff}\n.SH END\n'
    command = (needs.installed("groff"), "-ww", "-man", "-Tutf8", "-P-cbou", "-rLL=70n")
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.partition("SECTION\n")[2].partition("END\n")[0].strip("\n").splitlines()
    margin = min(len(line) - len(line.lstrip()) for line in lines if line)
    return "\n".join(line[margin:].rstrip() for line in lines)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_shown_as_it_was_meant(form: str) -> None:
    """No sign is lost, and none is taken for a request to roff."""
    markdown, shown = FORMS[form]
    found = manual.sections(f"# Title\n\nbefore\n\n## It's\n\n{markdown}\n")
    assert list(found) == ["It's"]
    assert read(found["It's"]) == shown


@pytest.mark.parametrize("form", ["> quoted", "a <b>b</b>", "![picture](a.svg)", "<p>\n\n"])
def test_what_has_no_form_is_an_error(form: str) -> None:
    """So that nothing is left out in silence."""
    with pytest.raises(ValueError, match="no form in a man page"):
        manual.sections(f"## Heading\n\n{form}\n")
