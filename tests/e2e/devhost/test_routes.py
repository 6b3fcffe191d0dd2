"""Route templates: the grammar of ASP.NET Core, parameter by parameter."""

import pytest

from devhost.routes import RouteError, RouteTemplate


def _match(template: str, path: str) -> dict[str, str] | None:
    values = RouteTemplate.parse(template).match([part for part in path.split("/") if part])
    return None if values is None else dict(values)


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("a/b", "A/B", {}),
        ("a/b", "a", None),
        ("a", "a/b", None),
        ("", "", {}),
        ("a/{x}", "a/1%2F2%2f3", {"x": "1%2F2%2f3"}),
        ("a/{x}", "a/%C3%B6%20%FF%252F", {"x": "ö %FF%2F"}),
        ("a%2Fb", "a/b", None),
        ("a/{x}", "a", None),
        ("a/{x?}", "a", {}),
        ("a/{x=1}", "a", {"x": "1"}),
        ("a/{x:int=1}", "a", {"x": "1"}),
        ("a/{x:int?}", "a", {}),
        ("a/{x:int?}", "a/b", None),
        ("a/{*rest}", "a/b/c", {"rest": "b/c"}),
        ("a/{**rest}", "a", {}),
        ("a/{*rest:maxlength(3)}", "a/b/c/d", None),
        ("{x:long}", "9223372036854775807", {"x": "9223372036854775807"}),
        ("{x:long}", "9223372036854775808", None),
        ("{x:int}", "2147483648", None),
        ("{x:int}", "٣", None),
        ("{x:bool}", "TRUE", {"x": "TRUE"}),
        ("{x:bool}", "1", None),
        ("{x:guid}", "7b2c1d8e-0000-4000-8000-000000000000", {"x": "7b2c1d8e-0000-4000-8000-000000000000"}),
        ("{x:guid}", "7b2c", None),
        ("{x:alpha}", "abc", {"x": "abc"}),
        ("{x:alpha}", "ab1", None),
        ("{x:double}", "1.5", {"x": "1.5"}),
        ("{x:datetime}", "2026-01-31", {"x": "2026-01-31"}),
        ("{x:datetime}", "2026-02-31", None),
        ("{x:minlength(2)}", "a", None),
        ("{x:length(2)}", "abc", None),
        ("{x:length(2,3)}", "abc", {"x": "abc"}),
        ("{x:range(1,9)}", "10", None),
        ("{x:int:min(5)}", "4", None),
        ("{x:max(5)}", "5", {"x": "5"}),
        ("{a}-{b}", "x-y-z", {"a": "x-y", "b": "z"}),
        ("{a}-{b}", "x-", None),
        ("{a}-{b}", "-y", None),
        ("{a}-{b}", "x", None),
        ("v{major:int}.{minor:int}/x", "V1.22/x", {"major": "1", "minor": "22"}),
        ("v{major:int}.{minor:int}/x", "v1.y/x", None),
        ("{file}.{ext?}", "a.b.txt", {"file": "a.b", "ext": "txt"}),
        ("{file}.{ext?}", "a", {"file": "a"}),
        ("{name}.html", "%C3%A9%2F.HTML", {"name": "é%2F"}),
        ("a/{x}b", "a", None),
        (r"{x:regex(^\d{{3}}$)}", "123", {"x": "123"}),
        (r"{x:regex(^\d{{3}}$)}", "1234", None),
        (r"{x:regex(^a/b|c$)}", "c", {"x": "c"}),
    ],
)
def test_a_template_matches(template: str, path: str, values: dict[str, str] | None) -> None:
    assert _match(template, path) == values


def test_the_more_specific_template_comes_first() -> None:
    templates = ["a/{*rest}", "a/{x}", "a/{*rest:int}", "a/x{y}", "a/b", "a/{x:int}"]
    ordered = sorted(templates, key=lambda template: RouteTemplate.parse(template).precedence)
    assert ordered == ["a/b", "a/x{y}", "a/{x:int}", "a/{x}", "a/{*rest:int}", "a/{*rest}"]


@pytest.mark.parametrize(
    "template",
    [
        "{x}{y}",
        "{x?}-{y}",
        "{x}-{y?}",
        "{x}-{x}",
        "a{*x}",
        "a{",
        "a}",
        "{*rest}/a",
        "{x:nonsense}",
        "{x:min(a)}",
        "{x:regex([)}",
        "{}",
    ],
)
def test_a_template_that_is_not_understood_is_refused(template: str) -> None:
    with pytest.raises(RouteError):
        RouteTemplate.parse(template)
