import pytest

from kalla_core.observe.secrets import mask, mask_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://u:hunter2@db/x?table=t", "postgres://u:***@db/x?table=t"),
        ("postgres://u:p@ss/w?rd@db/x", "postgres://u:***@db/x"),
        ("postgres://:hunter2@db", "postgres://:***@db"),
        ("postgres://u@db/x", "postgres://u@db/x"),
        ("postgres://db:5432/x", "postgres://db:5432/x"),
        ("postgres://u:${env:PGPASS}@db", "postgres://u:${env:PGPASS}@db"),
        ("postgres://${env:U}:${env:P}@db", "postgres://${env:U}:${env:P}@db"),
        ("postgres://u:a${env:P}@db", "postgres://u:***@db"),
        ("postgres://us{er:hunter2@db", "postgres://us{er:***@db"),
        (
            "postgres://db/x?user=u&password=hunter2&table=t",
            "postgres://db/x?user=u&password=***&table=t",
        ),
        ("postgres://db/x?sslpassword=hunter2", "postgres://db/x?sslpassword=***"),
        ("host=db password=hunter2 dbname=x", "host=db password=*** dbname=x"),
        ("https://s/k?X-Amz-Signature=abc&x=1", "https://s/k?X-Amz-Signature=***&x=1"),
        ('cannot read "s3://bucket/a.csv"', 'cannot read "s3://bucket/a.csv"'),
        ("no secrets at 12:30 for a@b", "no secrets at 12:30 for a@b"),
    ],
)
def test_passwords_are_masked_and_the_rest_stays(text, shown):
    assert mask_text(text) == shown


def test_every_uri_in_a_text_is_masked():
    text = '{"a":"postgres://u:one@h/d","b":"mysql://v:two@i/e"}'

    assert mask_text(text) == '{"a":"postgres://u:***@h/d","b":"mysql://v:***@i/e"}'


def test_what_lies_inside_containers_is_masked():
    value = {"sources": [{"uri": "postgres://u:hunter2@h"}], "auth": {"api_key": "k", "rows": 3}}

    assert mask(value) == {
        "sources": [{"uri": "postgres://u:***@h"}],
        "auth": {"api_key": "***", "rows": 3},
    }


@pytest.mark.parametrize(
    "name", ["password", "kalla_token", "Authorization", "AWS_SECRET_ACCESS_KEY"]
)
def test_a_field_named_like_a_secret_is_hidden_whole(name):
    assert mask("hunter2", name) == "***"


def test_masking_what_is_masked_changes_nothing():
    once = mask_text("postgres://u:hunter2@db/x?password=y")

    assert mask_text(once) == once
