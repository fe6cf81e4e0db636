"""The ways by which an alert goes out: Airflow's notifiers, chosen by the type of a connection.

In: a connection and the texts of an alert. Out: an e-mail, or a POST of `{"text": …}`, as Slack and those like it take it.
"""

import html
from typing import Any
from urllib.parse import urlsplit

from include.configure.connections import AirflowConnection, ConnectionFields
from include.redaction import register

# Airflow ends a good task 20 s after its last step, whatever its callbacks do.
TIMEOUT_SECONDS = 10
WEBHOOKS = ("http", "slackwebhook")


def send(connection: AirflowConnection, subject: str, text: str, as_html: str) -> None:
    """Send one alert, once. Raises ConfigurationError (permanent) for another type of connection, and what the notifier raises."""
    fields = ConnectionFields(connection)
    notifier, values = _notifier(fields, subject, text, as_html)
    # Texts are values of a template, never templates: what an API says is not run.
    context: Any = {"alert": values}
    # Not by calling it: that logs what it then raises.
    notifier.render_template_fields(context)
    notifier.notify(context)


def _notifier(fields: ConnectionFields, subject: str, text: str, as_html: str) -> tuple[Any, dict[str, str]]:
    if fields.conn_type == "smtp":
        return _mail(fields), {"subject": subject, "html": as_html}
    if fields.conn_type in WEBHOOKS:
        # Slack reads `<…>` as a link or as a call of everybody.
        return _webhook(fields), {"text": html.escape(text, quote=False)}
    raise fields.error("conn_type", "has to be `smtp`, for e-mail, or `http`, for a webhook")


def _mail(fields: ConnectionFields) -> Any:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    return SmtpNotifier(
        to=fields.need("extra.to", meaning="the address, or a list of addresses, that alerts go to"),
        from_email=fields.need("extra.from_email", meaning="the address that alerts come from"),
        subject="{{ alert.subject }}",
        html_content="{{ alert.html }}",
        smtp_conn_id=fields.conn_id,
    )


def _webhook(fields: ConnectionFields) -> Any:
    from airflow.providers.http.notifications.http import HttpNotifier

    # The address of a webhook is its password, and so it may stand where Airflow hides it.
    secret_path = None if fields.get("login") else fields.get("password")
    register(secret_path or "")
    if "://" in (host := str(fields.get("host") or "")):
        register(urlsplit(host).path.strip("/"))
    return HttpNotifier(
        http_conn_id=fields.conn_id,
        endpoint=secret_path,
        json={"text": "{{ alert.text }}"},
        extra_options={"timeout": TIMEOUT_SECONDS},
    )
