"""The records of tests/apis/servers/content.py as a table."""

from django.db import models


class Article(models.Model):
    """In the order of their ids unless a view says otherwise."""

    title = models.CharField(max_length=200)
    score = models.FloatField()
    reviewer = models.CharField(max_length=200, null=True)
    author = models.JSONField()
    tags = models.JSONField()
    modified = models.DateTimeField()

    class Meta:
        ordering = ["id"]


# What a filter by time may ask: from a moment on, it included, up to one, it excluded.
TIME_FILTERS = {"modified": ["gte", "lt"]}
