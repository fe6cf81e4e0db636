"""django-ninja with its own limit-offset paging, behind a key in a header."""

import hmac
from typing import Annotated, Any

from django.conf import settings
from ninja import FilterLookup, FilterSchema, NinjaAPI, Query, Schema
from ninja.pagination import LimitOffsetPagination, paginate
from ninja.security import APIKeyHeader
from pydantic import AwareDatetime

from articles.models import Article

MAX_LIMIT = 50


class HeaderKey(APIKeyHeader):
    """`X-API-Key: …`"""

    param_name = "X-API-Key"

    def authenticate(self, request, key):
        return key if key and hmac.compare_digest(key.encode(), settings.API_KEY.encode()) else None


class ArticleOut(Schema):
    """All fields."""

    id: int
    title: str
    score: float
    reviewer: str | None
    author: dict[str, Any]
    tags: list[str]
    modified: AwareDatetime


class Window(FilterSchema):
    """From a moment on, it included, up to one, it excluded."""

    modified__gte: Annotated[AwareDatetime | None, FilterLookup("modified__gte")] = None
    modified__lt: Annotated[AwareDatetime | None, FilterLookup("modified__lt")] = None


api = NinjaAPI(auth=HeaderKey())


@api.get("/articles", response=list[ArticleOut])
@paginate(LimitOffsetPagination, max_limit=MAX_LIMIT)
def articles(request, window: Query[Window]):
    """All, or those of a window."""
    return window.filter(Article.objects.all())
