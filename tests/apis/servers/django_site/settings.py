"""Django's settings: what the libraries need, and their defaults wherever those can stay."""

import json
import sys
from pathlib import Path

SECRET_KEY = "only-for-the-tests-of-this-machine-0123456789abcdef"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "urls"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "rest_framework.authtoken",
    "rest_framework_json_api",
    "django_filters",
    "oauth2_provider",
    "articles",
]
# Answers with a length, so that connections are kept.
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Tables come from the models in one step: the history of their migrations is of no interest here.
MIGRATION_MODULES = dict.fromkeys(("contenttypes", "auth", "authtoken", "oauth2_provider"))
# Django's own takes a third of a second for each request with a password.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
REST_FRAMEWORK = {
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    # Where an answer is not JSON:API, this is Django REST framework's own.
    "EXCEPTION_HANDLER": "rest_framework_json_api.exceptions.exception_handler",
}
OAUTH2_PROVIDER = {"SCOPES": {"read": "Read articles"}, "DEFAULT_SCOPES": ["read"]}
API_KEY = json.loads(Path(sys.argv[2]).read_text())["credentials"]["api_key"]
