"""Who sees what: no page and no number without Airflow's auth manager."""

import jwt
import pytest

from tests.plugins.conftest import BLUE, Metadata, Page, report

ROUTES = ["", "api/", "dags/secret", "api/dags/secret", "dags/secret/runs/run", "api/dags/secret/runs/run"]


@pytest.fixture(autouse=True)
def _secret(metadata: Metadata) -> None:
    metadata.dag("secret", "people")
    metadata.loads("secret", "people", report(notes={"who": "nobody else"}))
    metadata.run("secret", "people", "success")
    metadata.xcom("secret", "people", "return_value", {**report(), "resource": "people"})


def test_each_route_is_in_this_list(page: Page) -> None:
    from load_history_page.app import app

    paths = {
        getattr(route, "path", "").replace("{dag_id}", "secret").replace("{run_id}", "run") for route in app.routes
    }
    assert paths == {"/static", *(f"/{route}" for route in ROUTES)}


@pytest.mark.parametrize("route", ROUTES)
def test_a_user_who_may_read_the_dag_sees_it(page: Page, route: str) -> None:
    answer = page.get(route)
    assert answer.status_code == 200, answer.text
    assert "people" in answer.text


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_token_there_is_a_sentence_and_nothing_else(page: Page, route: str) -> None:
    answer = page.get(route, token=None)
    assert answer.status_code == 401
    assert "Sign in to Airflow" in answer.text
    assert "people" not in answer.text


@pytest.mark.parametrize("route", ROUTES)
def test_a_forged_token_is_none(page: Page, route: str) -> None:
    claims = jwt.decode(page.token(), options={"verify_signature": False})
    forged = jwt.encode(claims, "the key of somebody else, who has no right to sign here, is long enough" * 2, "HS512")
    unsigned = jwt.encode(claims, None, "none")
    for token in (forged, unsigned, "no.token.atall"):
        answer = page.get(route, token=token)
        assert answer.status_code == 403
        assert "people" not in answer.text


@pytest.mark.parametrize("route", ROUTES[2:])
def test_a_dag_of_another_team_is_refused(page: Page, route: str) -> None:
    answer = page.get(route, token=page.token(BLUE))
    assert answer.status_code == 403
    assert "You may not read this" in answer.text
    assert "people" not in answer.text


@pytest.mark.parametrize("route", ROUTES[:2])
def test_the_list_shows_only_what_the_user_may_read(page: Page, metadata: Metadata, route: str) -> None:
    metadata.dag("open", "birds", team=BLUE)
    answer = page.get(route, token=page.token(BLUE))
    assert answer.status_code == 200
    assert "birds" in answer.text
    assert "people" not in answer.text


def test_whoever_may_not_read_xcoms_may_not_read_the_page(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

    manager = get_auth_manager()
    allowed = manager.is_authorized_dag

    def without_xcoms(**asked: object) -> bool:
        return asked.get("access_entity") is not DagAccessEntity.XCOM and allowed(**asked)

    monkeypatch.setattr(manager, "is_authorized_dag", without_xcoms)
    assert [page.get(route).status_code for route in ROUTES[2:]] == [403] * 4
    for route in ROUTES[:2]:
        assert "people" not in page.get(route).text


def test_a_frame_in_airflow_asks_with_its_cookie(page: Page) -> None:
    assert page.get_with_cookie("dags/secret", page.token()).status_code == 200
    assert page.get_with_cookie("dags/secret", page.token(BLUE)).status_code == 403


@pytest.mark.parametrize("route", ROUTES)
def test_no_answer_is_kept_or_shown_by_others(page: Page, route: str) -> None:
    for token in ("", None):
        headers = page.get(route, token=token).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy


def test_what_is_not_there_is_said(page: Page) -> None:
    for route in ("dags/secret/runs/other", "dags/secret?resource=other", "api/dags/secret/runs/other"):
        answer = page.get(route)
        assert answer.status_code == 404
        assert "There is nothing here" in answer.text
