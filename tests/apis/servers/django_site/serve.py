"""Serves the Django site on loopback: makes its database in the present folder, fills it, answers until it is ended.

In: a port, and a file with `records` and `credentials` as JSON (tests/apis/servers/content.py). Runs in an environment
of its own, without this project.
"""

import json
import os
import sys
from datetime import datetime
from pathlib import Path

import django
from django.core.management import call_command
from django.core.servers.basehttp import run
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"


def fill(records: list[dict], credentials: dict[str, str]) -> None:
    """Tables, records, a reader with a token and a password, and a client of OAuth2."""
    from articles.models import Article
    from django.contrib.auth.models import User
    from oauth2_provider.models import Application
    from rest_framework.authtoken.models import Token

    call_command("migrate", run_syncdb=True, verbosity=0)
    Article.objects.bulk_create(
        Article(**record | {"modified": datetime.fromisoformat(record["modified"])}) for record in records
    )
    reader = User.objects.create_user(credentials["login"], password=credentials["password"])
    Token.objects.create(user=reader, key=credentials["token"])
    Application.objects.create(
        client_id=credentials["client_id"],
        client_secret=credentials["client_secret"],
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )


if __name__ == "__main__":
    django.setup()
    fill(**json.loads(Path(sys.argv[2]).read_text()))
    run("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), threading=True)
