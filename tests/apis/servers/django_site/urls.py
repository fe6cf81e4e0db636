"""Which path is served by which library."""

from articles import drf, json_api, ninja_api, oauth
from django.urls import path
from oauth2_provider.views import RevokeTokenView, TokenView

urlpatterns = [
    path("drf/limit-offset/", drf.LimitOffset.as_view()),
    path("drf/pages/", drf.PageNumber.as_view()),
    path("drf/cursor/", drf.Cursor.as_view()),
    path("ninja/", ninja_api.api.urls),
    path("jsonapi/articles/", json_api.Articles.as_view({"get": "list"})),
    path("oauth/token/", TokenView.as_view()),
    path("oauth/revoke_token/", RevokeTokenView.as_view()),
    path("oauth/articles/", oauth.Articles.as_view()),
]
