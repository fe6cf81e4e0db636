"""django-oauth-toolkit: page numbers behind an access token of the scope `read`."""

from oauth2_provider.contrib.rest_framework import OAuth2Authentication, TokenHasScope

from articles.drf import PageNumber


class Articles(PageNumber):
    """As the page numbers of Django REST framework, for the bearer of a token."""

    authentication_classes = [OAuth2Authentication]
    permission_classes = [TokenHasScope]
    required_scopes = ["read"]
